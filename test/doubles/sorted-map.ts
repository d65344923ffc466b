/**
 * An ordered map from strings to byte arrays with snapshots that cost nothing until the next change: sorted leaves of up to 64
 * entries, shared with the views and copied by the first change after a view was taken.
 */
const LEAF_COUNT_MAX = 64;

interface Leaf {
  /** Changes of a leaf of an older epoch go to a copy. */
  readonly epoch: number;
  readonly keys: string[];
  readonly values: Uint8Array[];
}

export interface SortedView {
  get(key: string): Uint8Array | undefined;
  /** Entries from `start` on, before `end`, as of when the view was taken. */
  range(start: string, end: string): Iterator<readonly [string, Uint8Array]>;
}

export class SortedMap implements SortedView {
  #epoch = 0;
  #isShared = false;
  /** Never empty; only the only leaf may have no keys. */
  #leaves: Leaf[] = [{ epoch: 0, keys: [], values: [] }];

  get(key: string): Uint8Array | undefined {
    return find(this.#leaves, key);
  }

  range(start: string, end: string): Iterator<readonly [string, Uint8Array]> {
    return walk(this.#leaves, start, end);
  }

  set(key: string, value: Uint8Array): void {
    const leafAt = leafIndex(this.#leaves, key);
    const leaf = this.#writable(leafAt);
    const at = lowerBound(leaf.keys, key);
    if (leaf.keys[at] === key) {
      leaf.values[at] = value;
      return;
    }
    leaf.keys.splice(at, 0, key);
    leaf.values.splice(at, 0, value);
    if (leaf.keys.length > LEAF_COUNT_MAX) this.#split(leafAt, leaf);
  }

  delete(key: string): void {
    const leafAt = leafIndex(this.#leaves, key);
    const found = this.#leaves[leafAt];
    if (found === undefined || found.keys[lowerBound(found.keys, key)] !== key) return;
    const leaf = this.#writable(leafAt);
    const at = lowerBound(leaf.keys, key);
    leaf.keys.splice(at, 1);
    leaf.values.splice(at, 1);
    if (leaf.keys.length === 0 && this.#leaves.length > 1) this.#leaves.splice(leafAt, 1);
  }

  /** What the map holds now, untouched by later changes. */
  view(): SortedView {
    this.#share();
    const leaves = this.#leaves;
    return { get: (key) => find(leaves, key), range: (start, end) => walk(leaves, start, end) };
  }

  /** A map of its own with the same entries. */
  copy(): SortedMap {
    this.#share();
    const copy = new SortedMap();
    copy.#leaves = this.#leaves;
    copy.#epoch = this.#epoch;
    copy.#isShared = true;
    return copy;
  }

  #share(): void {
    this.#isShared = true;
    this.#epoch++;
  }

  #writable(leafAt: number): Leaf {
    if (this.#isShared) {
      this.#leaves = this.#leaves.slice();
      this.#isShared = false;
    }
    const leaf = this.#leaves[leafAt] ?? { epoch: -1, keys: [], values: [] };
    if (leaf.epoch === this.#epoch) return leaf;
    const own = { epoch: this.#epoch, keys: leaf.keys.slice(), values: leaf.values.slice() };
    this.#leaves[leafAt] = own;
    return own;
  }

  #split(leafAt: number, leaf: Leaf): void {
    const middle = leaf.keys.length >>> 1;
    const right = { epoch: this.#epoch, keys: leaf.keys.splice(middle), values: leaf.values.splice(middle) };
    this.#leaves.splice(leafAt + 1, 0, right);
  }
}

function find(leaves: readonly Leaf[], key: string): Uint8Array | undefined {
  const leaf = leaves[leafIndex(leaves, key)];
  if (leaf === undefined) return undefined;
  const at = lowerBound(leaf.keys, key);
  return leaf.keys[at] === key ? leaf.values[at] : undefined;
}

function* walk(leaves: readonly Leaf[], start: string, end: string): Generator<readonly [string, Uint8Array]> {
  for (let leafAt = leafIndex(leaves, start); leafAt < leaves.length; leafAt++) {
    const leaf = leaves[leafAt];
    if (leaf === undefined) return;
    for (let at = lowerBound(leaf.keys, start); at < leaf.keys.length; at++) {
      const key = leaf.keys[at];
      const value = leaf.values[at];
      if (key === undefined || value === undefined || key >= end) return;
      yield [key, value];
    }
  }
}

/** The last leaf whose first key is at or before `key`; the first leaf if there is none. */
function leafIndex(leaves: readonly Leaf[], key: string): number {
  let low = 0;
  let high = leaves.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((leaves[middle]?.keys[0] ?? '') <= key) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Position of the first key that is not before `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? '') < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
