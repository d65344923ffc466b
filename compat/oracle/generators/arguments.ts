/** Arguments. Few keys, so that commands meet; edge numbers more often than chance would bring them. */
import fc from 'fast-check';

import { ttlMark } from '../steps.ts';

export type Words = fc.Arbitrary<readonly string[]>;

export const key = weighted([
  [24, fc.constantFrom('a', 'b', 'c', 'd')],
  [3, fc.constantFrom('{t}1', '{t}2', '')],
  [1, fc.constantFrom('\x00\xff\r\n', '__proto__', 'constructor', 'k'.repeat(300), 'a*[b]?')],
]);

export const integerText = weighted([
  [8, fc.integer({ min: -12, max: 12 }).map(String)],
  [2, fc.integer({ min: -100_000, max: 100_000 }).map(String)],
  [
    3,
    fc.constantFrom(
      ...['0', '9223372036854775807', '-9223372036854775808', '9223372036854775808', '-9223372036854775809'],
      ...['9223372036854775806', '2147483647', '-2147483648', '2147483648', '4294967295', '4294967296'],
      ...['9007199254740992', '9007199254740993', '18446744073709551615', '18446744073709551616'],
    ),
  ],
  [1, fc.constantFrom('', 'abc', '+1', '01', '-0', ' 1', '1 ', '1.0', '1e3', '0x10', '١', '--1', '1\x00', '\r\n')],
]);

export const floatText = weighted([
  [4, fc.integer({ min: -100, max: 100 }).map(String)],
  [
    6,
    fc
      .tuple(fc.integer({ min: -9999, max: 9999 }), fc.integer({ min: 0, max: 99_999_999 }))
      .map(([whole, part]) => `${whole}.${part}`),
  ],
  [2, fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e21, max: 1e21 }).map(String)],
  [
    2,
    fc.constantFrom(
      ...[
        '0.1',
        '-0.1',
        '3.0e3',
        '5.0e-7',
        '1e17',
        '1e18',
        '1.7976931348623157e308',
        '1e308',
        '1e-308',
        '0.30000000000000004',
      ],
      ...['1e400', '-1e400', '1e4931', '1e5000', 'inf', '-inf', '+inf', 'nan', '-nan', 'infinity', '1e-400', '1e-5000'],
    ),
  ],
  [1, fc.constantFrom('', 'abc', '5.', '.5', '+1.5', ' 1.5', '1.5 ', '0x1p3', '0x10', '1,5', '1e', '-', '1.5\x00')],
]);

/** Raw bytes, as characters 0-255. */
const bytes = fc
  .array(fc.integer({ min: 0, max: 255 }), { maxLength: 24 })
  .map((codes) => String.fromCharCode(...codes));

export const value = weighted([
  [5, fc.constantFrom('x', 'foobar', 'hello world', 'ohmytext', 'mynewtext')],
  [5, integerText],
  [3, floatText],
  [2, bytes],
  [1, fc.constantFrom('', '\r\n', '\x00', '\xff'.repeat(9), 'v'.repeat(44), 'v'.repeat(45), '12345678901234567890')],
  [1, fc.constantFrom(5_000, 17_000, 70_000).map((size) => 'p'.repeat(size))],
]);

/** Positions in strings: around the ends of short values, around pages, and out of the world. */
export const position = weighted([
  [8, fc.integer({ min: -12, max: 12 }).map(String)],
  [2, fc.constantFrom('16383', '16384', '70000', '-70000', '4096')],
  [2, integerText],
]);

/** Where a string would be written: never so far that a server must really allocate it. */
export const writeOffset = weighted([
  [8, fc.integer({ min: 0, max: 12 }).map(String)],
  [2, fc.constantFrom('16383', '16384', '70000', '4096')],
  [2, fc.constantFrom('-1', '536870912', '536870911999', '9223372036854775807', '9223372036854775808', '', 'x', '1.5')],
]);

export const bitOffset = weighted([
  [8, fc.integer({ min: 0, max: 100 }).map(String)],
  [2, fc.constantFrom('131072', '600000', '7', '8', '63', '64')],
  [2, fc.constantFrom('-1', '4294967296', '9223372036854775807', '9223372036854775808', '', 'x', '#1', '1.5')],
]);

export const ttlSeconds = weighted([
  [6, fc.integer({ min: 1, max: 9 }).map((size) => ttlMark('s', size))],
  [2, fc.constantFrom('0', '-1', '-1000')],
  [
    1,
    fc.constantFrom(
      ...['9223372036854775807', '-9223372036854775808', '9223372036854775808', '9223372036854775', '9223372036854776'],
      ...['-9223372036854775', '-9223372036854776', '9223370000000000', '', 'abc', '1000.5', '1e3', ' 1000'],
    ),
  ],
]);

