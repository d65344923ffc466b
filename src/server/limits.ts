/**
 * The bounds of the room: what one client, and all of them together, may make the server hold. Settings that Redis has
 * (`maxclients`, `timeout`, `client-output-buffer-limit` …) are settings; these are the bounds behind them.
 */

/**
 * Commands of one session that are dispatched and not yet answered. Past it the session stops dispatching until half of
 * them are answered; large enough that a pipeline keeps a partition's batches full across one round trip between nodes.
 */
export const PENDING_COMMANDS_MAX = 4096;

/** Argument bytes of those commands; a few large values fill it, small ones never do. */
export const PENDING_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Replies that a client has not taken, in bytes, past which its further commands wait. A client that writes a whole
 * pipeline before it reads (redis-py does) stays below it or is served from HELD_BYTES_MAX.
 */
export const OUTPUT_STALL_BYTES = 64 * 1024 * 1024;

/**
 * Unparsed bytes that are read ahead while a session waits (blocked, paused, or over a bound above). Past it the
 * socket is not read, so TCP pushes back. Reading ahead is how the end of a blocked client is noticed.
 */
export const HELD_BYTES_MAX = 16 * 1024 * 1024;

/** Replies written to the connection before the end of the turn, so that a turn of giants does not pile up. Bytes. */
export const EARLY_FLUSH_BYTES = 1024 * 1024;

/**
 * Untaken replies that close a connection where `client-output-buffer-limit` says "no limit". Redis has no ceiling
 * there; a node that must not run out of memory has.
 */
export const OUTPUT_CEILING_BYTES = 1024 * 1024 * 1024;

/** The same before AUTH: no honest client leaves that much unread (Redis 7.2.8 closes at 1 KiB). Bytes. */
export const OUTPUT_UNAUTHENTICATED_BYTES = 16 * 1024;

/** Commands in one MULTI. Each is one element of one Raft entry; far beyond what clients queue. */
export const MULTI_COMMANDS_MAX = 1_000_000;

/** Argument bytes in one MULTI: what one Raft entry may reasonably carry. */
export const MULTI_BYTES_MAX = 64 * 1024 * 1024;

/** Keys that one connection may watch. */
export const WATCHED_KEYS_MAX = 100_000;

/** Commands are found by their exact spelling first; spellings remembered beyond the canonical ones. */
export const SPELLINGS_MAX = 4096;

/** Bytes of CLIENT SETNAME and SETINFO values, which the server stores for the life of the connection. */
export const CLIENT_TEXT_BYTES_MAX = 1024;

/** Arguments and bytes of an argument that the slow log keeps (SLOWLOG_ENTRY_MAX_ARGC, _MAX_STRING of Redis). */
export const SLOWLOG_ARGUMENTS_MAX = 32;
export const SLOWLOG_ARGUMENT_BYTES_MAX = 128;

/** Distinct error prefixes that errorstats counts apart; further ones are counted together as OTHER. */
export const ERROR_PREFIXES_MAX = 128;

/** Entries of ACL LOG (acllog-max-len of Redis), and how far apart equal failures are still one entry. Milliseconds. */
export const ACL_LOG_ENTRIES_MAX = 128;
export const ACL_LOG_MERGE_MS = 60_000;

/** Samples kept for each event of LATENCY HISTORY (LATENCY_TS_LEN of Redis). */
export const LATENCY_SAMPLES_MAX = 160;

/** Scripts whose SHA1 is remembered by body, so that a repeated EVAL hashes nothing; and the largest such body. */
export const SCRIPT_DIGESTS_MAX = 256;
export const SCRIPT_DIGEST_BODY_BYTES_MAX = 8 * 1024;

/** DEBUG SLEEP holds one session, never the node; still not for ever. Milliseconds. */
export const DEBUG_SLEEP_MS_MAX = 60_000;

/** The server's own clockwork: idle clients, soft limits, operations per second. Milliseconds. */
export const HOUSEKEEPING_INTERVAL_MS = 1000;

/** A connection that is being closed may take this long to take its last replies. Milliseconds. */
export const LINGER_MS = 5000;

/** Time after which an interactive transaction is rolled back, if it does not say, and the longest that it may ask for. Milliseconds. */
export const TRANSACTION_TIMEOUT_DEFAULT_MS = 10_000;
export const TRANSACTION_TIMEOUT_MAX_MS = 300_000;

/** Admin HTTP: request head in bytes, time for it to arrive in ms, connections at once. */
export const HTTP_HEAD_BYTES_MAX = 8 * 1024;
export const HTTP_HEAD_MS_MAX = 10_000;
export const HTTP_CONNECTIONS_MAX = 64;

/** Commands that the slow log takes in one second. */
export const SLOWLOG_RECORDS_PER_SECOND_MAX = 200;
