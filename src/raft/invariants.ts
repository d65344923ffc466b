/**
 * What must hold of one core between any two calls; cheap enough to be asked in production, at every Ready. What takes
 * several nodes to see (one leader a term, log matching, leader completeness) is asserted by the simulation's ghost.
 */
import { assert } from '../base/assert.ts';
import type { RaftState } from './state.ts';

export function assertInvariants(s: RaftState): void {
  const { log } = s;
  const { unstable } = log;
  assert(log.baseIndex <= log.applied, `applied ${log.applied} lies before the log's base ${log.baseIndex}`);
  assert(log.applied <= log.handed, `applied ${log.applied} passes what was handed out, ${log.handed}`);
  assert(log.handed <= log.commit, `handed out ${log.handed} beyond commit ${log.commit}`);
  assert(log.handed <= unstable.durableIndex, `handed out ${log.handed} beyond durable ${unstable.durableIndex}`);
  assert(log.commit <= log.lastIndex, `commit ${log.commit} beyond the last entry ${log.lastIndex}`);
  assert(unstable.durableIndex <= unstable.stagedIndex, `durable ${unstable.durableIndex} beyond staged`);
  assert(unstable.stagedIndex <= log.lastIndex, `staged ${unstable.stagedIndex} beyond the last entry ${log.lastIndex}`);
  assert(log.lastTerm <= s.term, `last entry of term ${log.lastTerm} in term ${s.term}`);
  assert(unstable.durableTerm <= s.term, `durable term ${unstable.durableTerm} ahead of term ${s.term}`);
  assert(s.membership.confIndex <= log.lastIndex, `membership of entry ${s.membership.confIndex} without its entry`);
  assertRole(s);
}

function assertRole(s: RaftState): void {
  switch (s.role) {
    case 'leader':
      assert(s.leader === s.id, `leader ${s.id} believes in ${s.leader}`);
      assert(s.vote === s.id && s.isTermDurable, `leader ${s.id} of term ${s.term} without a durable vote of its own`);
      assert(s.termStartIndex <= s.log.lastIndex, 'leader without an entry of its own term');
      assert(s.uncommittedBytes >= 0, `uncommitted bytes ${s.uncommittedBytes}`);
      return;
    case 'candidate':
      assert(s.vote === s.id && s.leader === 0, `candidate ${s.id} votes for ${s.vote}, follows ${s.leader}`);
      return;
    case 'preCandidate':
      assert(s.leader === 0, `preCandidate ${s.id} follows ${s.leader}`);
      return;
    case 'follower':
      assert(s.leader !== s.id, `follower ${s.id} follows itself`);
      return;
  }
}
