import type { GroupId, LogIndex, NodeId, Term } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Clock, Random } from '../base/platform.ts';
import type { DataStore, RecordRange } from '../storage/data/types.ts';
import type { KeyspaceStats } from './keyspace-stats.ts';
import type { PartitionState } from './partition-state.ts';
import type { PartitionTime } from './partition-time.ts';
import type { RecordReader } from './record-reader.ts';
import type { RequestLedger } from './request-ledger.ts';
import type { MemoryBudget } from './resident.ts';
import type { Scanner } from './scanner.ts';

/** What a tenure needs of the replica that it belongs to. */
export interface TenureHost {
  readonly group: GroupId;
  readonly node: NodeId;
  readonly commandTimeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly time: PartitionTime;
  readonly reader: RecordReader;
  readonly scanner: Scanner;
  readonly data: DataStore;
  readonly slots: { readonly first: number; readonly last: number };
  /** Where the records of the partition lie. */
  readonly range: RecordRange;
  readonly budget: MemoryBudget;
  readonly keyspaceStats: KeyspaceStats;
  readonly log: Logger;
  readonly transactionTag: string;
  /** A transaction was prepared or decided, or what earlier leaders promised was taken up. */
  transactionOpened(): void;
  readonly term: Term;
  /** True if this node alone is the majority: leadership needs no confirmation. */
  readonly isSoleVoter: boolean;
  readonly lastIndex: LogIndex;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  /** As of `appliedIndex`. */
  readonly appliedState: PartitionState;
  /** True when LevelDB or the log lag so far behind that writes must wait. */
  readonly isBackedUp: boolean;
  readonly isLeaseValid: boolean;
  slotOf(key: string): number;
  /** Appends to the log; returns the index. Never refuses while the tenure lasts. */
  propose(entry: Uint8Array): LogIndex;
  /** Something is to be done at the end of this turn. */
  wake(): void;
  /** Asks for `look` at this monotonic moment (ms), or soon after. */
  lookAt(atMs: number): void;
  /** Fills a new ledger from the log and from what a snapshot carried. */
  fillLedger(ledger: RequestLedger): void;
}
