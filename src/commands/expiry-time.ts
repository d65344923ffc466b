/**
 * Times of expiry as commands give them, with Redis's rules for what overflows (t_string.c getExpireMillisecondsOrReply,
 * expire.c expireGenericCommand, Redis 7.2). Times that fit 64 bits but not 2^53 - 1 ms (beyond the year 287,000) are kept
 * as that bound.
 */
import { NOT_AN_INTEGER, fail, invalidExpireTime } from '../resp/errors.ts';
import { type Int64, addInt64, clampToSafe, multiplyInt64, parseInt64 } from '../values/integer.ts';
import type { Args } from './args.ts';

export type ExpiryUnit = 'EX' | 'PX' | 'EXAT' | 'PXAT';

/** An option as it was written: its number is looked at only once the whole command is known to be well formed. */
export interface ExpiryOption {
  readonly unit: ExpiryUnit;
  readonly argument: Buffer;
}

const UNITS: readonly ExpiryUnit[] = ['EX', 'PX', 'EXAT', 'PXAT'];

/** Takes `EX seconds` and the like if they come next; a word without its number is left for the caller to refuse. */
export function maybeExpiryOption(args: Args): ExpiryOption | null {
  if (args.remaining < 2) return null;
  for (const unit of UNITS) if (args.maybeToken(unit)) return { unit, argument: args.bytes() };
  return null;
}

/** Partition time in ms; the number must be positive. `command` for the error's text. */
export function expiryOf(option: ExpiryOption, nowMs: number, command: string): number {
  const amount = parseInt64(option.argument) ?? fail(NOT_AN_INTEGER);
  if (amount <= 0) fail(invalidExpireTime(command));
  const inSeconds = option.unit === 'EX' || option.unit === 'EXAT';
  const isRelative = option.unit === 'EX' || option.unit === 'PX';
  return absoluteMs(amount, { inSeconds, fromMs: isRelative ? nowMs : 0 }) ?? fail(invalidExpireTime(command));
}

/** Undefined if the time leaves 64 bits on the way. May lie in the past, or be negative. */
export function absoluteMs(
  amount: Int64,
  form: { readonly inSeconds: boolean; readonly fromMs: number },
): number | undefined {
  const ms = form.inSeconds ? multiplyInt64(amount, 1000) : amount;
  if (ms === undefined) return undefined;
  const at = addInt64(ms, form.fromMs);
  return at === undefined ? undefined : clampToSafe(at);
}
