/**
 * How far V8's heap may grow between two collections of the old generation. V8 knows only a factor: one that keeps the
 * heap of a full node small makes that of a fresh one be marked several times a second, on the cores that serve; one that
 * lets the fresh one work wastes hundreds of MB on the full one. So the factor follows the size: about one step of
 * STEP_BYTES, and a fifth of the heap where that is more.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';

const STEP_BYTES = 32 * 1024 * 1024;
const PERCENT_MIN = 20;
const PERCENT_MAX = 200;
/** Pause between two looks at the heap, in ms. */
const LOOK_MS = 500;

/** Goes on until the process ends, without keeping it alive. */
export function boundHeapGrowth(): void {
  let present = 0;
  const look = (): void => {
    const percent = growthPercent(getHeapStatistics().used_heap_size);
    if (percent === present) return;
    present = percent;
    // V8 reads this flag at every collection, not only when it starts.
    setFlagsFromString(`--heap-growing-percent=${percent}`);
  };
  look();
  setInterval(look, LOOK_MS).unref();
}

/** In percent of what is in use after a collection. */
export function growthPercent(usedBytes: number): number {
  return Math.round(Math.min(PERCENT_MAX, Math.max(PERCENT_MIN, (100 * STEP_BYTES) / usedBytes)));
}
