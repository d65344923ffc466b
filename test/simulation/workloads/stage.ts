/**
 * What a workload needs of the world that it runs in: clients, time, chance, and somebody to tell. The simulator gives one
 * (sim-stage.ts), a run on real processes another; workloads know neither.
 */
import type { Reply } from '../../../src/resp/reply.ts';
import type { SeededRandom } from '../../doubles/seeded-random.ts';

/**
 * What became of a request. Its class is as in checkers/history.ts; replies that say "no" (nil, WRONGTYPE) are ok.
 * Replies are those of resp/reply.ts: bulk strings are latin1 strings, integers numbers.
 */
export type Outcome =
  | { readonly kind: 'ok'; readonly reply: Reply }
  | { readonly kind: 'failed'; readonly error: string }
  | { readonly kind: 'unknown'; readonly error: string };

export type Request = readonly (string | number)[];

/** A connection, made when it is first needed and again after it broke. It repeats nothing. */
export interface StageClient {
  /** Sends the requests in one go; outcomes in the order of the requests. Never rejects. */
  pipeline(requests: readonly Request[]): Promise<readonly Outcome[]>;
  /** Whether the connection of the last requests still stands: what it watches does not outlive it. */
  readonly isConnected: boolean;
  /** Whatever was asked becomes unknown. */
  disconnect(): void;
}

/** How much work there shall be. */
export interface Load {
  /** Clients of each workload. */
  readonly clientCount: number;
  /** Mean pause of a client between two requests, ms. */
  readonly thinkMs: number;
  /** Share of reads, where a workload does not decide. */
  readonly readChance: number;
}

export interface Stage {
  readonly load: Load;
  /** Faults strike in this run: what only holds without them is not asked for. */
  readonly hasFaults: boolean;
  readonly nodeCount: number;
  /** Settings of the history of keys, ms and number; undefined as by default: none is kept, besides what is held. */
  readonly history?: { readonly retentionMs: number; readonly retentionCount: number };
  /** Each partition's, leader included. */
  readonly replicaCount: number;
  readonly random: SeededRandom;
  /** Of one monotonic clock, the same for all clients. */
  readonly nowMs: number;
  /** Clients start nothing new. */
  readonly isStopping: boolean;
  sleep(ms: number): Promise<void>;
  after(ms: number, callback: () => void): void;
  /** A new client, at a node of the stage's choice. */
  createClient(name: string): StageClient;
  /** Until when a lease, or a time to live, that was asked for at `startMs` surely lasts, by `nowMs`. */
  surelyUntil(startMs: number, ttlMs: number): number;
  /**
   * How many replicas besides the leader may hold what was written with this text in it; Infinity if that cannot be told. Asked at
   * once after a reply, so that no more can have got it in between.
   */
  readonly holdersOf?: (text: string) => number;
  /** The last moment at which two nodes had no connection to each other, as they saw it. Undefined if the stage does not know. */
  readonly lastApartMs?: number;
  /** Counts evidence that a run did its work. */
  mark(name: string, times?: number): void;
  /** An operation has ended. */
  ended(
    operation: { readonly client: string; readonly request: Request; readonly startMs: number },
    outcome: Outcome,
  ): void;
  /** A rule is broken: the run may end here. */
  violation(text: string): void;
}

const FAILED =
  /^(TRYAGAIN|CLUSTERDOWN|LOADING|READONLY|OOM|MISCONF|MOVED|NOAUTH|EXECABORT|BUSY|CROSSSLOT|NOSCRIPT|FENCED|CONFLICT|NOTX|MASTERDOWN)\b/;

/** The class of an error reply's text. */
export function classOfError(text: string): 'ok' | 'failed' | 'unknown' {
  if (FAILED.test(text)) return 'failed';
  return text.startsWith('UNCERTAIN ') ? 'unknown' : 'ok';
}

/** A reply in plain words, for traces. */
export function plain(reply: unknown): unknown {
  if (reply instanceof Uint8Array) return Buffer.from(reply).toString('latin1');
  if (Array.isArray(reply)) return reply.map(plain);
  if (typeof reply === 'bigint') return reply.toString();
  if (reply !== null && typeof reply === 'object') {
    if ('text' in reply) return reply.text;
    if ('entries' in reply && Array.isArray(reply.entries)) return reply.entries.map(plain);
    return {};
  }
  return reply;
}
