/** Single bits and bit ranges of strings (bitops.c, Redis 7.2). BITFIELD has a file of its own. */
import {
  BITOP_NOT_SINGLE,
  BIT_ARGUMENT,
  BIT_OFFSET_OUT_OF_RANGE,
  BIT_OUT_OF_RANGE,
  SYNTAX_ERROR,
  fail,
} from '../resp/errors.ts';
import type { Reply } from '../resp/reply.ts';
import { type BitOperation, bitCount, bitOperation, bitPosition, getBit, setBit } from '../values/bits.ts';
import { clampToSafe, parseInt64 } from '../values/integer.ts';
import { byteLength } from '../values/string.ts';
import type { StringValue } from '../values/value.ts';
import { type Args, isToken } from './args.ts';
import { defineCommand } from './define.ts';
import { block, integer, key, many, oneOf, optional, token } from './grammar.ts';
import { READS, REPLACES } from './key-uses.ts';
import { STRING_BYTES_MAX, asString, findString } from './lookup.ts';
import type { View } from './view.ts';

const indexUnit = optional(oneOf('unit', token('BYTE'), token('BIT')));

const getbit = defineCommand({
  name: 'GETBIT',
  group: 'bitmap',
  since: '2.2.0',
  summary: 'Returns a bit value by offset.',
  complexity: 'O(1)',
  flags: ['readonly', 'fast'],
  args: [key(), integer('offset')],
  run: (view, args): Reply => {
    const name = args.key();
    const offset = bitOffset(args.bytes());
    return getBit(findString(view, args.database, name) ?? '', offset);
  },
});

const setbit = defineCommand({
  name: 'SETBIT',
  group: 'bitmap',
  since: '2.2.0',
  summary: "Sets or clears the bit at offset of the string value. Creates the key if it doesn't exist.",
  complexity: 'O(1)',
  flags: ['write', 'denyoom'],
  args: [key(), integer('offset'), integer('value')],
  run: (view, args): Reply => {
    const name = args.key();
    const offset = bitOffset(args.bytes());
    const bit = parseInt64(args.bytes());
    if (bit !== 0 && bit !== 1) fail(BIT_OUT_OF_RANGE);
    const object = view.find(args.database, name);
    const old = object === undefined ? '' : asString(object.value);
    const value = setBit(old, offset, bit);
    if (value !== old) view.put(args.database, name, value, object === undefined ? 0 : object.expiresAtMs);
    return getBit(old, offset);
  },
});

/** A position below the largest string's number of bits. */
function bitOffset(bytes: Uint8Array): number {
  const offset = parseInt64(bytes);
  if (typeof offset !== 'number' || offset < 0 || offset >= STRING_BYTES_MAX * 8) fail(BIT_OFFSET_OUT_OF_RANGE);
  return offset;
}

const bitcount = defineCommand({
  name: 'BITCOUNT',
  group: 'bitmap',
  since: '2.6.0',
  summary: 'Counts the number of set bits (population counting) in a string.',
  complexity: 'O(N)',
  flags: ['readonly'],
  args: [key(), optional(block('range', integer('start'), integer('end'), indexUnit))],
  run: (view, args): Reply => {
    const name = args.key();
    if (args.remaining === 1 || args.remaining > 3) fail(SYNTAX_ERROR);
    const range = args.remaining === 0 ? WHOLE : readRange(args);
    const value = findString(view, args.database, name) ?? '';
    const isBackwards = range.start < 0 && range.end < 0 && range.start > range.end;
    const bits = isBackwards ? null : bitsOf(range, value);
    return bits === null ? 0 : bitCount(value, bits.start, bits.end);
  },
});

const bitpos = defineCommand({
  name: 'BITPOS',
  group: 'bitmap',
  since: '2.8.7',
  summary: 'Finds the first set (1) or clear (0) bit in a string.',
  complexity: 'O(N)',
  flags: ['readonly'],
  args: [
    key(),
    integer('bit'),
    optional(block('range', integer('start'), optional(block('end-unit-block', integer('end'), indexUnit)))),
  ],
  run: (view, args): Reply => {
    const name = args.key();
    const bit = args.integer();
    if (bit !== 0 && bit !== 1) fail(BIT_ARGUMENT);
    if (args.remaining > 3) fail(SYNTAX_ERROR);
    const range = readPositionRange(args);
    const value = findString(view, args.database, name);
    // An absent key is an endless run of zeros.
    if (value === undefined) return bit === 1 ? -1 : 0;
    const bits = bitsOf(range, value);
    if (bits === null) return -1;
    const position = bitPosition(value, bit, bits);
    // Without an end the string is as if followed by zeros; with one, what is looked for must lie within.
    return position === -1 && bit === 0 && !range.hasEnd ? byteLength(value) * 8 : position;
  },
});

