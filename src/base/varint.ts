/**
 * Variable-length unsigned integers (LEB128): seven bits a byte, low ones first, the high bit says that more follow.
 * `ByteWriter.varint` and `ByteReader.varint` write and read them; here is what is known about their size.
 */

/** 2^53 - 1 takes eight bytes. */
export const VARINT_BYTES_MAX = 8;

/** Bytes that `value` (an exact non-negative integer) takes, 1 to 8. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}
