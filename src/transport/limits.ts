/** Bounds of the room, with unit and reason. */

/** Largest frame from an authenticated peer: an entry with a 512 MB value, and what surrounds it. */
export const FRAME_BYTES_MAX = 640 * 1024 * 1024;
/** Largest frame before the peer is authenticated. */
export const HANDSHAKE_BYTES_MAX = 4 * 1024;
/** Time for a connection to be made and authenticated, in ms. */
export const HANDSHAKE_TIMEOUT_MS = 3_000;
/** Bytes waiting for one peer beyond which messages that may be lost are dropped. */
export const BACKLOG_BYTES_MAX = 64 * 1024 * 1024;
/** Pause before the first new attempt to connect, and the longest one, in ms. */
export const RECONNECT_MIN_MS = 20;
export const RECONNECT_MAX_MS = 500;
/** A link on which nothing was heard for this long is taken down, in ms. */
export const SILENCE_MAX_MS = 4_000;
/** A link on which nothing was sent for this long sends an empty frame, in ms. */
export const KEEP_ALIVE_MS = 1_000;
/** Memory kept by a peer's outgoing buffer between turns. */
export const SCRATCH_BYTES_KEPT = 1024 * 1024;
