/** Keys whatever they hold, and their expiry. */
import fc from 'fast-check';

import {
  database,
  integerText,
  key,
  list,
  options,
  pattern,
  timeMs,
  timeSeconds,
  ttlMs,
  ttlSeconds,
  weighted,
  words,
} from './arguments.ts';
import type { CommandGenerator } from './table.ts';

const condition = options('NX', 'XX', 'GT', 'LT');
const flush = weighted([
  [4, words()],
  [3, words(fc.constantFrom('ASYNC', 'SYNC', 'async', 'NOW'))],
  [1, words('ASYNC', 'SYNC')],
]);

export const genericCommands: readonly CommandGenerator[] = [
  { name: 'COPY', weight: 2, args: words(key, key, options('REPLACE', words('DB', database))) },
  { name: 'DEL', weight: 2, args: list(key, 1, 3) },
  { name: 'UNLINK', weight: 1, args: list(key, 1, 3) },
  { name: 'EXISTS', weight: 2, args: list(key, 1, 4) },
  { name: 'TOUCH', weight: 1, args: list(key, 1, 3) },
  { name: 'TYPE', weight: 1, args: words(key) },
  { name: 'RENAME', weight: 2, args: words(key, key) },
  { name: 'RENAMENX', weight: 1, args: words(key, key) },
  { name: 'KEYS', weight: 1, args: words(pattern) },
  { name: 'RANDOMKEY', weight: 1, args: words() },
  { name: 'DBSIZE', weight: 1, args: words() },
  {
    name: 'OBJECT',
    weight: 1,
    args: weighted([
      [4, words(fc.constantFrom('ENCODING', 'IDLETIME', 'REFCOUNT', 'FREQ', 'encoding', 'HELP', 'COLOR'), key)],
      [1, words(fc.constantFrom('HELP', 'ENCODING'))],
    ]),
  },
  { name: 'MEMORY', weight: 1, args: words('USAGE', key, options(words('SAMPLES', integerText))) },
  { name: 'FLUSHDB', weight: 0.3, args: flush },
  { name: 'FLUSHALL', weight: 0.3, args: flush },
  { name: 'MOVE', weight: 1, args: words(key, database) },
  {
    name: 'SCAN',
    weight: 1,
    // In one call, so that the order of the cursor does not matter; whole iterations are steps of their own.
    args: weighted([
      [
        3,
        words(
          '0',
          'COUNT',
          '100000',
          options(words('MATCH', pattern), words('TYPE', fc.constantFrom('string', 'STRING', 'list'))),
        ),
      ],
      [1, words(fc.constantFrom('abc', '-1', '', '18446744073709551616', '1.5'))],
      [1, words('0', fc.constantFrom('COUNT', 'MATCH', 'TYPE', 'LIMIT'))],
      [1, words('0', 'COUNT', fc.constantFrom('0', '-1', 'abc', '9223372036854775808', ''))],
    ]),
  },
  { name: 'EXPIRE', weight: 2, args: words(key, ttlSeconds, condition) },
  { name: 'PEXPIRE', weight: 2, args: words(key, ttlMs, condition) },
  { name: 'EXPIREAT', weight: 1, args: words(key, timeSeconds, condition) },
  { name: 'PEXPIREAT', weight: 1, args: words(key, timeMs, condition) },
  { name: 'EXPIRETIME', weight: 1, args: words(key) },
  { name: 'PEXPIRETIME', weight: 1, args: words(key) },
  { name: 'TTL', weight: 2, args: words(key) },
  { name: 'PTTL', weight: 2, args: words(key) },
  { name: 'PERSIST', weight: 1, args: words(key) },
];
