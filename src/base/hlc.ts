/**
 * Hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014), as one exact integer:
 * milliseconds since 1970 times 4096 plus a counter. It stays below 2^53 until September 2039; that bound is asserted,
 * so it cannot be passed silently.
 */
import { assert } from './assert.ts';
import type { Timestamp } from './ids.ts';

const HLC_COUNTER_RANGE = 4096;

export function timestampFromMs(ms: number): Timestamp {
  return Math.floor(ms) * HLC_COUNTER_RANGE;
}

export function msOfTimestamp(timestamp: Timestamp): number {
  return Math.floor(timestamp / HLC_COUNTER_RANGE);
}

/** The reading that follows `last` when the physical clock shows `physicalMs`: strictly greater than `last`. */
export function nextTimestamp(last: Timestamp, physicalMs: number): Timestamp {
  const physical = timestampFromMs(physicalMs);
  const next = physical > last ? physical : last + 1;
  assert(next <= Number.MAX_SAFE_INTEGER, `timestamp ${next} is not exact`);
  return next;
}
