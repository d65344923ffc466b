/** What the parts of the server share: built once by server.ts, handed to every session. */
import type { Logger } from '../base/log.ts';
import type { Platform } from '../base/platform.ts';
import type { Cluster } from '../cluster/api.ts';
import type { Settings } from '../config/live.ts';
import type { DataCommand } from '../commands/define.ts';
import type { ErrorReply } from '../resp/reply.ts';
import type { AclLog } from './acl-log.ts';
import type { Clients } from './clients.ts';
import type { CommandTable } from './command-table.ts';
import type { Credentials } from './credentials.ts';
import type { Dispatcher } from './dispatch.ts';
import type { ProcessFacts } from './facts.ts';
import type { LatencyMonitor } from './latency.ts';
import type { LiveSettings } from './live-settings.ts';
import type { MemoryMarks } from './memory-report.ts';
import type { Monitors } from './monitor.ts';
import type { Pause } from './pause.ts';
import type { ScriptDigests } from './script-bodies.ts';
import type { SlowLog } from './slowlog.ts';
import type { ServerStats } from './stats.ts';
import type { TurnQueue } from './turn.ts';

/** The Redis version whose behaviour and words the server follows, as INFO and HELLO say. */
export const REDIS_VERSION = '7.2.5';

export interface ShutdownRequest {
  /** SHUTDOWN NOW: connections are not drained, leaderships not handed over. */
  readonly isImmediate: boolean;
}

/** Null if the body is a program, else the error that EVAL and SCRIPT LOAD answer. Throws ReplyError if a limit is passed. */
export type CompileScript = (sha: string, body: Buffer) => ErrorReply | null;

export interface ServerContext {
  readonly platform: Platform;
  readonly settings: Settings;
  /** Those settings that are read for each command or byte. */
  readonly live: LiveSettings;
  readonly cluster: Cluster;
  readonly table: CommandTable;
  /** The internal row that WATCH reads versions with. */
  readonly watchVersions: DataCommand | null;
  readonly dispatcher: Dispatcher;
  readonly clients: Clients;
  readonly turn: TurnQueue;
  readonly pause: Pause;
  readonly monitors: Monitors;
  readonly slowLog: SlowLog;
  readonly latency: LatencyMonitor;
  readonly stats: ServerStats;
  readonly credentials: Credentials;
  readonly aclLog: AclLog;
  readonly scriptDigests: ScriptDigests;
  readonly compileScript: CompileScript;
  readonly facts: ProcessFacts;
  readonly memoryMarks: MemoryMarks;
  /** Of the configuration file; empty without one. */
  readonly configPath: string;
  /** CONFIG REWRITE; null without a configuration file. Rejects with an Error that says why not. */
  readonly rewriteConfiguration: (() => Promise<void>) | null;
  readonly log: Logger;
  /** Of Kahuna. */
  readonly version: string;
  /** Monotonic and wall ms when the server was built. */
  readonly startedMs: number;
  readonly startedWallMs: number;
  /** The port of the first listener; 0 before it is bound. */
  readonly port: () => number;
  readonly onShutdown: (request: ShutdownRequest) => void;
}
