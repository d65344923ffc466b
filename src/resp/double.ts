/**
 * Doubles in the digits that Redis 7.2 prints (src/util.c d2string, deps/fpconv emit_digits): the shortest that read
 * back as the same number; whole numbers up to 2^62 without exponent; `inf`, `-inf`, `nan`, `-0`.
 *
 * JavaScript finds the same shortest digits but lays them out differently (0.00001 and 1e21 change form elsewhere), so
 * only the digits are taken from it.
 */

/** Redis casts to a 64-bit integer within ± LLONG_MAX / 2, which as a double is 2^62. */
const WHOLE_MAX = 2 ** 62;
const FIXED_MAX = 1e21;

export function formatDouble(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (value === Number.POSITIVE_INFINITY) return 'inf';
  if (value === Number.NEGATIVE_INFINITY) return '-inf';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  if (Number.isSafeInteger(value)) return `${value}`;
  if (Number.isInteger(value) && Math.abs(value) <= WHOLE_MAX && Math.abs(value) < FIXED_MAX) return `${BigInt(value)}`;
  return value < 0 ? `-${layOut(-value, 17)}` : layOut(value, 18);
}

/** `value` is positive and finite; `digitsMax` bounds the digits of the scientific form, as in fpconv. */
function layOut(value: number, digitsMax: number): string {
  const [mantissa = '', exponentText = ''] = value.toExponential().split('e');
  const digits = mantissa.replace('.', '');
  const exponent = Number(exponentText);
  // value = digits × 10^scale
  const scale = exponent - (digits.length - 1);
  const magnitude = Math.abs(exponent);
  if (scale >= 0 && magnitude < digits.length + 7) return digits + '0'.repeat(scale);
  if (scale < 0 && (scale > -7 || magnitude < 4)) {
    const point = digits.length + scale;
    if (point <= 0) return `0.${'0'.repeat(-point)}${digits}`;
    return `${digits.slice(0, point)}.${digits.slice(point)}`;
  }
  const shown = digits.slice(0, digitsMax);
  const fraction = shown.length > 1 ? `.${shown.slice(1)}` : '';
  return `${shown.charAt(0)}${fraction}e${exponent < 0 ? '-' : '+'}${magnitude}`;
}
