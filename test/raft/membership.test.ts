/**
 * Whatever sequence of changes is allowed: any two majorities of consecutive configurations meet, every configuration
 * is a possible one, and the history beside the log goes back and forth with it. Majorities are found by trying all.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  BLANK_CONF,
  isJoint,
  LEAVE_JOINT,
  Membership,
  objectionTo,
  objectionToConf,
} from '../../src/raft/membership.ts';
import { jointVote } from '../../src/raft/quorum.ts';
import type { ConfChange, ConfState } from '../../src/raft/types.ts';

const NODES = 5;

const change: fc.Arbitrary<ConfChange> = fc.record(
  {
    changes: fc.array(
      fc.record(
        { kind: fc.constantFrom('addVoter', 'addLearner', 'remove'), node: fc.integer({ min: 1, max: NODES }) },
        { noNullPrototype: true },
      ),
      { maxLength: 4 },
    ),
    joint: fc.boolean(),
    context: fc.constant(new Uint8Array(0)),
  },
  { noNullPrototype: true },
);

/** The sets of nodes, as bits, that can decide in `conf`. */
function quorums(conf: ConfState): number[] {
  return [...Array(2 ** NODES).keys()].filter((bits) => {
    const votes = new Map([...Array(NODES).keys()].map((i) => [i + 1, (bits & (1 << i)) !== 0]));
    return jointVote(conf.voters, conf.votersOutgoing, votes) === 'won';
  });
}

describe('raft membership', () => {
  it('any two majorities of consecutive configurations share a node', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
        const membership = new Membership(0, { ...BLANK_CONF, voters: [1, 2, 3] });
        let index = 0;
        for (const wish of changes) {
          const before = membership.conf;
          const next = isJoint(before) && wish.changes.length > 0 ? LEAVE_JOINT : wish;
          if (objectionTo(before, next) !== null) continue;
          membership.appended(++index, next);
          assert.equal(objectionToConf(membership.conf), null);
          const later = quorums(membership.conf);
          for (const a of quorums(before)) for (const b of later) assert.notEqual(a & b, 0);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('the history follows truncation and compaction of the log', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 10 }), fc.nat(12), fc.nat(12), (changes, cut, compact) => {
        const membership = new Membership(0, { ...BLANK_CONF, voters: [1, 2, 3] });
        const confs = [membership.conf];
        for (const wish of changes) {
          const next = isJoint(membership.conf) ? LEAVE_JOINT : wish;
          if (objectionTo(membership.conf, next) !== null) continue;
          membership.appended(confs.length, next);
          confs.push(membership.conf);
        }
        const from = Math.min(1 + cut, confs.length);
        membership.truncated(from);
        assert.equal(membership.conf, confs[from - 1]);
        const base = Math.min(compact, from - 1);
        membership.compacted(base);
        for (let index = base; index < from; index++) assert.equal(membership.at(index), confs[index]);
      }),
      { numRuns: 500 },
    );
  });

  it('a change that would make no sense has an objection', () => {
    const conf: ConfState = { ...BLANK_CONF, voters: [1, 2], learners: [3] };
    const joint: ConfState = { ...conf, votersOutgoing: [1] };
    const one = (kind: 'addVoter' | 'remove', node: number) => ({ kind, node });
    const context = new Uint8Array(0);
    assert.equal(objectionTo(conf, { changes: [one('remove', 2)], joint: false, context }), null);
    assert.match(
      objectionTo(conf, { changes: [one('remove', 2), one('remove', 1)], joint: false, context }) ?? '',
      /no voter/,
    );
    assert.match(
      objectionTo(conf, { changes: [one('remove', 2), one('addVoter', 2)], joint: false, context }) ?? '',
      /twice/,
    );
    assert.match(objectionTo(conf, LEAVE_JOINT) ?? '', /no joint configuration/);
    assert.match(objectionTo(conf, { ...LEAVE_JOINT, joint: true }) ?? '', /must change something/);
    assert.match(objectionTo(joint, { changes: [one('addVoter', 3)], joint: false, context }) ?? '', /left first/);
    assert.match(objectionToConf({ ...conf, learners: [1] }) ?? '', /learner too/);
    assert.match(objectionToConf({ ...BLANK_CONF, learners: [1] }) ?? '', /without a voter/);
  });
});
