/** Bounds of the room, with unit and reason. What is reached is refused or waits; nothing grows without end. */

/** Evaluated but uncommitted mutations of one partition. Beyond it writes are refused with TRYAGAIN. */
export const UNCOMMITTED_BYTES_MAX = 64 * 1024 * 1024;
/** Committed entries that LevelDB has not taken yet, at a leader. Beyond it writes are refused with TRYAGAIN. */
export const UNAPPLIED_BYTES_MAX = 96 * 1024 * 1024;
/** One open batch is closed early at this size, so that one entry stays far below frame and flush limits. */
export const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/**
 * Batches under way to the followers; what arrives meanwhile joins the next: fewer and larger entries under load. Beyond
 * the first number only those leave that are large already. (Measured on three nodes: 4 small ones cost 50 clients a
 * fifth of their SETs; 2 large ones cost 200 clients with pipelines of 16 a fifth of theirs.)
 */
export const INFLIGHT_BATCHES_MAX = 2;
export const INFLIGHT_LARGE_BATCHES_MAX = 4;
export const LARGE_BATCH_BYTES = 16 * 1024;
/** Record bytes handed to one LevelDB batch; more wait for the next. */
export const APPLY_BATCH_BYTES_MAX = 4 * 1024 * 1024;
/** Pause between LevelDB batches of a node, in ms, and the bytes of waiting entries of a group that end it. */
export const APPLY_PAUSE_MS = 10;
export const APPLY_EARLY_BYTES = 512 * 1024;
/** Requests waiting for a key, a load or a range scan in one partition. */
export const PARKED_REQUESTS_MAX = 100_000;
/**
 * Time in ms that long evaluations may take within one turn of the event loop; what comes after them waits for the next
 * one. Well below the interval of heartbeats, which leave between turns.
 */
export const SLICE_MS = 50;
/** How long evaluations may see the same time where nothing ends their turn, in ms: keys may be seen to expire that much later. */
export const TIME_HELD_MS = 20;
/** Bytes of entries of a group since its last checkpoint that start the next one. */
export const CHECKPOINT_LOG_BYTES = 16 * 1024 * 1024;
/** Log bytes of a group in memory beyond which writes are refused until compaction catches up. */
export const LOG_BYTES_MAX = 384 * 1024 * 1024;
/** Keys that one turn of the expiry cycle deletes at most. */
export const EXPIRY_KEYS_PER_CYCLE_MAX = 1_000;
/** Resident keys looked at by one turn of eviction. */
export const EVICTION_STEPS_PER_TURN = 20_000;
/** Pages of a long string that are loaded synchronously within an evaluation; longer ones are loaded aside. */
export const SYNCHRONOUS_PAGES_MAX = 16;
/** Evaluations of one request that ended in "not resident" before it is refused. */
export const LOAD_ROUNDS_MAX = 1_000;
/** Values of the revisions that one request asks for, in bytes; one alone may be longer. */
export const HISTORY_BYTES_MAX = 64 * 1024 * 1024;
/** Scan positions remembered so that SCAN resumes in O(1). */
export const SCAN_CURSORS_MAX = 4_096;
/**
 * The ledger of repeated requests is kept this long after the last repetition, in ms, and not longer than this after it was made:
 * it grows with every write, and a new one holds only what may still be repeated.
 */
export const LEDGER_KEPT_MS = 30_000;
export const LEDGER_AGE_MAX_MS = 60_000;

/**
 * How far, in ms, a commit timestamp from another partition may be ahead of the time here. Timestamps only order commits, so
 * running ahead costs nothing; beyond this a clock is wrong, and every partition that took part would have to follow it.
 */
export const CLOCK_AHEAD_MAX_MS = 60_000;
/** Time for which a part that was never prepared holds its keys if its coordinator does not say more, in ms: at most. */
export const LOCK_LEASE_MAX_MS = 600_000;
/** How long an abort that nobody asked for is remembered beyond the time after which its transaction cannot commit, in ms. */
export const ABORT_KEPT_MS = 60_000;
