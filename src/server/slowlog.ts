/** The slow log: the latest commands that took longer than `slowlog-log-slower-than`, newest first, in memory only. */
import type { Reply } from '../resp/reply.ts';
import { SLOWLOG_ARGUMENTS_MAX, SLOWLOG_ARGUMENT_BYTES_MAX, SLOWLOG_RECORDS_PER_SECOND_MAX } from './limits.ts';

export interface SlowCommand {
  readonly wallSeconds: number;
  readonly usec: number;
  readonly argv: readonly Uint8Array[];
  readonly clientAddress: string;
  readonly clientName: string;
}

interface Entry {
  readonly id: number;
  readonly wallSeconds: number;
  readonly usec: number;
  readonly argv: readonly string[];
  readonly clientAddress: string;
  readonly clientName: string;
}

export class SlowLog {
  /** Newest first; at most `lengthMax` of the latest call of `record`. */
  #entries: Entry[] = [];
  #nextId = 0;
  /** The second of the latest record, and how many were kept in it. */
  #second = 0;
  #keptInSecond = 0;

  get length(): number {
    return this.#entries.length;
  }

  /** False once SLOWLOG_RECORDS_PER_SECOND_MAX were kept in this second: a node that is slow as a whole stays no slower. */
  takes(wallSeconds: number): boolean {
    return wallSeconds !== this.#second || this.#keptInSecond < SLOWLOG_RECORDS_PER_SECOND_MAX;
  }

  /** Keeps a cut copy of the arguments. `secrets` are indices of arguments that must not be kept. */
  record(command: SlowCommand, lengthMax: number, secrets: readonly number[]): void {
    if (lengthMax <= 0) {
      this.#entries = [];
      return;
    }
    if (command.wallSeconds !== this.#second) this.#keptInSecond = 0;
    this.#second = command.wallSeconds;
    this.#keptInSecond++;
    this.#entries.unshift({
      id: this.#nextId++,
      wallSeconds: command.wallSeconds,
      usec: Math.round(command.usec),
      argv: cutArguments(command.argv, secrets),
      clientAddress: command.clientAddress,
      clientName: command.clientName,
    });
    if (this.#entries.length > lengthMax) this.#entries.length = lengthMax;
  }

  reset(): void {
    this.#entries = [];
  }

  /** The newest `count` entries as SLOWLOG GET answers them; -1 = all. */
  reply(count: number): Reply {
    const entries = count === -1 ? this.#entries : this.#entries.slice(0, count);
    return entries.map((entry) => [
      entry.id,
      entry.wallSeconds,
      entry.usec,
      [...entry.argv],
      entry.clientAddress,
      entry.clientName,
    ]);
  }
}

/** As slowlogCreateEntry of Redis 7: at most 32 arguments of at most 128 bytes, and notes on what was left out. */
function cutArguments(argv: readonly Uint8Array[], secrets: readonly number[]): string[] {
  const count = Math.min(argv.length, SLOWLOG_ARGUMENTS_MAX);
  const cut: string[] = [];
  for (let i = 0; i < count; i++) {
    if (count !== argv.length && i === count - 1) {
      cut.push(`... (${argv.length - count + 1} more arguments)`);
    } else if (secrets.includes(i)) {
      cut.push('(redacted)');
    } else {
      cut.push(cutArgument(argv[i] ?? new Uint8Array(0)));
    }
  }
  return cut;
}

function cutArgument(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, SLOWLOG_ARGUMENT_BYTES_MAX)).toString(
    'latin1',
  );
  const left = bytes.length - SLOWLOG_ARGUMENT_BYTES_MAX;
  return left > 0 ? `${text}... (${left} more bytes)` : text;
}
