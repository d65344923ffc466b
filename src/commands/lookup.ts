/** Finding keys with the checks that most commands share. A hot path (benchmark: SET/GET in compat/bench). */
import { WRONG_TYPE, fail } from '../resp/errors.ts';
import { PagedString } from '../values/string.ts';
import type { Space, StringValue, Value } from '../values/value.ts';
import type { View } from './view.ts';

/** Redis's `proto-max-bulk-len` default: no string grows beyond it. */
export const STRING_BYTES_MAX = 512 * 1024 * 1024;

/** The string at the key, undefined if absent; WRONGTYPE if it holds something else. Counts as an access. */
export function findString(view: View, space: Space, key: string): StringValue | undefined {
  const object = view.find(space, key);
  return object === undefined ? undefined : asString(object.value);
}

/** The value if it is a string, else WRONGTYPE. */
export function asString(value: Value): StringValue {
  return isString(value) ? value : fail(WRONG_TYPE);
}

export function isString(value: Value): value is StringValue {
  return typeof value === 'string' || value instanceof PagedString;
}
