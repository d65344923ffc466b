/** Transactions across partitions: their messages and records as bytes, and a leader that is told anything by them. */
import assert from 'node:assert/strict';
import { readWhole, type WholeObject, writeWhole } from '../../../src/values/whole.ts';
import { ByteReader, ByteWriter } from '../../../src/base/bytes.ts';
import { participantRows } from '../../../src/partition/participant.ts';
import {
  decodeChecks,
  decodeCommit,
  decodeDecision,
  decodeFetched,
  decodeIds,
  decodeIntent,
  decodeKeys,
  decodeLock,
  decodeOutcome,
  decodeResolve,
  encodeChecks,
  encodeCommit,
  encodeDecision,
  encodeFetched,
  encodeIds,
  encodeIntent,
  encodeKeys,
  encodeLock,
  encodeOutcome,
  encodeResolve,
} from '../../../src/partition/transaction-codec.ts';
import { PAGE_BYTES, stringFromBytes } from '../../../src/values/string.ts';
import { TestLeader } from '../../partition/leader.ts';
import type { FuzzTarget } from '../target.ts';
import { codecTarget } from './round-trip.ts';

const id = { node: 2, epoch: 9, counter: 4 };
const other = { ...id, counter: 5 };
const key = { space: 0, key: 'k' };
const object: WholeObject = { value: 'value', expiresAtMs: 0 };
const lock = {
  id,
  waits: false,
  isConfirmed: false,
  leaseMs: 1_000,
  keys: [
    { ...key, mode: 'write' as const },
    { space: 16, key: 'other', mode: 'read' as const },
  ],
};
/** As a leader of the first term would find it: nothing was ever written. */
const intent = {
  id,
  anchor: 1,
  term: 1,
  decideByMs: 1_700_000_060_000,
  checks: [{ ...key, version: 1 }],
  writes: [
    { ...key, object },
    { space: 0, key: 'j', object: null },
  ],
};
const blind = { ...intent, id: other, term: 0, checks: [] };
/** Empties a database; and something like it that makes no sense. */
const flush = { ...blind, writes: [{ space: 18, key: '{1}*3', object: null }] };
const nonsense = { ...blind, writes: [{ space: 18, key: '{1}*16', object }] };
const commit = { timestampMin: 0, participants: [2, 3], settled: [other], intent: blind };

function wholeBytes(one: WholeObject): Uint8Array {
  const writer = new ByteWriter(64);
  writeWhole(writer, one);
  return writer.finishCopy();
}

const messages: readonly FuzzTarget[] = [
  codecTarget({
    name: 'whole-object',
    about: 'an object that travels with a transaction',
    seeds: () => [
      wholeBytes(object),
      wholeBytes({ value: stringFromBytes(Buffer.alloc(PAGE_BYTES + 1)), expiresAtMs: 5 }),
    ],
    again: (input) => {
      const reader = new ByteReader(input);
      const read = readWhole(reader);
      reader.expectEnd();
      return wholeBytes(read);
    },
  }),
  codecTarget({
    name: 'transaction-lock',
    about: 'a coordinator takes keys',
    seeds: () => [encodeLock(lock), encodeLock({ ...lock, waits: true, isConfirmed: true, keys: [] })],
    again: (input) => encodeLock(decodeLock(input)),
  }),
  codecTarget({
    name: 'transaction-keys',
    about: 'a coordinator reads keys',
    seeds: () => [encodeKeys(lock.keys), encodeKeys([])],
    again: (input) => encodeKeys(decodeKeys(input)),
  }),
  codecTarget({
    name: 'transaction-objects',
    about: 'what a leader answers to both',
    seeds: () => [
      encodeFetched({ isGranted: false, term: 3, closed: 2, nowMs: 4, objects: [] }),
      encodeFetched({
        isGranted: true,
        term: 3,
        closed: 2,
        nowMs: 4,
        objects: [
          { version: 5, object },
          { version: 6, object: null },
        ],
      }),
    ],
    again: (input) => encodeFetched(decodeFetched(input)),
  }),
  codecTarget({
    name: 'transaction-checks',
    about: 'a coordinator asks whether what it read is still so',
    seeds: () => [encodeChecks(1, intent.checks)],
    again: (input) => {
      const { term, checks } = decodeChecks(input);
      return encodeChecks(term, checks);
    },
  }),
  codecTarget({
    name: 'transaction-intent',
    about: 'what a part is prepared with, and its record',
    seeds: () => [encodeIntent(intent), encodeIntent(blind)],
    again: (input) => encodeIntent(decodeIntent(input)),
  }),
  codecTarget({
    name: 'transaction-commit',
    about: 'what the anchor decides on',
    seeds: () => [encodeCommit(commit)],
    again: (input) => encodeCommit(decodeCommit(input)),
  }),
  codecTarget({
    name: 'transaction-resolve',
    about: 'what became of a transaction; also the question for it',
    seeds: () => [encodeResolve(id, 77), encodeResolve(id, 0)],
    again: (input) => {
      const { id: of, timestamp } = decodeResolve(input);
      return encodeResolve(of, timestamp);
    },
  }),
  codecTarget({
    name: 'transaction-ids',
    about: 'transactions to be let go or forgotten',
    seeds: () => [encodeIds([]), encodeIds([id, other])],
    again: (input) => encodeIds(decodeIds(input)),
  }),
  codecTarget({
    name: 'transaction-outcome',
    about: 'the answer of who prepares and decides',
    seeds: () => [encodeOutcome({ isDone: true, timestamp: 77 })],
    again: (input) => encodeOutcome(decodeOutcome(input)),
  }),
  codecTarget({
    name: 'transaction-decision',
    about: 'the record of a decision',
    seeds: () => [encodeDecision({ timestamp: 77, participants: [2, 3] })],
    again: (input) => encodeDecision(decodeDecision(input)),
  }),
];

