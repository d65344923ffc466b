/**
 * Commands that name no key and concern every partition: asked of all of them, and the answers joined.
 *
 * With one partition they are ordinary work and exact. With several, each partition answers for one moment of its own,
 * which docs/commands.md says; a flush is a transaction.
 */
import { notAcrossPartitions } from '../resp/errors.ts';
import { EncodedReply, ErrorReply, type Reply } from '../resp/reply.ts';
import { decodeReplies } from '../resp/decode.ts';
import { slotOfCursor } from '../partition/scanner.ts';
import type { Call, Work } from './api.ts';
import type { Route } from './route.ts';

/** How the answers of several partitions become one. */
type Join = (replies: readonly Reply[]) => Reply;

const JOINS: Readonly<Record<string, Join>> = {
  DBSIZE: (replies) => replies.reduce<number>((sum, reply) => sum + Number(reply), 0),
  KEYS: (replies) => replies.flatMap((reply) => (Array.isArray(reply) ? (reply as readonly Reply[]) : [])),
  RANDOMKEY: (replies) => replies.find((reply) => reply !== null) ?? null,
};

/** Commands that page through keys: asked of the partition at which the cursor stands. The value is its position. */
const CURSOR_POSITIONS: Readonly<Record<string, number>> = {
  SCAN: 1,
  'KAHUNA.LOCK|LIST': 2,
  'KAHUNA.SEQ|LIST': 2,
  'KAHUNA.SCAN': 1,
};

const FLUSHES: ReadonlySet<string> = new Set(['FLUSHALL', 'FLUSHDB']);

export interface FanOutHost {
  /** One route a partition, in order of their slots. */
  readonly routes: readonly Route[];
  routeOfSlot(slot: number): Route;
  submitTo(route: Route, work: Work): void;
  /** Empties all partitions at one moment. */
  flush(work: Work): void;
}

/** Handles work that concerns all partitions; false if it is ordinary. Called only where there are several. */
export function fanOut(work: Work, host: FanOutHost): boolean {
  const { call } = work;
  if (call === null) return refuseInTransaction(work);
  const { name } = call.command;
  const cursorAt = CURSOR_POSITIONS[name];
  if (cursorAt !== undefined) {
    host.submitTo(host.routeOfSlot(Math.min(16_383, slotOfCursor(cursorOf(call, cursorAt)))), work);
    return true;
  }
  if (FLUSHES.has(name)) {
    host.flush(work);
    return true;
  }
  const join = JOINS[name];
  if (join === undefined) return false;
  const replies: Reply[] = [];
  let left = host.routes.length;
  host.routes.forEach((route, i) => {
    host.submitTo(route, {
      call,
      transaction: null,
      protocol: work.protocol,
      isNoTouch: work.isNoTouch,
      deadlineMs: work.deadlineMs,
      mark: work.mark,
      complete(reply) {
        replies[i] = reply instanceof EncodedReply ? decodeOne(reply) : reply;
        left--;
        if (left === 0) work.complete(replies.find((one) => one instanceof ErrorReply) ?? join(replies));
      },
    });
  });
  return true;
}

function refuseInTransaction(work: Work): boolean {
  const names = work.transaction?.calls.map((call) => call.command.name) ?? [];
  const concerns = (name: string): boolean => name in JOINS || name in CURSOR_POSITIONS || FLUSHES.has(name);
  if (!names.some(concerns)) return false;
  work.complete(notAcrossPartitions());
  return true;
}

function cursorOf(call: Call, at: number): bigint {
  const text = call.argv[at]?.toString('latin1') ?? '';
  // A malformed cursor is refused by the command itself, wherever it is evaluated.
  return /^\d{1,20}$/.test(text) ? BigInt(text) : 0n;
}

function decodeOne(reply: EncodedReply): Reply {
  return decodeReplies(reply.bytes)[0] ?? null;
}
