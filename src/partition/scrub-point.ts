/**
 * The data of a replica as of one index of the log, for comparing replicas (cluster/scrub.ts).
 *
 * Replicas apply entries in batches of their own, so at a random moment no two of them hold the same. But what the newest
 * records and the partition's state are at a given applied index follows from the log alone. So the applier is asked to
 * end a batch at the index, and LevelDB's snapshot is taken in the very call in which that batch is done, before the next one.
 *
 * There is no such view where the data does not follow from the log up to the index: the replica is beyond it, its data is
 * damaged or being replaced, or it is replayed after a crash of the machine and holds effects of later entries already.
 */
import type { LogIndex } from '../base/ids.ts';
import type { DataSnapshot } from '../storage/data/types.ts';
import { encodePartitionState } from './partition-state.ts';
import type { Replica } from './replica.ts';

export interface DataAtIndex {
  /** Whoever was handed it releases it. */
  readonly snapshot: DataSnapshot;
  /** The partition's state, as it is stored. */
  readonly state: Uint8Array;
}

/**
 * Calls back once, at the earliest within the call: with the data as of `index`, or with null if there will be none. A later call
 * for the same replica takes the place of an earlier one; so does `applier.endStop`.
 */
export function whenAppliedExactly(
  replica: Pick<Replica, 'group' | 'applier' | 'data' | 'isQuarantined'>,
  index: LogIndex,
  taken: (data: DataAtIndex | null) => void,
): void {
  if (replica.isQuarantined) {
    taken(null);
    return;
  }
  const { group, applier, data } = replica;
  applier.stopAt(index, (isReached) => {
    if (isReached && data.isExact(group)) {
      taken({ snapshot: data.snapshot(), state: encodePartitionState(applier.state) });
    } else taken(null);
  });
}
