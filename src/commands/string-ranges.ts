/** Parts of strings: reading, appending, overwriting (t_string.c, Redis 7.2). */
import { OFFSET_OUT_OF_RANGE, STRING_TOO_LONG, fail } from '../resp/errors.ts';
import type { Reply } from '../resp/reply.ts';
import { clampToSafe } from '../values/integer.ts';
import { append, byteLength, setRange, sliceString } from '../values/string.ts';
import type { Args } from './args.ts';
import { defineCommand } from './define.ts';
import { integer, key, text } from './grammar.ts';
import { EXTENDS, INSPECTS, UPDATES } from './key-uses.ts';
import { STRING_BYTES_MAX, asString, findString } from './lookup.ts';
import type { View } from './view.ts';

const appendCommand = defineCommand({
  name: 'APPEND',
  group: 'string',
  since: '2.0.0',
  summary: "Appends a string to the value of a key. Creates the key if it doesn't exist.",
  complexity: 'O(1), in the length of the appended string.',
  flags: ['write', 'denyoom', 'fast'],
  keyUses: [EXTENDS],
  args: [key(), text('value')],
  run: (view, args): Reply => {
    const name = args.key();
    const object = view.find(args.database, name);
    const old = object === undefined ? '' : asString(object.value);
    const added = args.bytes();
    if (byteLength(old) + added.length > STRING_BYTES_MAX) fail(STRING_TOO_LONG);
    const value = append(old, added);
    view.put(args.database, name, value, object === undefined ? 0 : object.expiresAtMs);
    return byteLength(value);
  },
});

const strlen = defineCommand({
  name: 'STRLEN',
  group: 'string',
  since: '2.2.0',
  summary: 'Returns the length of a string value.',
  complexity: 'O(1)',
  flags: ['readonly', 'fast'],
  keyUses: [INSPECTS],
  args: [key()],
  run: (view, args): Reply => byteLength(findString(view, args.database, args.key()) ?? ''),
});

const setrange = defineCommand({
  name: 'SETRANGE',
  group: 'string',
  since: '2.2.0',
  summary: "Overwrites a part of a string value with another by an offset. Creates the key if it doesn't exist.",
  complexity: 'O(M) where M is the length of the value argument.',
  flags: ['write', 'denyoom'],
  keyUses: [UPDATES],
  args: [key(), integer('offset'), text('value')],
  run: (view, args): Reply => {
    const name = args.key();
    const offset = clampToSafe(args.integer());
    if (offset < 0) fail(OFFSET_OUT_OF_RANGE);
    const object = view.find(args.database, name);
    const old = object === undefined ? '' : asString(object.value);
    const patch = args.bytes();
    if (patch.length === 0) return byteLength(old);
    if (offset + patch.length > STRING_BYTES_MAX) fail(STRING_TOO_LONG);
    const value = setRange(old, offset, patch);
    view.put(args.database, name, value, object === undefined ? 0 : object.expiresAtMs);
    return byteLength(value);
  },
});

const getrange = defineCommand({
  name: 'GETRANGE',
  group: 'string',
  since: '2.4.0',
  summary: 'Returns a substring of the string stored at a key.',
  complexity: 'O(N) where N is the length of the returned string.',
  flags: ['readonly'],
  args: [key(), integer('start'), integer('end')],
  run: (view, args): Reply => readRange(view, args),
});

const substr = defineCommand({
  name: 'SUBSTR',
  group: 'string',
  since: '1.0.0',
  summary: 'Returns a substring from a string value. The old name of GETRANGE.',
  complexity: 'O(N) where N is the length of the returned string.',
  flags: ['readonly'],
  args: [key(), integer('start'), integer('end')],
  run: (view, args): Reply => readRange(view, args),
});

/** Negative positions count from the end; what lies outside is cut off. */
function readRange(view: View, args: Args): Reply {
  const name = args.key();
  let start = clampToSafe(args.integer());
  let end = clampToSafe(args.integer());
  const value = findString(view, args.database, name) ?? '';
  const length = byteLength(value);
  if (start < 0 && end < 0 && start > end) return '';
  start = Math.max(0, start < 0 ? length + start : start);
  end = Math.min(length - 1, Math.max(0, end < 0 ? length + end : end));
  return start > end ? '' : sliceString(value, start, end + 1);
}

export const stringRangeCommands = [appendCommand, strlen, setrange, getrange, substr];
