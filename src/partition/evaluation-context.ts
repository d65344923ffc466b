import type { Slot, Term, Timestamp } from '../base/ids.ts';
import type { Random } from '../base/platform.ts';
import type { PastView, ScanPage, ScanRequest } from '../commands/view.ts';
import type { Space } from '../values/value.ts';
import type { Batch } from './batch.ts';
import type { KeyLocks, KeyName } from './key-locks.ts';
import type { OpenDecision } from './open-transactions.ts';
import type { RecordReader } from './record-reader.ts';
import type { ResidentKey } from './resident.ts';

/** What the view asks of the replica around it. */
export interface EvaluationContext {
  readonly batch: Batch;
  readonly reader: RecordReader;
  readonly random: Random;
  readonly locks: KeyLocks;
  /** What keys were, for the request that is being evaluated. */
  readonly past: PastView;
  /** Greatest commit timestamp that is committed and in LevelDB. */
  readonly appliedTimestamp: Timestamp;
  /** Commits that some participant may not know of, by the name of the transaction. */
  readonly decisions: Map<string, OpenDecision>;
  readonly term: Term;
  /** Hash tag of the records that transactions leave in this partition: they lie at its beginning. */
  readonly transactionTag: string;
  /** All keys lie in this partition. */
  readonly isWhole: boolean;
  /** A transaction has let a key go. */
  keyReleased(name: KeyName): void;
  /** A commit timestamp was refused: it was too far ahead of the time here, by so many ms. */
  refusedTimestamp(aheadMs: number): void;
  /** Keys were taken, a part was prepared or a commit decided: whoever settles what coordinators leave shall know. */
  transactionOpened(): void;
  /** An unprepared part is to be dropped then (partition time, ms). */
  leaseEndsAt(untilMs: number): void;
  slotOf(key: string): Slot;
  waiterCount(space: Space, key: string): number;
  /** Somebody who was there before the present request waits until no part is prepared. */
  isAllAwaited(): boolean;
  /** A page that was read for this evaluation, brought up to date; undefined if it must be read first. */
  scanned(request: ScanRequest): ScanPage | undefined;
  /** Where RANDOMKEY starts looking: the same for all evaluations of a request. */
  randomCursor(): bigint;
  /** False for a cursor that stands behind this partition, or at the end. */
  isCursorHere(cursor: bigint): boolean;
  /** Records of a space are dead now, and lie about. */
  spaceFlushed(): void;
  /** How long the keys of a database that expire have left on average, in ms, by a sample of those in memory. */
  averageTtlMs(database: Space): number;
  /** A key was given an expiry earlier than it is scheduled for. */
  scheduleExpiry(resident: ResidentKey): void;
}
