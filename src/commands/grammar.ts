/** Words for writing the argument grammar of a row, so that it reads like the command's own syntax line. */
import type { ArgSpec } from './define.ts';

export const key = (name = 'key'): ArgSpec => ({ name, type: 'key' });
export const text = (name: string): ArgSpec => ({ name, type: 'string' });
export const integer = (name: string): ArgSpec => ({ name, type: 'integer' });
export const double = (name: string): ArgSpec => ({ name, type: 'double' });
export const pattern = (name = 'pattern'): ArgSpec => ({ name, type: 'pattern' });
export const unixTime = (name: string): ArgSpec => ({ name, type: 'unix-time' });

/** A word that stands for itself: `NX`. */
export const token = (word: string, name = word.toLowerCase()): ArgSpec => ({ name, type: 'pure-token', token: word });
/** An argument behind a word: `EX seconds`. */
export const after = (word: string, arg: ArgSpec): ArgSpec => ({ ...arg, token: word });
export const optional = (arg: ArgSpec): ArgSpec => ({ ...arg, optional: true });
/** One or more. */
export const many = (arg: ArgSpec): ArgSpec => ({ ...arg, multiple: true });
export const oneOf = (name: string, ...args: readonly ArgSpec[]): ArgSpec => ({ name, type: 'oneof', args });
export const block = (name: string, ...args: readonly ArgSpec[]): ArgSpec => ({ name, type: 'block', args });

/** `EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds`, and what else a command takes. */
export const expiration = (...others: readonly ArgSpec[]): ArgSpec =>
  optional(
    oneOf(
      'expiration',
      after('EX', integer('seconds')),
      after('PX', integer('milliseconds')),
      after('EXAT', unixTime('unix-time-seconds')),
      after('PXAT', unixTime('unix-time-milliseconds')),
      ...others,
    ),
  );
