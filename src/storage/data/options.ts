import type { GroupId, LogIndex, NodeId } from '../../base/ids.ts';
import type { Logger } from '../../base/log.ts';
import type { ProcessControl } from '../../base/platform.ts';
import type { WriteAheadDisk } from './checkpoint.ts';
import type { GarbageLimits } from './garbage.ts';
import type { KeyValueStore } from './key-value-store.ts';
import type { HistoryPolicy } from './types.ts';

export interface DataStoreOptions {
  /** Open, and owned by the data store from now on. Its write-ahead files have been checked (wal-scanner.ts). */
  readonly store: KeyValueStore;
  readonly identity: DataIdentity;
  /** Equal values mean that the page cache survived since; empty if unknown. */
  readonly machineBootId: string;
  readonly process: ProcessControl;
  readonly disk: WriteAheadDisk;
  /** Where `store` keeps its files. */
  readonly directory: string;
  readonly log: Logger;
  /** True if the check of the write-ahead files found that something at their ends was lost. Default: false. */
  readonly isTailTorn?: boolean;
  /** What the log says is durable, by group: groups that hold no more than that are not suspect. Default: nothing. */
  readonly checkpoints?: ReadonlyMap<GroupId, { readonly index: LogIndex }>;
  /** Default: no history. Null: as it was, until `setHistory` is called. */
  readonly history?: HistoryPolicy | null;
  readonly garbageLimits?: GarbageLimits;
}

export interface DataIdentity {
  readonly clusterId: string;
  readonly nodeId: NodeId;
}
