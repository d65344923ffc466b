/**
 * Commands that need a connection or the cluster rather than a partition's keys: their row type, and the builder that
 * derives from a row what follows from the rest of it.
 */
import { deriveSpec } from '../commands/define.ts';
import type { CommandDefinition, CommandSpec } from '../commands/define.ts';
import type { Reply } from '../resp/reply.ts';
import type { Session } from './session.ts';

/** The command is answered later by other means, or never (CLIENT REPLY OFF). */
export const NO_REPLY = Symbol('no reply');

/** The command has put work of its own into the session's queue, which answers it and is counted by itself (EXEC). */
export const ANSWERED_LATER = Symbol('answered later');

export type SessionReply = Reply | typeof NO_REPLY | typeof ANSWERED_LATER;

/**
 * Runs on the node that the client is connected to. A ReplyError thrown, or rejected with, is the answer; any other
 * error closes the connection. While a promise is pending, the session's later commands wait. `argv` must not be kept
 * beyond the answer.
 */
export type SessionRun = (session: Session, argv: readonly Buffer[]) => SessionReply | Promise<Reply>;

export interface SessionCommand extends CommandSpec {
  readonly run: SessionRun;
  /** Indices in argv that hold secrets: never shown by MONITOR, SLOWLOG or the log. */
  readonly secretsOf?: (argv: readonly Buffer[]) => readonly number[];
  /** Runs at once inside MULTI instead of being queued: EXEC, DISCARD, MULTI, WATCH, QUIT, RESET (server.c processCommand). */
  readonly isImmediateInMulti?: boolean;
  /** Runs only when everything that the session asked before is answered: it is about those answers (WAIT). */
  readonly isAfterEarlier?: boolean;
}

/** What a row states; the rest of CommandSpec follows from it. */
export type SessionCommandRow = CommandDefinition &
  Pick<SessionCommand, 'run' | 'secretsOf' | 'isImmediateInMulti' | 'isAfterEarlier'>;

export function sessionCommand(row: SessionCommandRow): SessionCommand {
  const { run, secretsOf, isImmediateInMulti, isAfterEarlier } = row;
  return {
    ...deriveSpec(row),
    run,
    ...(secretsOf === undefined ? {} : { secretsOf }),
    ...(isImmediateInMulti === undefined ? {} : { isImmediateInMulti }),
    ...(isAfterEarlier === undefined ? {} : { isAfterEarlier }),
  };
}

export type ContainerRow = Omit<CommandDefinition, 'args' | 'flags' | 'complexity'> & {
  readonly flags?: CommandDefinition['flags'];
};

/** A row that only holds subcommands: what names none of them is answered before it would run. */
export function sessionContainer(row: ContainerRow, subcommands: readonly SessionCommand[]): CommandSpec {
  const spec = deriveSpec({
    arity: -2,
    groupCategory: null,
    ...row,
    flags: row.flags ?? [],
    args: [],
    complexity: 'Depends on subcommand.',
  });
  return { ...spec, subcommands };
}
