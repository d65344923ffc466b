/**
 * Reads the arguments of one command from left to right. A hot path (benchmark: SET/GET in compat/bench): one instance
 * serves all evaluations of a partition, and reading a key or a short value allocates its string and nothing else.
 *
 * The dispatcher has checked the arity, so mandatory arguments are there; reading past the end is a syntax error. What
 * does not fit throws ReplyError with Redis's text.
 */
import { NOT_AN_INTEGER, NOT_A_FLOAT, SYNTAX_ERROR, fail } from '../resp/errors.ts';
import { type LongDouble, parseLongDouble } from '../values/float.ts';
import { type Int64, parseInt64 } from '../values/integer.ts';
import { stringFromBytes } from '../values/string.ts';
import type { Space, StringValue } from '../values/value.ts';

const LOWER_CASE = 0x20;
const UPPER_A = 0x41;
const UPPER_Z = 0x5a;
const NO_ARGUMENTS: readonly Buffer[] = [];

export class Args {
  #argv: readonly Buffer[] = NO_ARGUMENTS;
  #next = 1;
  #database: Space = 0;

  /** Starts over with another command. `argv[0]` is its name; the buffers are only read, and valid until the next reset. */
  reset(argv: readonly Buffer[], database: Space): this {
    this.#argv = argv;
    this.#next = 1;
    this.#database = database;
    return this;
  }

  /** The database that the session selected. */
  get database(): Space {
    return this.#database;
  }

  /** All of them, with the command's name. */
  get argv(): readonly Buffer[] {
    return this.#argv;
  }

  /** Arguments that were not read yet. */
  get remaining(): number {
    return this.#argv.length - this.#next;
  }

  skip(count: number): void {
    this.#next += count;
  }

  /** The next argument itself: must be copied to outlive the call. */
  bytes(): Buffer {
    const bytes = this.#argv[this.#next++];
    return bytes === undefined ? fail(SYNTAX_ERROR) : bytes;
  }

  /** One character a byte. */
  key(): string {
    return this.bytes().toString('latin1');
  }

  /** One character a byte. */
  text(): string {
    return this.bytes().toString('latin1');
  }

  /** A copy in the form that keys hold. */
  value(): StringValue {
    return stringFromBytes(this.bytes());
  }

  /** Any 64-bit integer. */
  integer(): Int64 {
    return parseInt64(this.bytes()) ?? fail(NOT_AN_INTEGER);
  }

  longDouble(): LongDouble {
    return parseLongDouble(this.text()) ?? fail(NOT_A_FLOAT);
  }

  /** Takes the next argument if it is this word, in any case. `token` is upper case. */
  maybeToken(token: string): boolean {
    const bytes = this.#argv[this.#next];
    if (bytes === undefined || !isToken(bytes, token)) return false;
    this.#next += 1;
    return true;
  }

  /** Nothing may be left. */
  end(): void {
    if (this.remaining > 0) fail(SYNTAX_ERROR);
  }
}

/** Whether the bytes are this upper-case word of letters, digits and underscores, in any case. */
export function isToken(bytes: Uint8Array, token: string): boolean {
  if (bytes.length !== token.length) return false;
  for (let i = 0; i < token.length; i++) {
    const wanted = token.charCodeAt(i);
    const byte = bytes[i] ?? 0;
    if (byte === wanted) continue;
    if (wanted < UPPER_A || wanted > UPPER_Z || byte !== (wanted | LOWER_CASE)) return false;
  }
  return true;
}
