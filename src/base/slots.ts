/**
 * The hash slot of a key (Redis Cluster specification, "Key distribution model"): CRC-16/XMODEM of the key, or of its
 * hash tag, modulo 16384. Keys are strings of one character a byte.
 */
import { assert } from './assert.ts';
import { SLOT_COUNT, type Slot } from './ids.ts';

const TABLE = new Uint16Array(256);
for (let byte = 0; byte < 256; byte++) {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  TABLE[byte] = crc;
}

export function slotOfKey(key: string): Slot {
  let start = 0;
  let end = key.length;
  const open = key.indexOf('{');
  if (open !== -1) {
    const close = key.indexOf('}', open + 1);
    if (close > open + 1) {
      start = open + 1;
      end = close;
    }
  }
  let crc = 0;
  for (let i = start; i < end; i++) {
    crc = ((crc << 8) & 0xffff) ^ (TABLE[((crc >> 8) ^ key.charCodeAt(i)) & 0xff] ?? 0);
  }
  return crc % SLOT_COUNT;
}

/** A hash tag without braces that lies in this slot: the smallest number whose digits do. */
export function tagOfSlot(slot: Slot): string {
  assert(slot >= 0 && slot < SLOT_COUNT, `no key lies in slot ${slot}`);
  for (let n = 0; ; n++) {
    const tag = String(n);
    if (slotOfKey(tag) === slot) return tag;
  }
}
