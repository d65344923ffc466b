/** Numbers between Lua and Redis: as command arguments, as integer replies, and as C's printf prints them. */
import { formatDouble } from '../resp/double.ts';

const INT64_MIN = -(2n ** 63n);
const TWO_63 = 2 ** 63;
/** More digits than decide any tie at 17 digits or fewer. */
const TIE_DIGITS = 60;

/** Digits with which Lua turns numbers into text. */
export const LUA_DIGITS = 14;

/** How redis.call prints a number (script_lua.c luaArgsToRedisArgv, 7.2): whole ones without exponent or sign of zero. */
export function formatArgument(value: number): string {
  if (value === 0) return '0';
  return formatDouble(value);
}

/** C's conversion to a 64-bit integer, as x86 does it: towards zero; what does not fit is the smallest integer. */
export function toInteger64(value: number): number | bigint {
  if (!(value > -TWO_63 && value < TWO_63)) return INT64_MIN;
  const whole = Math.trunc(value);
  if (Number.isSafeInteger(whole)) return whole === 0 ? 0 : whole;
  return BigInt(whole);
}

/** C's conversion of a number to `int` by way of 64 bits, which keeps the low 32 bits. */
export function toInteger32(value: number): number {
  return Number(BigInt.asIntN(32, BigInt(toInteger64(value))));
}

/** C's `%.{precision}g`, with precision from 1 to 17; exact, ties to even. */
export function formatG(value: number, precision: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (value === Number.POSITIVE_INFINITY) return 'inf';
  if (value === Number.NEGATIVE_INFINITY) return '-inf';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const magnitude = Math.abs(value);
  if (Number.isSafeInteger(value) && magnitude < 10 ** precision) return `${value}`;
  const sign = value < 0 ? '-' : '';
  const { digits, exponent } = roundToDigits(magnitude, precision);
  const significant = digits.replace(/0+$/, '');
  if (exponent < -4 || exponent >= precision) {
    const fraction = significant.length > 1 ? `.${significant.slice(1)}` : '';
    const power = Math.abs(exponent);
    return `${sign}${significant.charAt(0)}${fraction}e${exponent < 0 ? '-' : '+'}${power < 10 ? '0' : ''}${power}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${significant}`;
  if (significant.length <= exponent + 1) return `${sign}${significant.padEnd(exponent + 1, '0')}`;
  return `${sign}${significant.slice(0, exponent + 1)}.${significant.slice(exponent + 1)}`;
}

function roundToDigits(magnitude: number, precision: number): { digits: string; exponent: number } {
  const rounded = split(magnitude.toExponential(precision - 1));
  const exact = split(magnitude.toExponential(TIE_DIGITS));
  const rest = exact.digits.slice(precision);
  // JavaScript rounds a tie up, C to the even digit: take back what was rounded up from an even one.
  if (rest.startsWith('5') && /^50*$/.test(rest) && Number(exact.digits.charAt(precision - 1)) % 2 === 0) {
    return { digits: exact.digits.slice(0, precision), exponent: exact.exponent };
  }
  return rounded;
}

function split(exponential: string): { digits: string; exponent: number } {
  const [mantissa = '', power = ''] = exponential.split('e');
  return { digits: mantissa.replace('.', ''), exponent: Number(power) };
}
