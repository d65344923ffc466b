/** Strings and bitmaps: every command of the two groups that Redis 7.0 has. */
import fc from 'fast-check';

import {
  bitOffset,
  floatText,
  integerText,
  key,
  list,
  maybe,
  options,
  position,
  timeMs,
  timeSeconds,
  ttlMs,
  ttlSeconds,
  value,
  weighted,
  type Words,
  words,
  writeOffset,
} from './arguments.ts';
import type { CommandGenerator } from './table.ts';

const expiry: readonly Words[] = [
  words('EX', ttlSeconds),
  words('PX', ttlMs),
  words('EXAT', timeSeconds),
  words('PXAT', timeMs),
];

export const stringCommands: readonly CommandGenerator[] = [
  { name: 'APPEND', weight: 2, args: words(key, value) },
  { name: 'DECR', weight: 1, args: words(key) },
  { name: 'DECRBY', weight: 1, args: words(key, integerText) },
  { name: 'GET', weight: 4, args: words(key) },
  { name: 'GETDEL', weight: 1, args: words(key) },
  { name: 'GETEX', weight: 2, args: words(key, options(...expiry, 'PERSIST')) },
  { name: 'GETRANGE', weight: 2, args: words(key, position, position) },
  { name: 'SUBSTR', weight: 1, args: words(key, position, position) },
  { name: 'GETSET', weight: 1, args: words(key, value) },
  { name: 'INCR', weight: 2, args: words(key) },
  { name: 'INCRBY', weight: 2, args: words(key, integerText) },
  { name: 'INCRBYFLOAT', weight: 3, args: words(key, floatText) },
  {
    name: 'LCS',
    weight: 1,
    args: words(key, key, options('LEN', 'IDX', words('MINMATCHLEN', integerText), 'WITHMATCHLEN')),
  },
  { name: 'MGET', weight: 1, args: list(key, 1, 4) },
  { name: 'MSET', weight: 1, args: list(words(key, value), 1, 3) },
  { name: 'MSETNX', weight: 1, args: list(words(key, value), 1, 3) },
  { name: 'PSETEX', weight: 1, args: words(key, ttlMs, value) },
  { name: 'SET', weight: 6, args: words(key, value, options('NX', 'XX', 'GET', 'KEEPTTL', ...expiry)) },
  { name: 'SETEX', weight: 1, args: words(key, ttlSeconds, value) },
  { name: 'SETNX', weight: 1, args: words(key, value) },
  { name: 'SETRANGE', weight: 2, args: words(key, writeOffset, value) },
  { name: 'STRLEN', weight: 1, args: words(key) },
];

const bitUnit = maybe(fc.constantFrom('BYTE', 'BIT', 'byte', 'bit', 'BITS'));

const bitType = weighted([
  [6, fc.tuple(fc.constantFrom('u', 'i'), fc.integer({ min: 1, max: 63 })).map(([sign, width]) => `${sign}${width}`)],
  [2, fc.constantFrom('i64', 'u8', 'i8', 'u63', 'i1', 'u1')],
  [1, fc.constantFrom('u64', 'i65', 'u0', 'i0', 'x8', '', 'u', '8', 'u-1', 'U8', 'u08')],
]);

const fieldOffset = weighted([
  [6, fc.integer({ min: 0, max: 80 }).map(String)],
  [3, fc.integer({ min: 0, max: 8 }).map((index) => `#${index}`)],
  [1, fc.constantFrom('-1', '#-1', '#', '4294967296', '#9223372036854775807', '9223372036854775807', 'x', '')],
]);

const fieldGet = words('GET', bitType, fieldOffset);

const fieldOperation: Words = weighted([
  [3, fieldGet],
  [3, words('SET', bitType, fieldOffset, integerText)],
  [3, words('INCRBY', bitType, fieldOffset, integerText)],
  [2, words('OVERFLOW', fc.constantFrom('WRAP', 'SAT', 'FAIL', 'sat', 'NONE'))],
]);

export const bitmapCommands: readonly CommandGenerator[] = [
  {
    name: 'BITCOUNT',
    weight: 2,
    args: words(
      key,
      weighted([
        [2, words()],
        [4, words(position, position, bitUnit)],
        [1, words(position)],
      ]),
    ),
  },
  { name: 'BITFIELD', weight: 3, args: words(key, list(fieldOperation, 0, 4)) },
  {
    name: 'BITFIELD_RO',
    weight: 1,
    args: words(
      key,
      list(
        weighted([
          [5, fieldGet],
          [1, fieldOperation],
        ]),
        0,
        3,
      ),
    ),
  },
  {
    name: 'BITOP',
    weight: 2,
    args: words(fc.constantFrom('AND', 'OR', 'XOR', 'NOT', 'and', 'NAND'), key, list(key, 1, 3)),
  },
  {
    name: 'BITPOS',
    weight: 2,
    args: words(
      key,
      fc.constantFrom('0', '1', '0', '1', '0', '1', '2', 'x', ''),
      weighted([
        [2, words()],
        [2, words(position)],
        [3, words(position, position, bitUnit)],
      ]),
    ),
  },
  { name: 'GETBIT', weight: 2, args: words(key, bitOffset) },
  { name: 'SETBIT', weight: 2, args: words(key, bitOffset, fc.constantFrom('0', '1', '1', '0', '2', '-1', 'x', '')) },
];
