/**
 * Bounds of one run: time, instructions, memory, SCRIPT KILL; and how a run is ended that must not go on.
 *
 * A script is one synchronous call, so nothing can stop it from outside. Lua calls `hook` every
 * INSTRUCTIONS_PER_CHECK instructions, and library functions that may do much work at once `charge` for it.
 *
 * Ending a run ("abort") must not be catchable by the script's own pcall. So the outcome is kept here, an error is
 * raised, and from then on the hook fires at every instruction and raises again; redis.call, pcall and every guard look
 * too. Whatever the script makes of it, the run ends with the outcome. Coroutines have hooks of their own: one that was
 * waiting for an aborted one runs on to its next check at most.
 *
 * When an interval between two checks took long (concatenation of megabytes, say), the next interval is made shorter.
 */
import type { Clock } from '../base/platform.ts';
import { SCRIPT_KILLED } from '../resp/errors.ts';
import { ErrorReply, ReplyError } from '../resp/reply.ts';
import { BALLAST_BYTES, INSTRUCTIONS_PER_CHECK } from './limits.ts';
import type { Lua } from './lua.ts';
import type { LuaState } from './wasm.ts';

const MASK_COUNT = 8;
const GC_COLLECT = 2;
const GC_COUNT = 3;
/** An interval longer than this is too long: the clock is read more often from then on. */
const INTERVAL_MS_MAX = 5;
/** Units of work charged between two looks at the clock. */
const WORK_PER_CHECK = 50_000;
/** Share of the memory limit at which garbage is collected at once rather than in Lua's own time. */
const EAGER_SHARE = 0.4;
/** Growth since the last eager collection that calls for another. */
const EAGER_GROWTH = 1.2;
const KIB = 1024;

export interface BudgetLimits {
  readonly timeLimitMs: number;
  readonly instructionsMax: number;
  readonly memoryBytesMax: number;
}

/** How an aborted run ends: the exception that leaves it, and whether the engine must be replaced. */
interface Outcome {
  readonly error: unknown;
  readonly spoilsEngine: boolean;
}

export class Budget {
  readonly #lua: Lua;
  readonly #limits: BudgetLimits;
  readonly #clock: Clock;
  readonly #hook: number;
  #isKilled: (() => boolean) | null = null;
  #outcome: Outcome | null = null;
  #instructions = 0;
  #interval = INSTRUCTIONS_PER_CHECK;
  /** Monotonic ms of the first check of this run, or -1; a run that ends before it never reads the clock. */
  #startedAtMs = -1;
  #checkedAtMs = 0;
  #work = 0;
  /** Kibibytes in use that call for an eager collection. */
  #eagerKib: number;

  constructor(lua: Lua, limits: BudgetLimits, clock: Clock) {
    this.#lua = lua;
    this.#limits = limits;
    this.#clock = clock;
    this.#eagerKib = this.#eagerFloorKib();
    this.#hook = lua.addHook((L) => this.#check(L));
    lua.onMemoryRefused = () => this.#memoryRefused();
    this.#arm(lua.main, INSTRUCTIONS_PER_CHECK);
  }

  begin(isKilled: (() => boolean) | null): void {
    this.#isKilled = isKilled;
    this.#instructions = 0;
    this.#startedAtMs = -1;
    this.#work = 0;
  }

  /** True once the run has been ended, whatever the script does. */
  get isAborted(): boolean {
    return this.#outcome !== null;
  }

  /** What ends the run; only if it was aborted. */
  get outcome(): unknown {
    return this.#outcome?.error;
  }

  /** The engine may be in a state that later scripts must not see. */
  get isSpoiled(): boolean {
    return this.#outcome?.spoilsEngine === true;
  }

