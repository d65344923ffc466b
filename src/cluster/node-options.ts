/** What a node of a cluster is made of. */
import type { Logger } from '../base/log.ts';
import type { Platform } from '../base/platform.ts';
import type { DataCommand } from '../commands/define.ts';
import type { HistorySettings } from '../partition/history-keeper.ts';
import type { MemoryBudget } from '../partition/resident.ts';
import type { DataStore } from '../storage/data/types.ts';
import type { RaftLog } from '../storage/log/types.ts';
import type { Identity } from '../transport/handshake.ts';
import type { ScriptCatalog } from './api.ts';
import type { ScrubSettings } from './scrub-rounds.ts';
import type { Topology } from './topology.ts';

export interface ClusterNodeOptions {
  readonly platform: Platform;
  readonly topology: Topology;
  readonly identity: Identity;
  readonly secret: string;
  readonly raftLog: RaftLog;
  readonly data: DataStore;
  readonly dataDirectory: string;
  readonly log: Logger;
  readonly listen: { readonly host: string; readonly port: number };
  /** How clients reach this node, as other nodes shall tell them. */
  readonly clientAddress: { readonly host: string; readonly port: number };
  readonly dataCommands: (scripts: ScriptCatalog) => readonly DataCommand[];
  readonly budget: MemoryBudget;
  readonly readConsistency: 'quorum' | 'lease';
  readonly electionTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly commandTimeoutMs: number;
  readonly logMemoryBytes: number;
  readonly checkpointIntervalMs: number;
  readonly history: HistorySettings;
  readonly scrub: ScrubSettings;
}
