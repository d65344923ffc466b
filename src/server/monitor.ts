/** MONITOR: each command of this node's clients, as one line to each monitoring client. Secrets are redacted. */
import { Status } from '../resp/reply.ts';
import type { CommandEntry } from './command-table.ts';
import type { Session } from './session.ts';

export class Monitors {
  readonly #sessions = new Set<Session>();

  get count(): number {
    return this.#sessions.size;
  }

  add(session: Session): void {
    this.#sessions.add(session);
  }

  remove(session: Session): void {
    this.#sessions.delete(session);
  }

  /** `1339518083.107412 [0 127.0.0.1:60866] "keys" "*"` (replication.c replicationFeedMonitors). */
  feed(session: Session, entry: CommandEntry, argv: readonly Buffer[], wallMs: number): void {
    const secrets = entry.session?.secretsOf?.(argv) ?? [];
    const seconds = Math.floor(wallMs / 1000);
    const micros = Math.floor((wallMs - seconds * 1000) * 1000);
    let line = `${seconds}.${String(micros).padStart(6, '0')} [${session.database} ${session.connection.remoteAddress}]`;
    for (let i = 0; i < argv.length; i++) {
      line += ` ${secrets.includes(i) ? '"(redacted)"' : quoted(argv[i] ?? Buffer.alloc(0))}`;
    }
    const message = new Status(line);
    for (const monitor of this.#sessions) monitor.push(message);
  }
}

const ESCAPES: Readonly<Record<number, string>> = {
  0x22: '\\"',
  0x5c: '\\\\',
  0x0a: '\\n',
  0x0d: '\\r',
  0x09: '\\t',
  0x07: '\\a',
  0x08: '\\b',
};

/** As sdscatrepr: printable ASCII stays, the rest is escaped. */
function quoted(bytes: Uint8Array): string {
  let text = '"';
  for (const byte of bytes) {
    const escape = ESCAPES[byte];
    if (escape !== undefined) text += escape;
    else if (byte >= 0x20 && byte <= 0x7e) text += String.fromCharCode(byte);
    else text += `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return `${text}"`;
}
