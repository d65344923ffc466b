/**
 * Floats as INCRBYFLOAT counts with them: x87 extended precision (80 bits, 64 of them the mantissa), which is what
 * `long double` is on the machines that Redis's answers are known from. JavaScript's doubles give other digits.
 *
 * A value is `mantissa × 2^exponent`, exactly, in bigints. Each operation is computed exactly and then rounded once, to
 * the nearest with ties to even, as the hardware does; text is read and written as glibc's strtold and printf do, which
 * are exact too. The format: 64 mantissa bits, exponents down to 2^-16445 (subnormal) and below 2^16384.
 *
 * Parsing follows string2ld (util.c of Redis 7.2): what strtold takes, without leading blanks, whole, neither NaN nor out
 * of range. So hexadecimal floats and "inf" are read. Printing follows ld2string with LD_STR_HUMAN: `%.17Lf` without
 * trailing zeros.
 */
import { assert } from '../base/assert.ts';

/** Finite: `isNegative ? -1 : 1 × mantissa × 2^exponent`, mantissa below 2^64, 0n only for zero. */
export interface FiniteFloat {
  readonly isNegative: boolean;
  readonly mantissa: bigint;
  readonly exponent: number;
}

export type LongDouble = FiniteFloat | 'infinity' | '-infinity';

const MANTISSA_BITS = 64;
const EXPONENT_MIN = -16_445;
/** Values at or above 2^16384 are infinite. */
const EXPONENT_LIMIT = 16_384;
const FRACTION_DIGITS = 17;
/** MAX_LONG_DOUBLE_CHARS of util.h: longer texts are not floats. */
const TEXT_LENGTH_MAX = 5 * 1024;
/** Decimal exponents beyond these over- or underflow whatever the digits; kept so that no huge power is computed. */
const DECIMAL_EXPONENT_MAX = 5_000;

export const ZERO: FiniteFloat = { isNegative: false, mantissa: 0n, exponent: 0 };
export const LONG_DOUBLE_MAX: FiniteFloat = {
  isNegative: false,
  mantissa: (1n << 64n) - 1n,
  exponent: EXPONENT_LIMIT - MANTISSA_BITS,
};

const DECIMAL = /^([+-]?)(?:(\d+)(?:\.(\d*))?|\.(\d+))(?:e([+-]?\d+))?$/i;
const HEXADECIMAL = /^([+-]?)0x(?:([\da-f]+)(?:\.([\da-f]*))?|\.([\da-f]+))(?:p([+-]?\d+))?$/i;
const INFINITE = /^([+-]?)inf(?:inity)?$/i;

/** Undefined if Redis would answer "value is not a valid float". `text` has one character a byte. */
export function parseLongDouble(text: string): LongDouble | undefined {
  if (text.length === 0 || text.length >= TEXT_LENGTH_MAX) return undefined;
  const decimal = DECIMAL.exec(text);
  if (decimal !== null) return fromText(decimal, { base: 10, digitScale: 1 });
  const hexadecimal = HEXADECIMAL.exec(text);
  if (hexadecimal !== null) return fromText(hexadecimal, { base: 2, digitScale: 4 });
  const infinite = INFINITE.exec(text);
  if (infinite === null) return undefined;
  return infinite[1] === '-' ? '-infinity' : 'infinity';
}

/** The rounded sum; undefined if it is infinite or not a number. */
export function addLongDoubles(a: LongDouble, b: LongDouble): FiniteFloat | undefined {
  if (typeof a === 'string' || typeof b === 'string') return undefined;
  const exponent = Math.min(a.exponent, b.exponent);
  const sum = signed(a) * (1n << BigInt(a.exponent - exponent)) + signed(b) * (1n << BigInt(b.exponent - exponent));
  const rounded = round({ isNegative: sum < 0n, numerator: absolute(sum), denominator: 1n, exponent });
  return typeof rounded === 'string' ? undefined : rounded;
}

export function negateLongDouble(value: LongDouble): LongDouble {
  if (value === 'infinity') return '-infinity';
  if (value === '-infinity') return 'infinity';
  return { isNegative: !value.isNegative, mantissa: value.mantissa, exponent: value.exponent };
}