// ---------------------------------------------------------------------------------------------------------------

interface Step {
  readonly name: string;
  readonly payload: Buffer;
}

/** Steps of an input: u8 row | u16 length | payload, as far as they go. */
function stepsOf(input: Buffer): readonly Step[] {
  const steps: Step[] = [];
  for (let at = 0; at + 3 <= input.length; ) {
    const end = Math.min(input.length, at + 3 + input.readUInt16LE(at + 1));
    const { name } = participantRows[(input[at] ?? 0) % participantRows.length] ?? { name: '' };
    steps.push({ name, payload: input.subarray(at + 3, end) });
    at = end;
  }
  return steps;
}

function step(name: string, payload: Buffer): Buffer {
  const head = Buffer.alloc(3);
  head[0] = participantRows.findIndex((row) => row.name === name);
  head.writeUInt16LE(payload.length, 1);
  return Buffer.concat([head, payload]);
}

/** Longer than any lease, and than what waits for a lock waits. */
const LONG_MS = 700_000;

const leader: FuzzTarget = {
  name: 'transaction-steps',
  about: 'any steps at all: each is answered, nothing throws, and a new leader takes up what they left',
  seeds: () => [
    Buffer.concat([
      step('%TXLOCK', encodeLock(lock)),
      step('%TXPREPARE', encodeIntent(intent)),
      step('%TXRESOLVE', encodeResolve(id, 0)),
    ]),
    Buffer.concat([
      step('%TXGET', encodeKeys(lock.keys)),
      step('%TXGET', encodeKeys(lock.keys)),
      step('%TXCHECK', encodeChecks(1, intent.checks)),
      step('%TXCOMMIT', encodeCommit(commit)),
      step('%TXSTATUS', encodeResolve(other, 0)),
      step('%TXFORGET', encodeIds([other])),
    ]),
    Buffer.concat([
      step('%TXPREPARE', encodeIntent(blind)),
      step('%TXLOCK', encodeLock({ ...lock, waits: true })),
      step('%TXRESOLVE', encodeResolve(other, 6_963_200_000_000_000)),
      step('%TXRELEASE', encodeIds([id, other])),
    ]),
    ...[flush, nonsense].map((written) =>
      Buffer.concat([
        step('%TXPREPARE', encodeIntent(written)),
        step('%TXRESOLVE', encodeResolve(other, 6_963_200_000_000_000)),
      ]),
    ),
    Buffer.concat([
      step('%TXSTATUS', encodeResolve(other, 1_700_000_060_000)),
      step('%TXCOMMIT', encodeCommit({ ...commit, participants: [] })),
    ]),
  ],
  bytesMax: 1_024,
  msMax: 5_000,
  memoryBytesMax: 512 * 1024 * 1024,
  open: () => ({
    run: async (input) => {
      const world = await TestLeader.create();
      const steps = stepsOf(input);
      steps.forEach(({ name, payload }, i) => {
        world.submit(`${i}`, [name, payload.toString('latin1')], { deadlineMs: world.nowMs + 1_000 });
      });
      world.submit('set', ['SET', 'k', 'w'], { deadlineMs: world.nowMs + 1_000 });
      await world.settle();
      world.pass(LONG_MS);
      await world.settle();
      assert.equal(world.answers.length, steps.length + 1, 'each step is answered, and so is who waited for its keys');
      await world.takeOver();
      const prepared = [...world.tenure.locks.parts];
      assert.ok(prepared.every(({ isPrepared }) => isPrepared));
      for (const part of prepared) {
        const { node, epoch, counter } = part.id;
        await world.ask('%TXRESOLVE', encodeResolve({ node, epoch, counter }, 0).toString('latin1'));
      }
      assert.equal(world.tenure.locks.partCount, 0);
      assert.equal(await world.ask('SET', 'k', 'x'), '+OK');
    },
  }),
};

export const transactionTargets: readonly FuzzTarget[] = [...messages, leader];
