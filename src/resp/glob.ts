/**
 * Redis's glob patterns (src/util.c stringmatchlen, 7.2) over latin1 text:
 *
 *   *        any number of characters          [abc]  one of them       [^abc]  none of them
 *   ?        one character                     [a-z]  a range           \x      x itself
 *
 * Oddities that clients may rely on are kept: a class that is not closed ends with the pattern; a range whose ends are
 * swapped is put right; ranges compare signed bytes; a lone `*` does not match the empty string, because the walk ends
 * when either side is used up (KEYS and SCAN treat the pattern `*` by itself, before they ask).
 *
 * Redis recurses at each star. Here a star is remembered and tried one character further on when the rest fails; only
 * the last star matters, since whatever an earlier one could give up the last one can take (Redis 7.2 prunes the
 * same way). That leaves patterns like `*aaaa…b` at pattern × text steps, and therefore a budget: a match that needs
 * more than STEPS_BASE + STEPS_PER_CHARACTER × (pattern + text) steps is answered with "no match". Redis gives up in the
 * same manner after 1,000 stars; so do we.
 */

const STEPS_BASE = 100_000;
const STEPS_PER_CHARACTER = 32;
const STARS_MAX = 1000;

const STAR = 0x2a;
const QUESTION = 0x3f;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const BACKSLASH = 0x5c;
const CARET = 0x5e;
const DASH = 0x2d;

export interface GlobOptions {
  /** ASCII letters match in either case. */
  readonly ignoreCase?: boolean;
}

/** A predicate for many texts. */
export function compileGlob(pattern: string, options: GlobOptions = {}): (text: string) => boolean {
  const ignoreCase = options.ignoreCase ?? false;
  if (!ignoreCase && pattern !== '' && !/[*?[\\]/.test(pattern)) return (text) => text === pattern;
  const prefix = /^([^*?[\\]+)\*$/.exec(pattern)?.[1];
  if (!ignoreCase && prefix !== undefined) return (text) => text.startsWith(prefix);
  return (text) => matchesGlob(pattern, text, options);
}

export function matchesGlob(pattern: string, text: string, options: GlobOptions = {}): boolean {
  const fold = options.ignoreCase === true;
  let p = 0;
  let t = 0;
  // Where to go on if the characters after the last star do not match.
  let starP = -1;
  let starT = 0;
  let stars = 0;
  let steps = STEPS_BASE + STEPS_PER_CHARACTER * (pattern.length + text.length);

  while (p < pattern.length && t < text.length) {
    if (--steps < 0) return false;
    const code = pattern.charCodeAt(p);
    if (code === STAR) {
      while (pattern.charCodeAt(p + 1) === STAR) p++;
      if (p + 1 === pattern.length) return true;
      if (++stars > STARS_MAX) return false;
      p++;
      starP = p;
      starT = t;
      continue;
    }
    const next = matchOne(pattern, p, text.charCodeAt(t), fold);
    if (next !== NO_MATCH) {
      p = next;
      t++;
      if (t < text.length) {
        if (p < pattern.length) continue;
      } else {
        while (pattern.charCodeAt(p) === STAR) p++;
        if (p >= pattern.length) return true;
      }
    }
    // Mismatch, or one side is used up: the last star takes one character more.
    if (starP === -1) return false;
    p = starP;
    t = ++starT;
  }
  return p >= pattern.length && t >= text.length;
}

const NO_MATCH = -1;

/** Matches one character against the pattern element at `p`; returns the offset of the next element, or NO_MATCH. */
function matchOne(pattern: string, p: number, code: number, fold: boolean): number {
  const element = pattern.charCodeAt(p);
  if (element === QUESTION) return p + 1;
  if (element === OPEN) return matchClass(pattern, p + 1, code, fold);
  const isEscape = element === BACKSLASH && p + 1 < pattern.length;
  const literal = isEscape ? pattern.charCodeAt(p + 1) : element;
  const isMatch = fold ? lower(literal) === lower(code) : literal === code;
  if (!isMatch) return NO_MATCH;
  return isEscape ? p + 2 : p + 1;
}

/** `start` is the offset after the bracket. Returns the offset after the class, or NO_MATCH. */
function matchClass(pattern: string, start: number, code: number, fold: boolean): number {
  let p = start;
  const isNegated = pattern.charCodeAt(p) === CARET;
  if (isNegated) p++;
  let isMatch = false;
  for (; p < pattern.length; p++) {
    const element = pattern.charCodeAt(p);
    if (element === BACKSLASH && p + 1 < pattern.length) {
      p++;
      if (pattern.charCodeAt(p) === code) isMatch = true;
    } else if (element === CLOSE) {
      p++;
      break;
    } else if (p + 2 < pattern.length && pattern.charCodeAt(p + 1) === DASH) {
      if (isInRange(element, pattern.charCodeAt(p + 2), code, fold)) isMatch = true;
      p += 2;
    } else if (fold ? lower(element) === lower(code) : element === code) {
      isMatch = true;
    }
  }
  return isMatch === isNegated ? NO_MATCH : p;
}

function isInRange(from: number, to: number, code: number, fold: boolean): boolean {
  let low = signed(from);
  let high = signed(to);
  if (low > high) [low, high] = [high, low];
  const at = signed(code);
  if (!fold) return at >= low && at <= high;
  return lower(at) >= lower(low) && lower(at) <= lower(high);
}

/** A byte as C's `char`. */
function signed(code: number): number {
  return code > 127 ? code - 256 : code;
}

function lower(code: number): number {
  return code >= 65 && code <= 90 ? code + 32 : code;
}
