/**
 * What a command does to its keys, in the words of Redis (server.h CMD_KEY_*, addReplyFlagsForKeyArgs): how it gets at
 * the key, then what happens to its value. Clients and proxies read it from COMMAND INFO and COMMAND GETKEYSANDFLAGS.
 *
 *   RO  looks at the key        RW  looks at it and changes it      OW  replaces it unseen     RM  removes it unseen
 *   access  tells the user of the value     insert, update, delete  what becomes of the value
 *   variable_flags  the arguments decide; the other flags are the most that may happen
 */
export type KeyFlag = 'RO' | 'RW' | 'OW' | 'RM' | 'access' | 'update' | 'insert' | 'delete' | 'variable_flags';

export type KeyUse = readonly KeyFlag[];

export const READS: KeyUse = ['RO', 'access'];
/** Looks at what is known about the key, not at its value: EXISTS. */
export const INSPECTS: KeyUse = ['RO'];
export const REPLACES: KeyUse = ['OW', 'update'];
export const CREATES: KeyUse = ['OW', 'insert'];
export const REMOVES: KeyUse = ['RM', 'delete'];
/** Tells the value and removes the key: GETDEL. */
export const TAKES: KeyUse = ['RW', 'access', 'delete'];
/** Changes the value without telling it: SETRANGE. */
export const UPDATES: KeyUse = ['RW', 'update'];
export const EXTENDS: KeyUse = ['RW', 'insert'];
export const READS_AND_UPDATES: KeyUse = ['RW', 'access', 'update'];

/** Of all keys; or of the first key, and of those behind it. */
export type KeyUses = readonly [all: KeyUse] | readonly [first: KeyUse, others: KeyUse];

/** Where a row does not say: a write may do anything but remove. */
export function usualKeyUses(isWrite: boolean): KeyUses {
  return [isWrite ? READS_AND_UPDATES : READS];
}
