/**
 * Runs commands on a MemoryView as a leader would, one after the other: row by name, arity, evaluation, undone if it
 * fails. Replies are shown as short text (RESP2's shapes):
 *
 *   +OK   -ERR text   :1   "bulk \x00"   nil   nil* (null array)   [a, b]   parked until +500 (ms from now)
 */
import assert from 'node:assert/strict';
import { Args } from '../../src/commands/args.ts';
import type { DataCommand } from '../../src/commands/define.ts';
import { dataCommandsByName } from '../../src/commands/index.ts';
import { wrongArity } from '../../src/resp/errors.ts';
import { DoubleReply, ErrorReply, MapReply, NullArray, type Reply, ReplyError, Status } from '../../src/resp/reply.ts';
import { Lock } from '../../src/values/lock.ts';
import { Aborted, MemoryView, Parked } from '../doubles/memory-view.ts';

/** Names of all rows that any test of this process has run. */
export const rowsRun = new Set<string>();

export type Word = string | Buffer;

export class Client {
  readonly view = new MemoryView();
  database = 0;
  readonly #args = new Args();

  /** The reply as text. Words are latin1. */
  run(...words: readonly Word[]): string {
    try {
      return showReply(this.call(...words));
    } catch (error) {
      if (error instanceof Parked) return `parked until +${error.deadlineMs - this.view.nowMs}`;
      throw error;
    }
  }

  /** Like `run`, from one line of words parted by blanks. */
  line(line: string): string {
    return this.run(...line.split(' '));
  }

  /** The reply itself; throws Parked if the command waits. */
  call(...words: readonly Word[]): Reply {
    const argv = words.map((word) => (typeof word === 'string' ? Buffer.from(word, 'latin1') : word));
    const row = findRow(argv);
    if (row.arity >= 0 ? argv.length !== row.arity : argv.length < -row.arity) return wrongArity(row.name);
    rowsRun.add(row.name);
    const savepoint = this.view.savepoint();
    const changes = this.view.changeCount;
    try {
      const reply = row.run(this.view, this.#args.reset(argv, this.database));
      assert.ok(
        row.flags.includes('write') || this.view.changeCount === changes,
        `${row.name} is not a write, but wrote`,
      );
      return reply;
    } catch (error) {
      if (error instanceof ReplyError || error instanceof Aborted) {
        this.view.rollback(savepoint);
        return error.reply;
      }
      throw error;
    }
  }

  /** Puts something at the key that no string command may touch. */
  putOther(key: string): void {
    this.view.put(this.database, key, new Lock({ token: 1, owner: null, expiresAtMs: 0, acquiredAt: 0 }), 0);
  }
}

/** The row that a dispatcher finds for these words. */
function findRow(argv: readonly Buffer[]): DataCommand {
  const name = (argv[0] ?? Buffer.alloc(0)).toString('latin1').toUpperCase();
  const subcommand =
    argv[1] === undefined ? undefined : dataCommandsByName.get(`${name}|${argv[1].toString('latin1').toUpperCase()}`);
  const row = subcommand ?? dataCommandsByName.get(name);
  assert.ok(row !== undefined, `no row for ${name}`);
  return row;
}

function showReply(reply: Reply): string {
  if (reply === null) return 'nil';
  if (typeof reply === 'string') return showBulk(reply);
  if (typeof reply === 'number') {
    assert.ok(Number.isSafeInteger(reply) && !Object.is(reply, -0), `${reply} is not an integer reply`);
    return `:${reply}`;
  }
  if (typeof reply === 'bigint' || typeof reply === 'boolean') return `:${reply}`;
  if (reply instanceof Uint8Array) return showBulk(Buffer.from(reply).toString('latin1'));
  if (reply instanceof Status) return `+${reply.text}`;
  if (reply instanceof ErrorReply) return `-${reply.text}`;
  if (reply instanceof NullArray) return 'nil*';
  if (reply instanceof DoubleReply) return `,${reply.value}`;
  if (reply instanceof MapReply) return showReply(reply.entries.flat());
  assert.ok(isArray(reply), 'an unknown kind of reply');
  return `[${reply.map(showReply).join(', ')}]`;
}

function isArray(reply: Reply): reply is readonly Reply[] {
  return Array.isArray(reply);
}

/** Long ones as their length and their ends, so that a golden file stays readable. */
export function showBulk(text: string): string {
  if (text.length > 200) return `${showBulk(text.slice(0, 20))}...${showBulk(text.slice(-20))} (${text.length})`;
  const escaped = text.replace(/[\\"]|[^\x20-\x7e]/g, (character) =>
    character === '"' || character === '\\'
      ? `\\${character}`
      : `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return `"${escaped}"`;
}
