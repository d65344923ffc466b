/** Bounds of the room, with unit and reason. */

/** Reads of several partitions that found something changed in between, before they take locks. */
export const READ_ROUNDS_MAX = 8;
/** Objects that a transaction writes, in bytes, together: they travel and lie in one entry of each partition. */
export const WRITTEN_BYTES_MAX = 64 * 1024 * 1024;
/** Keys that an interactive transaction may read or write. */
export const TRANSACTION_KEYS_MAX = 10_000;
/** Evaluations of one attempt that needed one more key: a script that names them one after the other. */
export const FETCH_ROUNDS_MAX = 1_000;
/** Pause before an attempt that follows the second or a later conflict, in ms: at most, and for each earlier one. */
export const CONFLICT_PAUSE_MAX_MS = 20;
export const CONFLICT_PAUSE_STEP_MS = 2;
/** Pause after which a command that waits for keys of several partitions looks again, in ms: at most. */
export const WAIT_LOOK_MS = 50;
/** Decisions that are carried out and wait to be forgotten with the next commit, by anchor. */
export const SETTLED_MAX = 256;
/** Time after which they are forgotten without one, in ms. */
export const SETTLED_KEPT_MS = 1_000;
/** How often a coordinator tells a participant of a decision before it leaves that to recovery. */
export const RESOLVE_TRIES_MAX = 3;
/** A prepared part whose coordinator lives is settled through the anchor when it is older than any deadline by this much, in ms. */
export const SETTLE_SLACK_MS = 2_000;
/** A decision that its coordinator has not reported as carried out, in ms: then the anchor's leader does. */
export const DECISION_PATIENCE_MS = 10_000;
/** Settlements under way at once, of one node. */
export const SETTLEMENTS_MAX = 256;
