/**
 * What must hold of one core between any two calls; cheap enough to be asked in production, at every Ready. What takes
 * several nodes to see (one leader a term, log matching, leader completeness) is asserted by the simulation's ghost.
 */
import type { RaftState } from './state.ts';
import { violated } from './violation.ts';

export function assertInvariants(s: RaftState): void {
  const { log } = s;
  const { unstable } = log;
  if (log.baseIndex > log.applied) violated(`applied ${log.applied} lies before the log's base ${log.baseIndex}`);
  if (log.applied > log.handed) violated(`applied ${log.applied} passes what was handed out, ${log.handed}`);
  if (log.handed > log.commit) violated(`handed out ${log.handed} beyond commit ${log.commit}`);
  if (log.handed > unstable.durableIndex) violated(`handed out ${log.handed} beyond durable ${unstable.durableIndex}`);
  if (log.commit > log.lastIndex) violated(`commit ${log.commit} beyond the last entry ${log.lastIndex}`);
  if (unstable.durableIndex > unstable.stagedIndex) violated(`durable ${unstable.durableIndex} beyond staged`);
  if (unstable.stagedIndex > log.lastIndex)
    violated(`staged ${unstable.stagedIndex} beyond the last entry ${log.lastIndex}`);
  if (log.lastTerm > s.term) violated(`last entry of term ${log.lastTerm} in term ${s.term}`);
  if (unstable.durableTerm > s.term) violated(`durable term ${unstable.durableTerm} ahead of term ${s.term}`);
  if (s.membership.confIndex > log.lastIndex)
    violated(`membership of entry ${s.membership.confIndex} without its entry`);
  assertRole(s);
}

function assertRole(s: RaftState): void {
  switch (s.role) {
    case 'leader':
      if (s.leader !== s.id) violated(`leader ${s.id} believes in ${s.leader}`);
      if (s.vote !== s.id || !s.isTermDurable)
        violated(`leader ${s.id} of term ${s.term} without a durable vote of its own`);
      if (s.termStartIndex > s.log.lastIndex) violated('leader without an entry of its own term');
      if (s.uncommittedBytes < 0) violated(`uncommitted bytes ${s.uncommittedBytes}`);
      return;
    case 'candidate':
      if (s.vote !== s.id || s.leader !== 0) violated(`candidate ${s.id} votes for ${s.vote}, follows ${s.leader}`);
      return;
    case 'preCandidate':
      if (s.leader !== 0) violated(`preCandidate ${s.id} follows ${s.leader}`);
      return;
    case 'follower':
      if (s.leader === s.id) violated(`follower ${s.id} follows itself`);
      return;
  }
}
