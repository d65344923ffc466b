/** Reading the arguments of session commands. Texts are latin1: one character a byte. */
import { DB_OUT_OF_RANGE, NOT_AN_INTEGER, fail } from '../resp/errors.ts';
import type { ErrorReply } from '../resp/reply.ts';

/** Databases of SELECT: 0 to 15. */
export const DATABASES = 16;

export function textAt(argv: readonly Buffer[], index: number): string {
  const argument = argv[index];
  return argument === undefined ? '' : argument.toString('latin1');
}

/** For comparing with keywords. */
export function upperAt(argv: readonly Buffer[], index: number): string {
  return textAt(argv, index).toUpperCase();
}

/** As string2ll of Redis, but only what is exact in JavaScript; undefined otherwise. */
export function maybeInteger(argument: string): number | undefined {
  if (!/^(0|-?[1-9][0-9]{0,18})$/.test(argument)) return undefined;
  const value = Number(argument);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Throws ReplyError with `error`. */
export function mustIntegerAt(argv: readonly Buffer[], index: number, error: ErrorReply = NOT_AN_INTEGER): number {
  return maybeInteger(textAt(argv, index)) ?? fail(error);
}

/** The database that SELECT would choose, or undefined if it would fail. */
export function selectedDatabase(argv: readonly Buffer[]): number | undefined {
  const database = maybeInteger(textAt(argv, 1));
  return database !== undefined && database >= 0 && database < DATABASES ? database : undefined;
}

export function mustDatabase(argv: readonly Buffer[]): number {
  mustIntegerAt(argv, 1);
  return selectedDatabase(argv) ?? fail(DB_OUT_OF_RANGE);
}

/** Whether an argument is this keyword (given in upper case), in any case. */
export function isKeyword(argument: Buffer, keyword: string): boolean {
  return argument.length === keyword.length && argument.toString('latin1').toUpperCase() === keyword;
}