interface IndexRange {
  readonly start: number;
  readonly end: number;
  readonly unit: 'byte' | 'bit';
  readonly hasEnd: boolean;
}

const WHOLE: IndexRange = { start: 0, end: -1, unit: 'byte', hasEnd: false };

function readRange(args: Args): IndexRange {
  const start = clampToSafe(args.integer());
  const end = clampToSafe(args.integer());
  return { start, end, unit: readUnit(args), hasEnd: true };
}

/** The unit is checked before the end is read, as in Redis. */
function readPositionRange(args: Args): IndexRange {
  if (args.remaining === 0) return WHOLE;
  const start = clampToSafe(args.integer());
  if (args.remaining === 0) return { start, end: -1, unit: 'byte', hasEnd: false };
  const unitWord = args.remaining === 2 ? args.argv.at(-1) : undefined;
  if (unitWord !== undefined && !isToken(unitWord, 'BIT') && !isToken(unitWord, 'BYTE')) fail(SYNTAX_ERROR);
  const end = clampToSafe(args.integer());
  return { start, end, unit: readUnit(args), hasEnd: true };
}

function readUnit(args: Args): 'byte' | 'bit' {
  if (args.remaining === 0 || args.maybeToken('BYTE')) return 'byte';
  return args.maybeToken('BIT') ? 'bit' : fail(SYNTAX_ERROR);
}

/**
 * Half-open positions of bits, null if the range is empty. Negative indices count from the end, and are the first
 * position if they lie before it: so -1 … -100 is one byte to BITPOS, while BITCOUNT finds it empty beforehand.
 */
function bitsOf(range: IndexRange, value: StringValue): { readonly start: number; readonly end: number } | null {
  const { unit } = range;
  const scale = unit === 'bit' ? 1 : 8;
  const length = (byteLength(value) * 8) / scale;
  const start = Math.max(0, range.start < 0 ? length + range.start : range.start);
  const end = Math.min(length - 1, Math.max(0, range.end < 0 ? length + range.end : range.end));
  return start > end ? null : { start: start * scale, end: (end + 1) * scale };
}

const OPERATIONS: readonly BitOperation[] = ['AND', 'OR', 'XOR', 'NOT'];

const bitop = defineCommand({
  name: 'BITOP',
  group: 'bitmap',
  since: '2.6.0',
  summary: 'Performs bitwise operations on multiple strings, and stores the result.',
  complexity: 'O(N)',
  flags: ['write', 'denyoom'],
  keyUses: [REPLACES, READS],
  args: [oneOf('operation', token('AND'), token('OR'), token('XOR'), token('NOT')), key('destkey'), many(key('key'))],
  run: (view, args): Reply => {
    const operation = readOperation(args);
    const destination = args.key();
    if (operation === 'NOT' && args.remaining !== 1) fail(BITOP_NOT_SINGLE);
    const sources: StringValue[] = [];
    view.countsLookups = true;
    while (args.remaining > 0) sources.push(findString(view, args.database, args.key()) ?? '');
    return storeResult(view, args, { destination, value: bitOperation(operation, sources) });
  },
});

function readOperation(args: Args): BitOperation {
  for (const operation of OPERATIONS) if (args.maybeToken(operation)) return operation;
  return fail(SYNTAX_ERROR);
}

function storeResult(
  view: View,
  args: Args,
  result: { readonly destination: string; readonly value: StringValue },
): Reply {
  const length = byteLength(result.value);
  if (length === 0) view.remove(args.database, result.destination);
  else view.put(args.database, result.destination, result.value, 0);
  return length;
}

export const bitmapCommands = [getbit, setbit, bitcount, bitpos, bitop];
