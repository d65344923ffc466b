/** Bounds of the room, with unit and reason. */

/** Default heap of one Lua engine, in bytes: beyond it the script is aborted and the engine replaced. */
export const MEMORY_BYTES_MAX = 64 * 1024 * 1024;
/** What the engine takes before Lua has allocated anything: its C stack (4 MiB) and static data. Not part of the limit. */
export const ENGINE_BYTES = 5 * 1024 * 1024;
/** Default time that one script may take, in ms: it runs on the thread that serves everything else. */
export const TIME_LIMIT_MS = 5_000;
/** Default instructions that one script may execute; bounds scripts where the clock stands still (simulation). */
export const INSTRUCTIONS_MAX = 2_000_000_000;
/** Instructions between two looks at the clock and the heap. */
export const INSTRUCTIONS_PER_CHECK = 1_000;
/** An engine whose memory has grown beyond this is replaced after the run, because WebAssembly memory never shrinks. */
export const RETAINED_BYTES_MAX = 40 * 1024 * 1024;
/** Memory that is allocated and never used, so that garbage of small scripts is collected once in two megabytes. */
export const BALLAST_BYTES = 2 * 1024 * 1024;

/** Compiled scripts kept by one engine; the least recently used goes first. */
export const COMPILED_SCRIPTS_MAX = 2_000;
/** Sum of their source bytes. */
export const COMPILED_BYTES_MAX = 4 * 1024 * 1024;
/** Largest source of one script. */
export const SCRIPT_BYTES_MAX = 8 * 1024 * 1024;

/** Bytes in WebAssembly memory through which strings are passed; longer ones get memory of their own. */
export const SCRATCH_BYTES = 64 * 1024;

/** Tables within tables that a reply may have. */
export const REPLY_DEPTH_MAX = 500;
/** Elements of one reply, over all levels. */
export const REPLY_ELEMENTS_MAX = 4_000_000;

/** Steps that a pattern may need by estimate before it is run by our own matcher, which counts them. */
export const NATIVE_PATTERN_STEPS_MAX = 20_000_000;
/** Comparisons that a plain search may need by estimate before it is done by a linear algorithm. */
export const NATIVE_SEARCH_STEPS_MAX = 1_000_000_000;
/** Nesting of pattern items in our own matcher. */
export const PATTERN_DEPTH_MAX = 200;

/** Modules that cjson.new may hand out within one run. */
export const CJSON_MODULES_MAX = 1_000;
