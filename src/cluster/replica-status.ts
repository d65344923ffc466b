import type { Replica } from '../partition/replica.ts';
import type { ReplicaStatus } from './api.ts';

/** What INFO and metrics show of a replica on this node. */
export function statusOf(replica: Replica): ReplicaStatus {
  return {
    group: replica.group,
    role: replica.role,
    leader: replica.leader,
    term: replica.term,
    commitIndex: replica.commitIndex,
    appliedIndex: replica.appliedIndex,
    lastIndex: replica.lastIndex,
    logBytes: replica.logBytes,
    residentKeys: replica.residentKeys,
    residentBytes: replica.residentBytes,
    isQuarantined: replica.isQuarantined,
  };
}
