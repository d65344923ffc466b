/**
 * How long a blocking command may wait, read from its arguments by the entry node: it decides whether the session's
 * later commands wait too, and moves the deadline. The evaluation parses the same arguments again and judges them.
 */
import type { CommandEntry } from './command-table.ts';

/** Where a command keeps its waiting time. */
type WaitingTime =
  | { readonly in: 'option'; readonly token: string; readonly unit: 'ms' }
  | { readonly in: 'last' | 'first'; readonly unit: 's' };

const WAITING_TIMES: Readonly<Record<string, WaitingTime>> = {
  'kahuna.lock|acquire': { in: 'option', token: 'WAIT', unit: 'ms' },
  'kahuna.lock|macquire': { in: 'option', token: 'WAIT', unit: 'ms' },
  xread: { in: 'option', token: 'BLOCK', unit: 'ms' },
  xreadgroup: { in: 'option', token: 'BLOCK', unit: 'ms' },
  blpop: { in: 'last', unit: 's' },
  brpop: { in: 'last', unit: 's' },
  brpoplpush: { in: 'last', unit: 's' },
  blmove: { in: 'last', unit: 's' },
  bzpopmin: { in: 'last', unit: 's' },
  bzpopmax: { in: 'last', unit: 's' },
  blmpop: { in: 'first', unit: 's' },
  bzmpop: { in: 'first', unit: 's' },
};

/** `name` in any case. */
export function mayWait(name: string): boolean {
  return Object.hasOwn(WAITING_TIMES, name.toLowerCase());
}

/** Milliseconds; 0 if it does not wait (or its arguments are wrong), Infinity if it waits without limit. */
export function blockingWaitMs(entry: CommandEntry, argv: readonly Buffer[]): number {
  const where = WAITING_TIMES[entry.fullName];
  if (where === undefined) return 0;
  const text = waitingText(where, argv);
  if (text === undefined || !/^\d+(\.\d+)?$/.test(text)) return 0;
  const amount = Number(text);
  const isForEver = amount === 0 && !(where.in === 'option' && where.token === 'WAIT');
  return isForEver ? Number.POSITIVE_INFINITY : amount * (where.unit === 's' ? 1000 : 1);
}

function waitingText(where: WaitingTime, argv: readonly Buffer[]): string | undefined {
  if (where.in !== 'option') return (where.in === 'last' ? argv.at(-1) : argv[1])?.toString('latin1');
  const isOption = (argument: Buffer, index: number): boolean =>
    index > 0 && argument.length === where.token.length && argument.toString('latin1').toUpperCase() === where.token;
  // A key, owner or stream may be called like the option: LOCK's options stand last, XREAD's stand first.
  const position = where.token === 'WAIT' ? argv.findLastIndex(isOption) : argv.findIndex(isOption);
  return position === -1 ? undefined : argv[position + 1]?.toString('latin1');
}
