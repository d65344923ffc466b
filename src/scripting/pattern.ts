/**
 * Lua 5.1's pattern matching (lstrlib.c, reference manual §5.4.1), with its steps counted.
 *
 * Why: matching backtracks, so a pattern of thirty characters can keep the native matcher busy for ever, and nothing
 * can interrupt a native function. Patterns that could need many steps are therefore matched here. The subject and the
 * pattern are read in place, in Lua's memory: addresses are absolute, and stay good while the strings are on the stack.
 */
import type { Lua } from './lua.ts';
import { PATTERN_DEPTH_MAX } from './limits.ts';

const ESCAPE = 0x25;
const CAPTURES_MAX = 32;
const UNFINISHED = -1;
const POSITION = -2;
const STEPS_PER_CHARGE = 4_096;

const CARET = 0x5e;
const DOLLAR = 0x24;
const OPEN = 0x28;
const CLOSE = 0x29;
const BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const STAR = 0x2a;
const PLUS = 0x2b;
const MINUS = 0x2d;
const QUESTION = 0x3f;
const DOT = 0x2e;
const LETTER_B = 0x62;
const LETTER_F = 0x66;

/** The pattern is not one, or a capture is used that is not there; the text is Lua's. */
export class PatternError extends Error {}

export class Matcher {
  readonly #lua: Lua;
  readonly #charge: (steps: number) => void;
  readonly #subject: number;
  readonly #subjectEnd: number;
  readonly #patternEnd: number;
  #steps = 0;
  #depth = 0;
  /** Captures of the last match: `starts[i]` absolute, `lengths[i]` in bytes or one of the marks above. */
  level = 0;
  readonly starts: number[] = [];
  readonly lengths: number[] = [];

  /** `charge` is told of steps now and then, and ends the run when there were too many. */
  constructor(lua: Lua, subject: number, pattern: number, charge: (steps: number) => void) {
    this.#lua = lua;
    this.#charge = charge;
    this.#subject = lua.stringStart(subject);
    this.#subjectEnd = this.#subject + lua.stringLength(subject);
    const start = lua.stringStart(pattern);
    const end = start + lua.stringLength(pattern);
    // A pattern is a C string for Lua 5.1.
    const nul = lua.u8.subarray(start, end).indexOf(0);
    this.#patternEnd = nul === -1 ? end : start + nul;
  }

  get subjectStart(): number {
    return this.#subject;
  }

  get subjectEnd(): number {
    return this.#subjectEnd;
  }

  /** End of the match of the pattern from `pattern` on that begins exactly at `subject`; -1 if there is none. */
  matchAt(subject: number, pattern: number): number {
    this.level = 0;
    this.#depth = 0;
    return this.#match(subject, pattern);
  }

