/** What is stored under some key and cannot be right: whoever meets it while looking through everything can tell whose it is. */
import { KahunaError } from '../../base/errors.ts';
import type { Slot } from '../../base/ids.ts';

export class StoredDamage extends KahunaError<'DATA_DAMAGED'> {
  /** Of the key, as far as that can be believed. */
  readonly slot: Slot;

  /** `told` says what is wrong; `key` may be of any length. */
  constructor(key: Uint8Array, told: string, cause?: unknown) {
    super('DATA_DAMAGED', withAdvice(told), cause);
    this.slot = slotOf(key);
  }
}

/** A store could not read a key. */
export function unreadableKey(key: Uint8Array, cause: unknown): StoredDamage {
  return new StoredDamage(key, toldOf(cause), cause);
}

/** A store could not read from `start` to `end`, which is excluded: whose the damage is can be told if all of that is one slot. */
export function unreadableRange(
  range: { readonly start: Uint8Array; readonly end: Uint8Array },
  cause: unknown,
): KahunaError<'DATA_DAMAGED'> {
  const { start, end } = range;
  const isEndOfSlot = end.length <= 2 && slotOf(end) === slotOf(start) + 1;
  if (slotOf(end) === slotOf(start) || isEndOfSlot) return unreadableKey(start, cause);
  return new KahunaError('DATA_DAMAGED', withAdvice(toldOf(cause)), cause);
}

export function isDataDamage(error: unknown): error is KahunaError<'DATA_DAMAGED'> {
  return error instanceof KahunaError && error.code === 'DATA_DAMAGED';
}

function slotOf(key: Uint8Array): Slot {
  return ((key[0] ?? 0) << 8) | (key[1] ?? 0);
}

function toldOf(cause: unknown): string {
  return `the data store cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`;
}

function withAdvice(told: string): string {
  return `${told}; rebuild this replica from its peers`;
}