/** Negative, 0 or positive. */
export function compareLongDoubles(a: LongDouble, b: LongDouble): number {
  if (a === b) return 0;
  if (a === 'infinity' || b === '-infinity') return 1;
  if (a === '-infinity' || b === 'infinity') return -1;
  const exponent = Math.min(a.exponent, b.exponent);
  const left = signed(a) << BigInt(a.exponent - exponent);
  const right = signed(b) << BigInt(b.exponent - exponent);
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Redis's form for people: at most seventeen digits after the point, no trailing zeros, never an exponent. */
export function formatLongDouble(value: FiniteFloat): string {
  const { mantissa, exponent } = value;
  const scaled = mantissa * 10n ** BigInt(FRACTION_DIGITS);
  const units = exponent >= 0 ? scaled << BigInt(exponent) : divideRounded(scaled, 1n << BigInt(-exponent));
  const digits = units.toString().padStart(FRACTION_DIGITS + 1, '0');
  const whole = digits.slice(0, -FRACTION_DIGITS);
  const fraction = digits.slice(-FRACTION_DIGITS).replace(/0+$/, '');
  const text = fraction === '' ? whole : `${whole}.${fraction}`;
  return value.isNegative && text !== '0' ? `-${text}` : text;
}

/** The nearest double, for RESP3. */
export function toDouble(value: FiniteFloat): number {
  return Number(formatLongDouble(value));
}

function fromText(
  match: RegExpExecArray,
  notation: { readonly base: 2 | 10; readonly digitScale: number },
): LongDouble | undefined {
  const [, sign = '', whole = '', fraction = '', onlyFraction = '', power = '0'] = match;
  const fractionDigits = fraction === '' ? onlyFraction : fraction;
  const digits = BigInt((notation.base === 2 ? '0x0' : '0') + whole + fractionDigits);
  const isNegative = sign === '-';
  if (digits === 0n) return { isNegative, mantissa: 0n, exponent: 0 };
  // Number() of a long run of digits may be infinite, which the bounds below handle like any other giant.
  const exponent = Number(power) - fractionDigits.length * notation.digitScale;
  if (notation.base === 2) {
    if (exponent > 2 * EXPONENT_LIMIT) return undefined;
    if (exponent < 8 * EXPONENT_MIN) return undefined;
    return inRange(round({ isNegative, numerator: digits, denominator: 1n, exponent }));
  }
  const magnitude = exponent + digits.toString().length;
  if (magnitude > DECIMAL_EXPONENT_MAX || magnitude < -DECIMAL_EXPONENT_MAX) return undefined;
  const power10 = 10n ** BigInt(Math.abs(exponent));
  const numerator = exponent >= 0 ? digits * power10 : digits;
  return inRange(round({ isNegative, numerator, denominator: exponent >= 0 ? 1n : power10, exponent: 0 }));
}

/** strtold reports ERANGE for what rounds to infinity or, not being zero, to zero. */
function inRange(value: LongDouble): LongDouble | undefined {
  return typeof value === 'string' || value.mantissa === 0n ? undefined : value;
}

/** The nearest representable value of `numerator / denominator × 2^exponent`. */
function round(exact: {
  readonly isNegative: boolean;
  readonly numerator: bigint;
  readonly denominator: bigint;
  readonly exponent: number;
}): LongDouble {
  const { isNegative, numerator, denominator } = exact;
  if (numerator === 0n) return ZERO;
  // Scale so that the quotient has 64 bits, or one more; then correct.
  const scale = bitLength(numerator) - bitLength(denominator) - MANTISSA_BITS;
  const shift = Math.max(scale, EXPONENT_MIN - exact.exponent);
  let mantissa = divideShifted(numerator, denominator, shift);
  let exponent = exact.exponent + shift;
  if (bitLength(mantissa) > MANTISSA_BITS) {
    mantissa = divideShifted(numerator, denominator, shift + 1);
    exponent += 1;
    // Rounding up may have carried into bit 65: then all lower bits are zero.
    if (bitLength(mantissa) > MANTISSA_BITS) {
      mantissa >>= 1n;
      exponent += 1;
    }
  }
  assert(bitLength(mantissa) <= MANTISSA_BITS, 'a rounded mantissa has too many bits');
  if (bitLength(mantissa) + exponent > EXPONENT_LIMIT) return isNegative ? '-infinity' : 'infinity';
  return { isNegative, mantissa, exponent };
}

/** numerator / (denominator × 2^shift), to the nearest, ties to even. */
function divideShifted(numerator: bigint, denominator: bigint, shift: number): bigint {
  return shift >= 0
    ? divideRounded(numerator, denominator << BigInt(shift))
    : divideRounded(numerator << BigInt(-shift), denominator);
}

function divideRounded(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  const twice = (numerator % denominator) * 2n;
  if (twice < denominator) return quotient;
  return twice > denominator || (quotient & 1n) === 1n ? quotient + 1n : quotient;
}

function bitLength(value: bigint): number {
  return value === 0n ? 0 : value.toString(16).length * 4 - leadingZerosOfNibble(value);
}

function leadingZerosOfNibble(value: bigint): number {
  return Math.clz32(Number.parseInt(value.toString(16).charAt(0), 16)) - 28;
}

function signed(value: FiniteFloat): bigint {
  return value.isNegative ? -value.mantissa : value.mantissa;
}

function absolute(value: bigint): bigint {
  return value < 0n ? -value : value;
}