export const ttlMs = weighted([
  [6, fc.integer({ min: 1, max: 9 }).map((size) => ttlMark('ms', size))],
  [3, fc.constantFrom('1', '2')],
  [2, fc.constantFrom('0', '-1', '-1000')],
  [
    1,
    fc.constantFrom(
      ...[
        '9223372036854775807',
        '-9223372036854775808',
        '9223372036854775808',
        '9223370000000000000',
        '',
        'abc',
        '1000.5',
      ],
    ),
  ],
]);

/** Far in the past, or centuries ahead: never near now. */
export const timeSeconds = weighted([
  [4, fc.constantFrom('33177117420', '33177117421', '44177117420')],
  [2, fc.constantFrom('1', '1000000000')],
  [1, fc.constantFrom('0', '-1', '9223372036854775', '9223372036854776', '9223372036854775807', 'abc', '')],
]);

export const timeMs = weighted([
  [4, fc.constantFrom('33177117420000', '33177117420001', '44177117420000')],
  [2, fc.constantFrom('1', '1000000000000')],
  [1, fc.constantFrom('0', '-1', '9223372036854775807', '9223372036854775808', 'abc', '')],
]);

export const pattern = weighted([
  [4, fc.constantFrom('*', 'a', '?', '[a-c]', '{t}*', '[^a]', '*a*')],
  [
    1,
    fc.constantFrom(
      '',
      '\\*',
      '[',
      '[a',
      '[]',
      '[^',
      '[c-a]',
      '\\',
      '\\?',
      '**',
      'a*[[]b[]][?]',
      '\x00*',
      '[\\]]',
      '[a-',
      '*?*?*',
    ),
  ],
]);

export const database = weighted([
  [8, fc.constantFrom('0', '1', '2', '15')],
  [1, fc.constantFrom('16', '-1', 'abc', '', '9999999999999999999', '1.0', '00')],
]);

/** Any token that some command knows, for arguments in the wrong place. Small positive integers stay out: they would be TTLs. */
export const junk = fc.constantFrom(
  ...['NX', 'XX', 'GET', 'KEEPTTL', 'EX', 'PX', 'EXAT', 'PXAT', 'PERSIST', 'GT', 'LT', 'BYTE', 'BIT', 'MATCH', 'COUNT'],
  ...['TYPE', 'REPLACE', 'DB', 'ASYNC', 'SYNC', 'LEN', 'IDX', 'OVERFLOW', 'nx', 'xX', 'LIMIT', 'STORE', 'WITHMATCHLEN'],
  ...['', '-1', '0', 'abc', 'a', '9223372036854775808', 'nan', '*', '\x00'],
);

export function words(...parts: readonly (string | fc.Arbitrary<string> | Words)[]): Words {
  const arbitraries = parts.map((part): Words => {
    if (typeof part === 'string') return fc.constant([part]);
    return (part as fc.Arbitrary<string | readonly string[]>).map((drawn) =>
      typeof drawn === 'string' ? [drawn] : drawn,
    );
  });
  return fc.tuple(...arbitraries).map((drawn) => drawn.flat());
}

export function maybe(part: string | fc.Arbitrary<string> | Words): Words {
  return fc.option(words(part), { nil: null, freq: 1 }).map((drawn) => drawn ?? []);
}

export function list(part: fc.Arbitrary<string> | Words, minLength: number, maxLength: number): Words {
  return fc.array(words(part), { minLength, maxLength }).map((drawn) => drawn.flat());
}

/** Options in any order, now and then twice or against each other. */
export function options(...parts: readonly (string | Words)[]): Words {
  const all = parts.map((part) => words(part));
  return weighted([
    [3, fc.constant<readonly string[]>([])],
    [4, fc.oneof(...all)],
    [
      3,
      fc
        .shuffledSubarray(
          all.map((_, index) => index),
          { maxLength: Math.min(3, all.length) },
        )
        .chain((chosen) => inOrder(chosen, all)),
    ],
    [1, fc.array(fc.oneof(...all), { maxLength: 3 }).map((drawn) => drawn.flat())],
  ]);
}

function inOrder(chosen: readonly number[], all: readonly Words[]): Words {
  return words(...chosen.map((index) => all[index] ?? fc.constant<readonly string[]>([])));
}

export function weighted<T>(choices: readonly (readonly [number, fc.Arbitrary<T>])[]): fc.Arbitrary<T> {
  return fc.oneof(...choices.map(([weight, arbitrary]) => ({ weight: Math.round(weight * 60), arbitrary })));
}
