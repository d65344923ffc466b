/**
 * What a core does with messages that no peer of its group would send: it may call a broken rule by its name and stop,
 * but never fails otherwise, never loops, and never answers for another.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AssertionFailure } from '../../src/base/assert.ts';
import { RaftCore } from '../../src/raft/core.ts';
import { BLANK_CONF } from '../../src/raft/membership.ts';
import { draftMessage } from '../../src/raft/messages.ts';
import { ENTRY_TYPES, MESSAGE_TYPES } from '../../src/raft/types.ts';
import type { Message, RaftConfig } from '../../src/raft/types.ts';
import { message } from './arbitrary.ts';
import { DEFAULT_CONFIG } from './scenario-group.ts';

const CONFIG: RaftConfig = { ...DEFAULT_CONFIG, id: 1, randomU32: () => 0 };
const CONF = { ...BLANK_CONF, voters: [1, 2, 3] };
const SNAPSHOT = { index: 0, term: 0, confState: CONF };

function follower(): RaftCore {
  const entries = [1, 1, 2].map((term, i) => ({
    term,
    index: i + 1,
    type: ENTRY_TYPES.normal,
    data: new Uint8Array(3),
  }));
  return new RaftCore(CONFIG, { hardState: { term: 2, vote: 0, commit: 1 }, snapshot: SNAPSHOT, entries, applied: 0 });
}

function settle(core: RaftCore): Message[] {
  const sent: Message[] = [];
  while (core.hasReady()) {
    const ready = core.ready();
    sent.push(...ready.messages, ...ready.messagesAfterPersist);
    core.persisted(ready.number);
    const last = ready.committed[ready.committed.length - 1];
    if (last !== undefined) core.applied(last.index);
    if (ready.snapshot !== null) core.snapshotInstalled(ready.snapshot.index);
  }
  return sent;
}

function leader(): RaftCore {
  const core = follower();
  core.campaign();
  settle(core);
  core.step({ ...draftMessage(MESSAGE_TYPES.preVoteResponse, 2, 1, core.term + 1) });
  settle(core);
  core.step({ ...draftMessage(MESSAGE_TYPES.voteResponse, 2, 1, core.term) });
  settle(core);
  assert.equal(core.role, 'leader');
  return core;
}

/** Small numbers, so that they meet the state of the core. */
const near: fc.Arbitrary<Message> = fc
  .tuple(message, fc.nat(6), fc.nat(6), fc.nat(6), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 5 }))
  .map(([m, index, hint, commit, from, term]) => {
    const logTerm = Math.min(m.logTerm, term);
    const entries = m.entries.map((entry, i) => ({
      ...entry,
      index: index + 1 + i,
      term: Math.max(logTerm, Math.min(entry.term, term)),
    }));
    const snapshot =
      m.snapshot === null ? null : { ...m.snapshot, index: index + 1, term: Math.min(m.snapshot.term, term) };
    return { ...m, from, to: 1, term, logTerm, index, commit, entries, rejectHint: hint, snapshot };
  });

describe('raft core', () => {
  for (const [name, create] of [
    ['follower', follower],
    ['leader', leader],
  ] as const) {
    it(`a ${name} takes any sequence of messages, or stops at a broken rule`, () => {
      fc.assert(
        fc.property(fc.array(near, { maxLength: 12 }), (messages) => {
          const core = create();
          try {
            for (const m of messages) {
              const { term, commitIndex } = core;
              core.step(m);
              core.tick();
              for (const sent of settle(core)) assert.equal(sent.from, 1);
              assert.ok(core.term >= term && core.commitIndex >= commitIndex);
            }
          } catch (error) {
            assert.ok(error instanceof AssertionFailure, String(error));
          }
        }),
        { numRuns: 600 },
      );
    });
  }

  it('a disk that contradicts itself is refused at the start', () => {
    const hardState = { term: 1, vote: 0, commit: 0 };
    const entry = { term: 1, index: 1, type: ENTRY_TYPES.normal, data: new Uint8Array(0) };
    const state = { hardState, snapshot: SNAPSHOT, entries: [entry], applied: 0 };
    assert.throws(() => new RaftCore(CONFIG, { ...state, hardState: { ...hardState, commit: 2 } }), AssertionFailure);
    assert.throws(() => new RaftCore(CONFIG, { ...state, applied: 2 }), AssertionFailure);
    assert.throws(() => new RaftCore(CONFIG, { ...state, entries: [{ ...entry, index: 2 }] }), AssertionFailure);
    assert.throws(() => new RaftCore(CONFIG, { ...state, entries: [{ ...entry, term: 2 }] }), AssertionFailure);
    assert.throws(
      () => new RaftCore(CONFIG, { ...state, snapshot: { ...SNAPSHOT, confState: BLANK_CONF } }),
      AssertionFailure,
    );
  });

  it('a driver that acknowledges what it was never given is refused', () => {
    const core = leader();
    const index = core.propose(new Uint8Array(1));
    const ready = core.ready();
    assert.throws(() => core.persisted(ready.number + 1), AssertionFailure);
    core.persisted(ready.number);
    assert.throws(() => core.persisted(ready.number), AssertionFailure);
    assert.throws(() => core.applied(index), AssertionFailure);
    assert.throws(() => core.compact(index), AssertionFailure);
    assert.throws(() => core.snapshotInstalled(index), AssertionFailure);
  });

  it('tells the driver what it needs to know', () => {
    const core = leader();
    assert.equal(core.firstIndex, 1);
    assert.equal(core.lastIndex, 4);
    assert.equal(core.entry(3)?.term, 2);
    assert.equal(core.entry(5), undefined);
    assert.equal(core.termAt(4), 3);
    assert.deepEqual(core.snapshotMetadata(2), { index: 2, term: 1, confState: CONF });
    assert.deepEqual(
      core.followers().map(({ id, match, state }) => ({ id, match, state })),
      [
        { id: 2, match: 0, state: 'probe' },
        { id: 3, match: 0, state: 'probe' },
      ],
    );
    assert.equal(core.hasCommittedOwnTerm, false);
    core.step({ ...draftMessage(MESSAGE_TYPES.appendResponse, 2, 1, core.term), index: 4 });
    assert.equal(core.hasCommittedOwnTerm, true);
    assert.equal(core.isLeaseAllowed, true);
    settle(core);
    assert.equal(core.isIdle, false);
    core.step({ ...draftMessage(MESSAGE_TYPES.appendResponse, 3, 1, core.term), index: 4 });
    settle(core);
    assert.equal(core.isIdle, true);
    core.transferLeadership(2);
    assert.equal(core.isTransferring, true);
    assert.equal(core.isLeaseAllowed, false);
  });
});