  #byte(address: number): number {
    return this.#lua.u8[address] as number;
  }

  /** A byte of the pattern; 0 at its end, where C has the NUL. */
  #patternByte(address: number): number {
    return address < this.#patternEnd ? this.#byte(address) : 0;
  }

  #step(): void {
    this.#steps++;
    if (this.#steps < STEPS_PER_CHARGE) return;
    this.#steps = 0;
    this.#charge(STEPS_PER_CHARGE);
  }

  #match(subject: number, pattern: number): number {
    this.#depth++;
    if (this.#depth > PATTERN_DEPTH_MAX) throw new PatternError('pattern too complex');
    const end = this.#matchItems(subject, pattern);
    this.#depth--;
    return end;
  }

  #matchItems(from: number, fromPattern: number): number {
    let subject = from;
    let pattern = fromPattern;
    for (;;) {
      this.#step();
      if (pattern >= this.#patternEnd) return subject;
      const code = this.#byte(pattern);
      if (code === OPEN) {
        if (this.#patternByte(pattern + 1) === CLOSE) return this.#startCapture(subject, pattern + 2, POSITION);
        return this.#startCapture(subject, pattern + 1, UNFINISHED);
      }
      if (code === CLOSE) return this.#endCapture(subject, pattern + 1);
      if (code === DOLLAR && pattern + 1 === this.#patternEnd) return subject === this.#subjectEnd ? subject : -1;
      if (code === ESCAPE) {
        const kind = this.#patternByte(pattern + 1);
        if (kind === LETTER_B) {
          subject = this.#matchBalance(subject, pattern + 2);
          if (subject === -1) return -1;
          pattern += 4;
          continue;
        }
        if (kind === LETTER_F) {
          pattern += 2;
          if (this.#patternByte(pattern) !== BRACKET) throw new PatternError("missing '[' after '%f' in pattern");
          const end = this.#classEnd(pattern);
          const previous = subject === this.#subject ? 0 : this.#byte(subject - 1);
          const present = subject < this.#subjectEnd ? this.#byte(subject) : 0;
          if (this.#matchSet(previous, pattern, end - 1) || !this.#matchSet(present, pattern, end - 1)) return -1;
          pattern = end;
          continue;
        }
        if (isDigit(kind)) {
          subject = this.#matchBackReference(subject, kind);
          if (subject === -1) return -1;
          pattern += 2;
          continue;
        }
      }
      const end = this.#classEnd(pattern);
      const matches = subject < this.#subjectEnd && this.#matchSingle(this.#byte(subject), pattern, end);
      const suffix = this.#patternByte(end);
      if (suffix === QUESTION) {
        if (matches) {
          const rest = this.#match(subject + 1, end + 1);
          if (rest !== -1) return rest;
        }
        pattern = end + 1;
      } else if (suffix === STAR) return this.#expandMost(subject, pattern, end);
      else if (suffix === PLUS) return matches ? this.#expandMost(subject + 1, pattern, end) : -1;
      else if (suffix === MINUS) return this.#expandLeast(subject, pattern, end);
      else {
        if (!matches) return -1;
        subject++;
        pattern = end;
      }
    }
  }

  #expandMost(subject: number, pattern: number, end: number): number {
    let count = 0;
    while (subject + count < this.#subjectEnd && this.#matchSingle(this.#byte(subject + count), pattern, end)) {
      count++;
      this.#step();
    }
    for (; count >= 0; count--) {
      const rest = this.#match(subject + count, end + 1);
      if (rest !== -1) return rest;
    }
    return -1;
  }

  #expandLeast(from: number, pattern: number, end: number): number {
    for (let subject = from; ; subject++) {
      const rest = this.#match(subject, end + 1);
      if (rest !== -1) return rest;
      if (subject >= this.#subjectEnd || !this.#matchSingle(this.#byte(subject), pattern, end)) return -1;
    }
  }

  #startCapture(subject: number, pattern: number, mark: number): number {
    if (this.level >= CAPTURES_MAX) throw new PatternError('too many captures');
    this.starts[this.level] = subject;
    this.lengths[this.level] = mark;
    this.level++;
    const end = this.#match(subject, pattern);
    if (end === -1) this.level--;
    return end;
  }

  #endCapture(subject: number, pattern: number): number {
    let open = this.level - 1;
    while (open >= 0 && this.lengths[open] !== UNFINISHED) open--;
    if (open < 0) throw new PatternError('invalid pattern capture');
    this.lengths[open] = subject - (this.starts[open] as number);
    const end = this.#match(subject, pattern);
    if (end === -1) this.lengths[open] = UNFINISHED;
    return end;
  }

  #matchBackReference(subject: number, digit: number): number {
    const index = digit - 0x31;
    const length = this.lengths[index];
    if (index < 0 || index >= this.level || length === undefined || length === UNFINISHED) {
      throw new PatternError('invalid capture index');
    }
    // A position capture has a negative length, which C's comparison takes for more than is left.
    if (length < 0 || this.#subjectEnd - subject < length) return -1;
    const start = this.starts[index] as number;
    for (let i = 0; i < length; i++) {
      this.#step();
      if (this.#byte(start + i) !== this.#byte(subject + i)) return -1;
    }
    return subject + length;
  }

  #matchBalance(subject: number, pattern: number): number {
    if (pattern + 1 >= this.#patternEnd) throw new PatternError('unbalanced pattern');
    if (subject >= this.#subjectEnd || this.#byte(subject) !== this.#byte(pattern)) return -1;
    const open = this.#byte(pattern);
    const close = this.#byte(pattern + 1);
    let depth = 1;
    for (let at = subject + 1; at < this.#subjectEnd; at++) {
      this.#step();
      const code = this.#byte(at);
      if (code === close) {
        depth--;
        if (depth === 0) return at + 1;
      } else if (code === open) depth++;
    }
    return -1;
  }

  /** The address after one item: a character, an escape or a set. */
  #classEnd(from: number): number {
    const code = this.#byte(from);
    let pattern = from + 1;
    if (code === ESCAPE) {
      if (pattern >= this.#patternEnd) throw new PatternError("malformed pattern (ends with '%')");
      return pattern + 1;
    }
    if (code !== BRACKET) return pattern;
    if (this.#patternByte(pattern) === CARET) pattern++;
    do {
      if (pattern >= this.#patternEnd) throw new PatternError("malformed pattern (missing ']')");
      const member = this.#byte(pattern);
      pattern++;
      if (member === ESCAPE && pattern < this.#patternEnd) pattern++;
    } while (this.#patternByte(pattern) !== CLOSE_BRACKET);
    return pattern + 1;
  }

  #matchSingle(code: number, pattern: number, end: number): boolean {
    switch (this.#byte(pattern)) {
      case DOT:
        return true;
      case ESCAPE:
        return isInClass(code, this.#byte(pattern + 1));
      case BRACKET:
        return this.#matchSet(code, pattern, end - 1);
      default:
        return this.#byte(pattern) === code;
    }
  }

  /** `last` is the address of the closing bracket. */
  #matchSet(code: number, from: number, last: number): boolean {
    let pattern = from;
    let isMember = true;
    if (this.#byte(pattern + 1) === CARET) {
      isMember = false;
      pattern++;
    }
    while (++pattern < last) {
      const member = this.#byte(pattern);
      if (member === ESCAPE) {
        pattern++;
        if (isInClass(code, this.#byte(pattern))) return isMember;
      } else if (this.#byte(pattern + 1) === MINUS && pattern + 2 < last) {
        pattern += 2;
        if (member <= code && code <= this.#byte(pattern)) return isMember;
      } else if (member === code) return isMember;
    }
    return !isMember;
  }
}

/** Lengths that are no lengths. */
export const CAPTURE_MARKS = { unfinished: UNFINISHED, position: POSITION } as const;

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** Character classes of the C locale; an upper-case class is the complement, any other letter is itself. */
function isInClass(code: number, classCode: number): boolean {
  const lower = classCode | 0x20;
  let isMember: boolean;
  switch (String.fromCharCode(lower)) {
    case 'a':
      isMember = isLetter(code);
      break;
    case 'c':
      isMember = code < 0x20 || code === 0x7f;
      break;
    case 'd':
      isMember = isDigit(code);
      break;
    case 'l':
      isMember = code >= 0x61 && code <= 0x7a;
      break;
    case 'p':
      isMember = code > 0x20 && code < 0x7f && !isLetter(code) && !isDigit(code);
      break;
    case 's':
      isMember = code === 0x20 || (code >= 0x09 && code <= 0x0d);
      break;
    case 'u':
      isMember = code >= 0x41 && code <= 0x5a;
      break;
    case 'w':
      isMember = isLetter(code) || isDigit(code);
      break;
    case 'x':
      isMember = isDigit(code) || (code >= 0x41 && code <= 0x46) || (code >= 0x61 && code <= 0x66);
      break;
    case 'z':
      isMember = code === 0;
      break;
    default:
      return classCode === code;
  }
  return classCode === lower ? isMember : !isMember;
}

function isLetter(code: number): boolean {
  return (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
}

const QUANTIFIERS = new Uint8Array(128);
for (const code of [STAR, PLUS, MINUS]) QUANTIFIERS[code] = 1;
QUANTIFIERS[QUESTION] = 2;

/**
 * Steps that the native matcher might take at worst. Each repetition may give back as many characters as the subject
 * has, an optional item doubles the ways; a search starts everywhere unless it is anchored.
 */
export function estimateSteps(u8: Uint8Array, pattern: number, patternLength: number, subjectLength: number): number {
  const length = subjectLength + 1;
  let steps = patternLength;
  if (u8[pattern] !== CARET) steps *= length;
  for (let at = pattern; at < pattern + patternLength; at++) {
    const code = u8[at] as number;
    if (code === ESCAPE) {
      at++;
      const kind = u8[at] as number;
      if (kind === LETTER_B || isDigit(kind)) steps *= length;
      continue;
    }
    const quantifier = code < 128 ? QUANTIFIERS[code] : 0;
    if (quantifier === 1) steps *= length;
    else if (quantifier === 2) steps *= 2;
  }
  return steps;
}

/** Whether the pattern is plain text (lstrlib.c SPECIALS), looking up to its first NUL as C does. */
export function isPlain(u8: Uint8Array, pattern: number, patternLength: number): boolean {
  for (let at = pattern; at < pattern + patternLength; at++) {
    const code = u8[at] as number;
    if (code === 0) return true;
    if (code < 128 && SPECIALS[code] === 1) return false;
  }
  return true;
}

const SPECIALS = new Uint8Array(128);
for (const code of [CARET, DOLLAR, STAR, PLUS, QUESTION, DOT, OPEN, BRACKET, ESCAPE, MINUS]) SPECIALS[code] = 1;
