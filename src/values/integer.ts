/**
 * 64-bit signed integers as Redis counts with them. A hot path (INCR, EXPIRE): an integer that JavaScript's numbers hold
 * exactly is a number, any other is a bigint, so that ordinary counters never allocate.
 *
 * Invariant of `Int64`: a bigint if and only if the integer is not safe (beyond ±(2^53 - 1)). So `===` compares.
 */
export type Int64 = number | bigint;

export const INT64_MAX = 9_223_372_036_854_775_807n;
export const INT64_MIN = -9_223_372_036_854_775_808n;

/** Longest text of a 64-bit integer: the sign and nineteen digits. */
const TEXT_LENGTH_MAX = 20;
/** So many digits always fit a safe integer. */
const SAFE_DIGITS = 15;
const ZERO = 0x30;
const NINE = 0x39;
const MINUS = 0x2d;

/**
 * As strict as Redis's string2ll (util.c): an optional minus, no plus, no blanks, no leading zeros, no minus zero, and
 * within 64 bits. Undefined otherwise.
 */
export function parseInt64(bytes: Uint8Array): Int64 | undefined {
  const length = bytes.length;
  if (length === 0 || length > TEXT_LENGTH_MAX) return undefined;
  const isNegative = bytes[0] === MINUS;
  const start = isNegative ? 1 : 0;
  const first = bytes[start];
  if (first === undefined || first < ZERO || first > NINE) return undefined;
  if (first === ZERO) return length === 1 ? 0 : undefined;
  let value = first - ZERO;
  for (let i = start + 1; i < length; i++) {
    const digit = (bytes[i] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  if (length - start <= SAFE_DIGITS) return isNegative ? -value : value;
  return fromDigits(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1'));
}

/** `parseInt64` of a string of one character a byte. */
export function parseInt64Text(text: string): Int64 | undefined {
  const length = text.length;
  if (length === 0 || length > TEXT_LENGTH_MAX) return undefined;
  const isNegative = text.charCodeAt(0) === MINUS;
  const start = isNegative ? 1 : 0;
  if (start === length) return undefined;
  const first = text.charCodeAt(start);
  if (first < ZERO || first > NINE) return undefined;
  if (first === ZERO) return length === 1 ? 0 : undefined;
  let value = first - ZERO;
  for (let i = start + 1; i < length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return length - start <= SAFE_DIGITS ? (isNegative ? -value : value) : fromDigits(text);
}

/** The sum, or undefined if it leaves 64 bits. */
export function addInt64(a: Int64, b: Int64): Int64 | undefined {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return int64(BigInt(a) + BigInt(b));
}

/** The product, or undefined if it leaves 64 bits. */
export function multiplyInt64(a: Int64, b: Int64): Int64 | undefined {
  if (typeof a === 'number' && typeof b === 'number') {
    const product = a * b + 0; // never minus zero
    if (Number.isSafeInteger(product)) return product;
  }
  return int64(BigInt(a) * BigInt(b));
}

/** The negation, or undefined for the smallest integer. */
export function negateInt64(a: Int64): Int64 | undefined {
  return typeof a === 'number' ? 0 - a : int64(-a);
}

/** The integer in its one form, or undefined if it leaves 64 bits. */
export function int64(value: bigint): Int64 | undefined {
  if (value > INT64_MAX || value < INT64_MIN) return undefined;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** A number that a time or count can be kept in: values beyond ±(2^53 - 1) become that bound. */
export function clampToSafe(value: Int64): number {
  if (typeof value === 'number') return value;
  return value > 0n ? Number.MAX_SAFE_INTEGER : Number.MIN_SAFE_INTEGER;
}

function fromDigits(text: string): Int64 | undefined {
  return int64(BigInt(text));
}
