/** Where the keys of a request are: for routing, COMMAND GETKEYS and KAHUNA.EXPLAIN. */
import { LOCK_SPACE, SEQUENCE_SPACE, type Space } from '../values/value.ts';
import type { CommandSpec } from './define.ts';

/** Indices in argv, in order. Throws ReplyError if movable keys cannot be found in a malformed request. */
export function keyIndices(spec: CommandSpec, argv: readonly Uint8Array[]): readonly number[] {
  if (spec.keysOf !== null) return spec.keysOf(argv);
  const { first, last, step } = spec.keys;
  if (first === 0) return [];
  const end = last < 0 ? argv.length + last : Math.min(last, argv.length - 1);
  const indices: number[] = [];
  for (let i = first; i <= end; i += step) indices.push(i);
  return indices;
}

/** Where the keys that a command names lie, if the session has selected `database`. */
export function keySpace({ name }: CommandSpec, database: Space): Space {
  if (name.startsWith('KAHUNA.LOCK|') || name === 'KAHUNA.FENCE') return LOCK_SPACE;
  return name.startsWith('KAHUNA.SEQ|') ? SEQUENCE_SPACE : database;
}
