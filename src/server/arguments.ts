/** Reading the arguments of session commands. Texts are latin1: one character a byte. */
import {
  DB_OUT_OF_RANGE,
  INVALID_TIMEOUT,
  NEGATIVE_TIMEOUT,
  NOT_AN_INTEGER,
  TIMEOUT_OUT_OF_RANGE,
  fail,
  rangeError,
} from '../resp/errors.ts';
import type { ErrorReply } from '../resp/reply.ts';

/** Databases of SELECT: 0 to 15. */
export const DATABASES = 16;

const INT64_MAX = 9_223_372_036_854_775_807n;
const INT_MIN = -2_147_483_648;
const INT_MAX = 2_147_483_647;

export function textAt(argv: readonly Buffer[], index: number): string {
  const argument = argv[index];
  return argument === undefined ? '' : argument.toString('latin1');
}

/** For comparing with keywords. */
export function upperAt(argv: readonly Buffer[], index: number): string {
  return textAt(argv, index).toUpperCase();
}

/**
 * As string2ll of Redis: any integer of 64 bits, else undefined. One that a double does not hold exactly becomes the
 * safe integer next to it: no count, id or duration of a node is that large, so that only its sign matters.
 */
export function maybeInteger(argument: string): number | undefined {
  if (!/^(0|-?[1-9][0-9]{0,18})$/.test(argument)) return undefined;
  const value = Number(argument);
  if (Number.isSafeInteger(value)) return value;
  const whole = BigInt(argument);
  if (BigInt.asIntN(64, whole) !== whole) return undefined;
  return value < 0 ? Number.MIN_SAFE_INTEGER : Number.MAX_SAFE_INTEGER;
}

/** Throws ReplyError with `error`. */
export function mustIntegerAt(argv: readonly Buffer[], index: number, error: ErrorReply = NOT_AN_INTEGER): number {
  return maybeInteger(textAt(argv, index)) ?? fail(error);
}

/** An integer of 32 bits. Throws ReplyError with `error`, or as getIntFromObjectOrReply of Redis does without one. */
export function mustIntAt(argv: readonly Buffer[], index: number, error?: ErrorReply): number {
  const value = mustIntegerAt(argv, index, error);
  return value < INT_MIN || value > INT_MAX ? fail(error ?? rangeError(INT_MIN, INT_MAX)) : value;
}

/** The database that SELECT would choose, or undefined if it would fail. */
export function selectedDatabase(argv: readonly Buffer[]): number | undefined {
  const database = maybeInteger(textAt(argv, 1));
  return database !== undefined && database >= 0 && database < DATABASES ? database : undefined;
}

export function mustDatabase(argv: readonly Buffer[]): number {
  mustIntAt(argv, 1);
  return selectedDatabase(argv) ?? fail(DB_OUT_OF_RANGE);
}

/**
 * A duration in milliseconds, 0 = no limit. Refused if it would end, counted from `wallMs`, beyond 64 bits, as since
 * Redis 7.2 (timeout.c getTimeoutFromObjectOrReply).
 */
export function mustTimeoutAt(argv: readonly Buffer[], index: number, wallMs: number): number {
  const timeoutMs = mustIntegerAt(argv, index, INVALID_TIMEOUT);
  if (timeoutMs < 0) return fail(NEGATIVE_TIMEOUT);
  const isTooLate =
    timeoutMs === Number.MAX_SAFE_INTEGER && BigInt(textAt(argv, index)) > INT64_MAX - BigInt(Math.floor(wallMs));
  return isTooLate ? fail(TIMEOUT_OUT_OF_RANGE) : timeoutMs;
}

/** Whether an argument is this keyword (given in upper case), in any case. */
export function isKeyword(argument: Buffer, keyword: string): boolean {
  return argument.length === keyword.length && argument.toString('latin1').toUpperCase() === keyword;
}
