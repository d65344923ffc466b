/** Where the keys of a request are: for routing, COMMAND GETKEYS and KAHUNA.EXPLAIN. */
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
