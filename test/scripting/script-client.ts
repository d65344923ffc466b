/** Runs EVAL and its kin on a MemoryView, as the leader of a partition would. */
import { Args } from '../../src/commands/args.ts';
import type { DataCommand } from '../../src/commands/define.ts';
import { dataCommandsByName } from '../../src/commands/index.ts';
import { createScriptCommands, type ScriptCommandOptions } from '../../src/commands/scripts.ts';
import { ReplyBuffer } from '../../src/resp/encode.ts';
import { type Protocol, type Reply, ReplyError } from '../../src/resp/reply.ts';
import { createScriptHost, type ScriptHost, type ScriptHostOptions } from '../../src/scripting/host.ts';
import { sha1Hex } from '../../src/scripting/sha1.ts';
import { Lock } from '../../src/values/lock.ts';
import { Aborted, MemoryView } from '../doubles/memory-view.ts';

/** A clock that a test moves; each reading moves it by `stepMs`, so that loops pass their time limit without waiting. */
export class SteppingClock {
  nowMs = 0;
  stepMs = 0;

  monotonicMs(): number {
    this.nowMs += this.stepMs;
    return this.nowMs;
  }

  wallMs(): number {
    return this.nowMs;
  }
}

export type HostSettings = Partial<Omit<ScriptHostOptions, 'clock'>>;

export async function createTestHost(settings: HostSettings = {}, clock = new SteppingClock()): Promise<ScriptHost> {
  return createScriptHost({ clock, redisVersion: '7.2.5', ...settings });
}

export class ScriptClient {
  view = new MemoryView();
  database = 0;
  readonly bodies = new Map<string, Buffer>();
  readonly logged: string[] = [];
  isKilled = false;
  readonly #commands: ReadonlyMap<string, DataCommand>;
  readonly #extra = new Map<string, DataCommand>();
  readonly #args = new Args();

  constructor(host: ScriptHost, execLimit?: ScriptCommandOptions['execLimit']) {
    const rows = createScriptCommands({
      host,
      ...(execLimit === undefined ? {} : { execLimit }),
      bodyOf: (sha) => this.bodies.get(sha),
      commandOf: (name) => this.#extra.get(name) ?? this.#commands.get(name) ?? dataCommandsByName.get(name),
      isKilled: () => this.isKilled,
      log: (level, message) => this.logged.push(`${level} ${message}`),
    });
    this.#commands = new Map(rows.map((row) => [row.name, row]));
  }

  /** Adds a command that scripts can call; before the first script only. */
  add(row: DataCommand): void {
    this.#extra.set(row.name, row);
  }

  load(script: string): string {
    const body = Buffer.from(script, 'latin1');
    const sha = sha1Hex(body);
    this.bodies.set(sha, body);
    return sha;
  }

  /** A key of another type than string. */
  putOther(key: string): void {
    this.view.put(this.database, key, new Lock({ token: 1, owner: null, expiresAtMs: 0, acquiredAt: 0 }), 0);
  }

  eval(script: string, keys: readonly string[] = [], args: readonly string[] = []): Reply {
    return this.run('EVAL', script, String(keys.length), ...keys, ...args);
  }

  /** The reply; an error that undoes the command has undone it. Other exceptions come out, undone too. */
  run(...words: readonly string[]): Reply {
    const argv = words.map((word) => Buffer.from(word, 'latin1'));
    const name = (words[0] ?? '').toUpperCase();
    const row = this.#commands.get(name);
    if (row === undefined) throw new Error(`${name} is not a script command`);
    const savepoint = this.view.savepoint();
    try {
      return row.run(this.view, this.#args.reset(argv, this.database));
    } catch (error) {
      this.view.rollback(savepoint);
      if (error instanceof ReplyError || error instanceof Aborted) return error.reply;
      throw error;
    }
  }
}

/** The reply as it goes over the wire, one character a byte. */
export function encode(reply: Reply, protocol: Protocol = 2): string {
  const buffer = new ReplyBuffer();
  buffer.write(reply, protocol);
  return Buffer.concat(buffer.take()).toString('latin1');
}
