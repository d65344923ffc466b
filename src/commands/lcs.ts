/**
 * LCS: the longest common subsequence of two strings (t_string.c lcsCommand, Redis 7.2), by the textbook table of
 * (N+1) × (M+1) lengths, walked backwards from its end. Which of several longest ones is found, and how matches are cut
 * into ranges, is part of the answer, so the walk takes the same turns as Redis's.
 */
import { LCS_LEN_AND_IDX, LCS_NOT_STRINGS, LCS_TOO_BIG, SYNTAX_ERROR, fail } from '../resp/errors.ts';
import { MapReply, type Reply } from '../resp/reply.ts';
import { clampToSafe } from '../values/integer.ts';
import { byteLength, toBytes } from '../values/string.ts';
import type { StringValue } from '../values/value.ts';
import type { Args } from './args.ts';
import { defineCommand } from './define.ts';
import { after, integer, key, optional, token } from './grammar.ts';
import { STRING_BYTES_MAX, isString } from './lookup.ts';
import type { View } from './view.ts';

const CELL_BYTES = 4;

const lcs = defineCommand({
  name: 'LCS',
  group: 'string',
  since: '7.0.0',
  summary: 'Finds the longest common substring.',
  complexity: 'O(N*M) where N and M are the lengths of the two strings.',
  flags: ['readonly'],
  args: [
    key('key1'),
    key('key2'),
    optional(token('LEN')),
    optional(token('IDX')),
    optional(after('MINMATCHLEN', integer('min-match-len'))),
    optional(token('WITHMATCHLEN')),
  ],
  run: (view, args): Reply => {
    const a = stringOrEmpty(view, args);
    const b = stringOrEmpty(view, args);
    const options = readOptions(args);
    const cells = (byteLength(a) + 1) * (byteLength(b) + 1);
    if (cells * CELL_BYTES > STRING_BYTES_MAX) fail(LCS_TOO_BIG);
    const table = new LcsTable(toBytes(a), toBytes(b));
    if (options.wantsLength) return table.length;
    if (!options.wantsRanges) return table.subsequence();
    return new MapReply([
      ['matches', table.ranges(options.rangeLengthMin).map((range) => rangeReply(range, options.withLengths))],
      ['len', table.length],
    ]);
  },
});

function stringOrEmpty(view: View, args: Args): StringValue {
  const object = view.find(args.database, args.key());
  if (object === undefined) return '';
  return isString(object.value) ? object.value : fail(LCS_NOT_STRINGS);
}

interface LcsOptions {
  readonly wantsLength: boolean;
  readonly wantsRanges: boolean;
  readonly withLengths: boolean;
  readonly rangeLengthMin: number;
}

function readOptions(args: Args): LcsOptions {
  let wantsLength = false;
  let wantsRanges = false;
  let withLengths = false;
  let rangeLengthMin = 0;
  while (args.remaining > 0) {
    if (args.maybeToken('IDX')) wantsRanges = true;
    else if (args.maybeToken('LEN')) wantsLength = true;
    else if (args.maybeToken('WITHMATCHLEN')) withLengths = true;
    else if (args.remaining >= 2 && args.maybeToken('MINMATCHLEN'))
      rangeLengthMin = Math.max(0, clampToSafe(args.integer()));
    else fail(SYNTAX_ERROR);
  }
  if (wantsLength && wantsRanges) fail(LCS_LEN_AND_IDX);
  return { wantsLength, wantsRanges, withLengths, rangeLengthMin };
}

/** Inclusive positions in both strings. */
interface MatchRange {
  readonly aStart: number;
  readonly aEnd: number;
  readonly bStart: number;
  readonly bEnd: number;
}

function rangeReply(range: MatchRange, withLength: boolean): Reply {
  const { aStart, aEnd, bStart, bEnd } = range;
  const positions: Reply[] = [
    [aStart, aEnd],
    [bStart, bEnd],
  ];
  return withLength ? [...positions, aEnd - aStart + 1] : positions;
}

class LcsTable {
  readonly #a: Uint8Array;
  readonly #b: Uint8Array;
  /** Row by row: cell (i, j) is the length for the first i bytes of a and j bytes of b. */
  readonly #cells: Uint32Array;

  constructor(a: Uint8Array, b: Uint8Array) {
    this.#a = a;
    this.#b = b;
    this.#cells = new Uint32Array((a.length + 1) * (b.length + 1));
    const width = b.length + 1;
    for (let i = 1; i <= a.length; i++) {
      for (let j = 1; j <= b.length; j++) {
        const at = i * width + j;
        this.#cells[at] =
          a[i - 1] === b[j - 1]
            ? (this.#cells[at - width - 1] ?? 0) + 1
            : Math.max(this.#cells[at - width] ?? 0, this.#cells[at - 1] ?? 0);
      }
    }
  }

  get length(): number {
    return this.#cells.at(-1) ?? 0;
  }

  subsequence(): Uint8Array {
    const bytes = Buffer.alloc(this.length);
    let at = bytes.length;
    this.#walk((i) => {
      at -= 1;
      bytes[at] = this.#a[i] ?? 0;
    });
    return bytes;
  }

  /** Runs that are contiguous in both strings, from the end to the start, of at least that length. */
  ranges(lengthMin: number): MatchRange[] {
    const found: MatchRange[] = [];
    let open: MatchRange | null = null;
    const close = (range: MatchRange | null): void => {
      if (range !== null && range.aEnd - range.aStart + 1 >= lengthMin) found.push(range);
    };
    this.#walk((i, j) => {
      if (open !== null && open.aStart === i + 1 && open.bStart === j + 1) {
        open = { aStart: i, aEnd: open.aEnd, bStart: j, bEnd: open.bEnd };
      } else {
        close(open);
        open = { aStart: i, aEnd: i, bStart: j, bEnd: j };
      }
    });
    close(open);
    return found;
  }

  /** Reports the matched positions, last first. */
  #walk(onMatch: (i: number, j: number) => void): void {
    const width = this.#b.length + 1;
    let i = this.#a.length;
    let j = this.#b.length;
    while (i > 0 && j > 0) {
      if (this.#a[i - 1] === this.#b[j - 1]) {
        i -= 1;
        j -= 1;
        onMatch(i, j);
      } else if ((this.#cells[(i - 1) * width + j] ?? 0) > (this.#cells[i * width + j - 1] ?? 0)) {
        i -= 1;
      } else {
        j -= 1;
      }
    }
  }
}

export const lcsCommands = [lcs];