  /** Ends the run's account; throws the outcome if it was aborted. */
  finish(): void {
    const outcome = this.#outcome;
    if (this.#interval !== INSTRUCTIONS_PER_CHECK || outcome !== null)
      this.#arm(this.#lua.main, INSTRUCTIONS_PER_CHECK);
    if (outcome === null) return;
    if (!outcome.spoilsEngine) this.#outcome = null;
    throw outcome.error;
  }

  /** Ends the run with `error` thrown to the caller of the run; the engine stays good. */
  abort(L: LuaState, error: unknown): never {
    return this.#end(L, { error, spoilsEngine: false });
  }

  /** Called by whoever gets control during an aborted run: raises again. */
  continueAbort(L: LuaState): never {
    this.#arm(L, 1);
    return this.#lua.raiseUnhandled(L, 'script aborted');
  }

  /** The script needs, or would need, more memory than it may have. */
  abortForMemory(L: LuaState): never {
    return this.#end(L, this.#memoryOutcome());
  }

  /** Accounts for work outside of Lua instructions; a unit is about as dear as one. */
  charge(L: LuaState, units: number): void {
    this.#work += units;
    if (this.#work < WORK_PER_CHECK) return;
    this.#instructions += this.#work;
    this.#work = 0;
    this.#checkLimits(L);
  }

  get memoryBytesMax(): number {
    return this.#limits.memoryBytesMax;
  }

  /** Looks at the time after the script itself has ended; throws if it is over. */
  mustHaveTime(): void {
    const now = this.#clock.monotonicMs();
    if (this.#startedAtMs === -1) this.#startedAtMs = now;
    if (now - this.#startedAtMs > this.#limits.timeLimitMs) throw this.#timeError();
  }

  /** Monotonic ms, for os.clock. */
  nowMs(): number {
    return this.#clock.monotonicMs();
  }

  #check(L: LuaState): void {
    if (this.#outcome !== null) this.continueAbort(L);
    this.#instructions += this.#interval;
    this.#checkLimits(L);
    this.#collectEagerly(L);
  }

  #checkLimits(L: LuaState): void {
    if (this.#isKilled?.() === true) {
      this.#end(L, { error: new ReplyError(SCRIPT_KILLED), spoilsEngine: true });
    }
    if (this.#instructions > this.#limits.instructionsMax) {
      const { instructionsMax } = this.#limits;
      this.#end(L, {
        error: failure(
          `script exceeded the limit of ${instructionsMax} instructions and was aborted, nothing was applied`,
        ),
        spoilsEngine: true,
      });
    }
    const now = this.#clock.monotonicMs();
    if (this.#startedAtMs === -1) {
      this.#startedAtMs = now;
      this.#checkedAtMs = now;
      return;
    }
    if (now - this.#startedAtMs > this.#limits.timeLimitMs)
      this.#end(L, { error: this.#timeError(), spoilsEngine: true });
    if (now - this.#checkedAtMs > INTERVAL_MS_MAX && this.#interval > 1) {
      this.#interval = Math.max(1, Math.floor(this.#interval / 8));
      this.#arm(L, this.#interval);
    }
    this.#checkedAtMs = now;
  }

  #collectEagerly(L: LuaState): void {
    const { api } = this.#lua;
    if (api.lua_gc(L, GC_COUNT, 0) < this.#eagerKib) return;
    api.lua_gc(L, GC_COLLECT, 0);
    const used = api.lua_gc(L, GC_COUNT, 0);
    // The first megabytes belong to every engine, so a small limit is not met by its memory alone.
    if (used * KIB > this.#limits.memoryBytesMax + BALLAST_BYTES) this.abortForMemory(L);
    this.#eagerKib = Math.max(this.#eagerFloorKib(), used * EAGER_GROWTH);
  }

  #eagerFloorKib(): number {
    return (this.#limits.memoryBytesMax * EAGER_SHARE + BALLAST_BYTES) / KIB;
  }

  #end(L: LuaState, outcome: Outcome): never {
    this.#outcome ??= outcome;
    this.#arm(this.#lua.main, 1);
    return this.continueAbort(L);
  }

  /** Inside the allocator: nothing may be raised here, Lua raises its own error when this returns. */
  #memoryRefused(): void {
    this.#outcome ??= this.#memoryOutcome();
    this.#arm(this.#lua.main, 1);
  }

  #timeError(): ReplyError {
    const { timeLimitMs } = this.#limits;
    return failure(
      `script exceeded the time limit of ${timeLimitMs} milliseconds and was aborted, nothing was applied`,
    );
  }

  #memoryOutcome(): Outcome {
    const { memoryBytesMax } = this.#limits;
    return {
      error: failure(
        `script exceeded the memory limit of ${memoryBytesMax} bytes and was aborted, nothing was applied`,
      ),
      spoilsEngine: true,
    };
  }

  #arm(L: LuaState, count: number): void {
    if (L === this.#lua.main) this.#interval = count;
    this.#lua.api.lua_sethook(L, this.#hook, MASK_COUNT, count);
  }
}

function failure(text: string): ReplyError {
  return new ReplyError(new ErrorReply(`ERR ${text}`));
}
