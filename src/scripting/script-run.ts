/** What one run of a script is given, and how it reaches the commands. */
import type { Protocol, Reply } from '../resp/reply.ts';

/** Levels of redis.log, as Redis numbers them. */
export const LOG_LEVELS = { debug: 0, verbose: 1, notice: 2, warning: 3 } as const;
export type ScriptLogLevel = (typeof LOG_LEVELS)[keyof typeof LOG_LEVELS];

/** How a script runs its commands: what redis.setresp and the script's flags have set. */
export interface CallMode {
  readonly protocol: Protocol;
  readonly readOnly: boolean;
}

export interface ScriptRun {
  /** SHA1 of the body in lower-case hexadecimal. */
  readonly sha: string;
  readonly body: Uint8Array;
  readonly keys: readonly Uint8Array[];
  readonly args: readonly Uint8Array[];
  /** EVAL_RO and EVALSHA_RO. */
  readonly readOnly: boolean;
  /**
   * Runs one command. A ReplyError, or an ErrorReply that is returned, goes to the script; any other exception ends the
   * run and comes out of it. The argument list belongs to the callee.
   */
  readonly call: (argv: Buffer[], mode: CallMode) => Reply;
  /** Whether the session's user may run the command; undefined if there is no such command. */
  readonly checkCommand: (argv: Buffer[]) => boolean | undefined;
  readonly log: (level: ScriptLogLevel, message: string) => void;
  /** Start of math.random; asked for when the script first uses it. */
  readonly randomSeed: () => number;
  /** Asked now and then; true ends the run (SCRIPT KILL). */
  readonly isKilled: (() => boolean) | null;
}
