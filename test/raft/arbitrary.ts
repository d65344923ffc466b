/** Messages, changes and configurations at random, all of them well formed. */
import fc from 'fast-check';
import { encodeConfChange } from '../../src/raft/conf-codec.ts';
import { draftMessage } from '../../src/raft/messages.ts';
import { ENTRY_TYPES, MESSAGE_TYPES } from '../../src/raft/types.ts';
import type { ConfChange, ConfState, Entry, Message } from '../../src/raft/types.ts';

const number53 = fc.oneof(fc.nat(100), fc.maxSafeNat());
const node = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 2 ** 32 - 1 }));

const PLAIN = { noNullPrototype: true };

export const confChange: fc.Arbitrary<ConfChange> = fc.record(
  {
    changes: fc.array(fc.record({ kind: fc.constantFrom('addVoter', 'addLearner', 'remove'), node }, PLAIN), {
      maxLength: 5,
    }),
    joint: fc.boolean(),
    context: fc.uint8Array({ maxLength: 20 }),
  },
  PLAIN,
);

/** Disjoint lists as a group may have them; blank ones only if `isBlankAllowed`. */
export function confState(isBlankAllowed: boolean): fc.Arbitrary<ConfState> {
  return fc
    .tuple(
      fc.uniqueArray(node, { minLength: isBlankAllowed ? 0 : 1, maxLength: 9 }),
      fc.nat(3),
      fc.nat(3),
      fc.boolean(),
    )
    .map(([ids, learners, next, isJoint]) => {
      const learnerCount = Math.min(learners, Math.max(0, ids.length - 1));
      const rest = ids.slice(learnerCount);
      const nextCount = isJoint ? Math.min(next, Math.max(0, rest.length - 1)) : 0;
      return {
        voters: rest.slice(nextCount),
        votersOutgoing: isJoint ? rest : [],
        learners: ids.slice(0, learnerCount),
        learnersNext: rest.slice(0, nextCount),
      };
    });
}

interface Raw {
  readonly steps: readonly { readonly rise: number; readonly data: Uint8Array; readonly change: ConfChange | null }[];
  readonly logTerm: number;
  readonly index: number;
}

function entriesOf(raw: Raw): Entry[] {
  let term = raw.logTerm;
  return raw.steps.map(({ rise, data, change }, i) => {
    term = Math.max(1, term + rise);
    const index = raw.index + 1 + i;
    if (change === null) return { term, index, type: ENTRY_TYPES.normal, data };
    return { term, index, type: ENTRY_TYPES.confChange, data: encodeConfChange(change) };
  });
}

const step = fc.record({
  rise: fc.nat(2),
  data: fc.uint8Array({ maxLength: 40 }),
  change: fc.option(confChange, { freq: 4 }),
});

export const message: fc.Arbitrary<Message> = fc
  .record({
    type: fc.constantFrom(...Object.values(MESSAGE_TYPES)),
    from: node,
    to: node,
    logTerm: fc.oneof(fc.nat(50), fc.nat(2 ** 40)),
    index: fc.oneof(fc.nat(50), fc.nat(2 ** 40)),
    commit: number53,
    reject: fc.boolean(),
    rejectHint: number53,
    context: number53,
    leaderTimeMs: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e13, noNaN: true })),
    steps: fc.array(step, { maxLength: 5 }),
    snapshotIndex: fc.integer({ min: 1, max: 2 ** 40 }),
    confState: confState(false),
  })
  .map((raw) => {
    const entries = raw.type === MESSAGE_TYPES.append ? entriesOf(raw) : [];
    const term = Math.max(1, raw.logTerm, entries[entries.length - 1]?.term ?? 0);
    const isSnapshot = raw.type === MESSAGE_TYPES.snapshot;
    return {
      ...draftMessage(raw.type, raw.from, raw.to, term),
      logTerm: raw.logTerm,
      index: raw.index,
      commit: raw.commit,
      entries,
      reject: raw.reject,
      rejectHint: raw.rejectHint,
      context: raw.context,
      snapshot: isSnapshot ? { index: raw.snapshotIndex, term, confState: raw.confState } : null,
      leaderTimeMs: Object.is(raw.leaderTimeMs, -0) ? 0 : raw.leaderTimeMs,
    };
  });
