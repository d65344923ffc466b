/**
 * Runs Lua scripts as Redis does, synchronously, for one node. The engine behind it may be replaced: nothing of it
 * shows here.
 *
 * Hot path (bench: compat/bench, EVALSHA). A run sets KEYS and ARGV, calls the compiled function in protected mode and
 * reads its result from Lua's memory. Compiled functions stay in the registry, by SHA1, least recently used first out.
 *
 * A run ends in one of three ways. It returns a reply, which may be the error that the script raised: what the script
 * had written stands, as in Redis. Or it throws a ReplyError because a limit was passed: the caller undoes everything.
 * Or it throws what `call` threw (a key that is not resident, a bug): the caller undoes everything too.
 *
 * After a run that passed a limit the engine is thrown away, and the next run makes a new one (about 3 ms, and every
 * script is compiled again when it is next used). Lua 5.1 has no emergency collector, and WebAssembly memory never
 * shrinks, so an engine whose memory has become large is replaced as well.
 */
import { assert } from '../base/assert.ts';
import type { Clock } from '../base/platform.ts';
import type { ErrorReply, Reply } from '../resp/reply.ts';
import { LuaEngine } from './engine.ts';
import { INSTRUCTIONS_MAX, MEMORY_BYTES_MAX, TIME_LIMIT_MS } from './limits.ts';
import type { ScriptRun } from './script-run.ts';
import { loadLuaModule, type LuaModule } from './wasm.ts';

export interface ScriptHostOptions {
  readonly clock: Clock;
  /** Heap of the engine in bytes; a script that needs more is aborted. At least 8 MiB. */
  readonly memoryBytesMax?: number;
  /** Time in ms that a script may take; the node does nothing else meanwhile. */
  readonly timeLimitMs?: number;
  /** Lua instructions that a script may execute. */
  readonly instructionsMax?: number;
  /** What redis.REDIS_VERSION says. */
  readonly redisVersion: string;
}

export interface ScriptHost {
  run(run: ScriptRun): Reply;
  /** Null if the script compiles, or the error that EVAL and SCRIPT LOAD answer. Keeps the compiled script. */
  compile(sha: string, body: Uint8Array): ErrorReply | null;
}

export async function createScriptHost(options: ScriptHostOptions): Promise<ScriptHost> {
  return new LuaScriptHost(await loadLuaModule(), options);
}

class LuaScriptHost implements ScriptHost {
  readonly #module: LuaModule;
  readonly #options: Required<ScriptHostOptions>;
  #engine: LuaEngine | null = null;
  #isRunning = false;

  constructor(module: LuaModule, options: ScriptHostOptions) {
    this.#module = module;
    this.#options = {
      memoryBytesMax: MEMORY_BYTES_MAX,
      timeLimitMs: TIME_LIMIT_MS,
      instructionsMax: INSTRUCTIONS_MAX,
      ...options,
    };
    this.#engine = this.#createEngine();
  }

  run(run: ScriptRun): Reply {
    assert(!this.#isRunning, 'a script runs within a script');
    const engine = this.#usableEngine();
    this.#isRunning = true;
    try {
      return engine.run(run);
    } finally {
      this.#isRunning = false;
      if (engine.isSpoiled) this.#engine = null;
    }
  }

  compile(sha: string, body: Uint8Array): ErrorReply | null {
    const engine = this.#usableEngine();
    try {
      return engine.check(sha, body);
    } finally {
      if (engine.isSpoiled) this.#engine = null;
    }
  }

  #usableEngine(): LuaEngine {
    this.#engine ??= this.#createEngine();
    return this.#engine;
  }

  #createEngine(): LuaEngine {
    return new LuaEngine(this.#module, this.#options);
  }
}
