/**
 * What a command is: one row from which dispatch, arity, key positions, ACL, COMMAND * and the documentation follow.
 */
import type { Reply } from '../resp/reply.ts';
import type { Args } from './args.ts';
import type { View } from './view.ts';

export type CommandGroup =
  | 'string' | 'bitmap' | 'generic' | 'transactions' | 'connection' | 'server' | 'scripting' | 'cluster'
  | 'list' | 'set' | 'sorted-set' | 'hash' | 'stream' | 'hyperloglog' | 'geo' | 'pubsub' | 'kahuna';

/** Redis's command flags, by their names in COMMAND INFO. */
export type CommandFlag =
  | 'write' | 'readonly' | 'denyoom' | 'admin' | 'pubsub' | 'noscript' | 'blocking' | 'loading' | 'stale'
  | 'skip_monitor' | 'skip_slowlog' | 'asking' | 'fast' | 'no_auth' | 'no_mandatory_keys' | 'no_multi'
  | 'movablekeys' | 'allow_busy';

/** The argument grammar, as COMMAND DOCS reports it. */
export interface ArgSpec {
  readonly name: string;
  readonly type:
    | 'string' | 'integer' | 'double' | 'key' | 'pattern' | 'unix-time' | 'pure-token' | 'oneof' | 'block';
  readonly token?: string;
  readonly optional?: boolean;
  readonly multiple?: boolean;
  /** Arguments of a `oneof` or `block`. */
  readonly args?: readonly ArgSpec[];
}

/** Key positions as in COMMAND INFO: `first` 0 means none, `last` may count from the end (-1), `step` ≥ 1. */
export interface KeyPositions {
  readonly first: number;
  readonly last: number;
  readonly step: number;
}

export interface CommandSpec {
  /** Upper case; a subcommand is 'CLIENT|LIST'. */
  readonly name: string;
  readonly group: CommandGroup;
  readonly since: string;
  readonly summary: string;
  readonly complexity: string;
  readonly flags: readonly CommandFlag[];
  /** Number of arguments with the name; negative = at least. */
  readonly arity: number;
  readonly keys: KeyPositions;
  /** Where positions do not tell (numkeys …): indices of keys in argv; throws ReplyError if argv is malformed. */
  readonly keysOf: ((argv: readonly Uint8Array[]) => readonly number[]) | null;
  /** How each key is used, for COMMAND INFO and ACL: RO, RW, OW or RM; null = derived from flags. */
  readonly keyAccess: 'RO' | 'RW' | 'OW' | 'RM' | null;
  /** ACL categories without '@', derived from flags and group, plus extras. */
  readonly categories: readonly string[];
  readonly args: readonly ArgSpec[];
  readonly subcommands: readonly CommandSpec[];
}

/** A command that is evaluated at the leader of a partition, over a view. `run` is synchronous. */
export interface DataCommand extends CommandSpec {
  readonly run: (view: View, args: Args) => Reply;
}
