/**
 * The rule of every decoder of foreign bytes: it refuses them with a coded error, or what it made of them is encoded to the very
 * same bytes again. So nothing is accepted and understood otherwise than it was meant, nothing is skipped in silence.
 */
import assert from 'node:assert/strict';
import { KahunaError } from '../../../src/base/errors.ts';
import type { FuzzTarget } from '../target.ts';

export interface Codec {
  readonly name: string;
  readonly about: string;
  readonly seeds: () => readonly Uint8Array[];
  readonly words?: readonly (string | Uint8Array)[];
  /** Decodes, and encodes what came out; null if the input has no canonical form to compare with. */
  readonly again: (input: Buffer) => Uint8Array | null;
}

export function codecTarget(codec: Codec): FuzzTarget {
  const { again, ...rest } = codec;
  return {
    ...rest,
    open: () => ({
      run: (input) => {
        const before = Buffer.from(input);
        const result = refusedOr(() => again(input));
        assert.ok(input.equals(before), 'decoding leaves its input alone');
        if (result !== null) assert.equal(hex(result), hex(input), 'what was accepted is encoded to the same bytes');
      },
    }),
  };
}

/** Null if the work refused its input by a coded error. Everything else that it throws is a mistake of ours. */
export function refusedOr<T>(work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    if (error instanceof KahunaError) return null;
    throw error;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
