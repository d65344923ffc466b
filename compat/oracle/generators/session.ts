/** Commands that live from, or change, the state of a connection, and those that show the server. */
import fc from 'fast-check';

import { database, integerText, key, list, value, weighted, words } from './arguments.ts';
import type { CommandGenerator } from './table.ts';

export const transactionCommands: readonly CommandGenerator[] = [
  { name: 'MULTI', weight: 1, args: words() },
  { name: 'EXEC', weight: 1, args: words() },
  { name: 'DISCARD', weight: 1, args: words() },
  { name: 'WATCH', weight: 2, args: list(key, 1, 3) },
  { name: 'UNWATCH', weight: 1, args: words() },
];

const subcommandOfClient = weighted([
  [2, words(fc.constantFrom('GETNAME', 'ID', 'GETREDIR', 'TRACKINGINFO', 'INFO', 'LIST', 'HELP'))],
  [2, words('SETNAME', fc.constantFrom('', 'conn', 'my name', 'new\nline', '{}', '~!', '\x7f'))],
  [1, words('NO-EVICT', fc.constantFrom('on', 'OFF', 'maybe'))],
  [1, words('REPLY', fc.constantFrom('ON', 'x'))],
  [1, words('UNBLOCK', fc.constantFrom('999999', 'abc', ''), fc.constantFrom('TIMEOUT', 'ERROR', 'x'))],
  [1, words('KILL', 'ID', fc.constantFrom('0', '-5', 'abc', '99999999'))],
  [1, words('KILL', fc.constantFrom('127.0.0.1:1', 'x'))],
  [1, words('KILL', 'TYPE', 'alien')],
  [1, words('TRACKING', fc.constantFrom('off', 'perhaps'))],
  [1, words('CACHING', fc.constantFrom('YES', 'x'))],
  [1, words('PAUSE', fc.constantFrom('abc', '-1', ''))],
  [1, words(fc.constantFrom('FOO', 'SETNAMES', ''))],
]);

export const connectionCommands: readonly CommandGenerator[] = [
  {
    name: 'PING',
    weight: 1,
    args: weighted([
      [2, words()],
      [2, words(value)],
      [1, words(value, value)],
    ]),
  },
  { name: 'ECHO', weight: 1, args: words(value) },
  { name: 'SELECT', weight: 3, args: words(database) },
  { name: 'SWAPDB', weight: 1, args: words(database, database) },
  {
    name: 'HELLO',
    weight: 1,
    args: weighted([
      [2, words()],
      [2, words(fc.constantFrom('2', '3'))],
      [1, words(fc.constantFrom('1', '4', '-1', 'abc', ''))],
      [1, words('3', 'SETNAME', fc.constantFrom('hi', 'a b', ''))],
      [1, words('2', 'AUTH', 'default', 'wrong')],
      [1, words('3', fc.constantFrom('AUTH', 'SETNAME', 'FOO'))],
      [1, words('3', 'AUTH', 'nobody', 'x', 'SETNAME', 'n')],
    ]),
  },
  {
    name: 'AUTH',
    weight: 1,
    args: weighted([
      [2, words(fc.constantFrom('pw', ''))],
      [1, words(fc.constantFrom('default', 'bob'), 'pw')],
      [1, words('a', 'b', 'c')],
    ]),
  },
  { name: 'RESET', weight: 0.5, args: words() },
  { name: 'CLIENT', weight: 3, args: subcommandOfClient },
  { name: 'READONLY', weight: 0.3, args: words() },
  { name: 'READWRITE', weight: 0.3, args: words() },
];

const getKeys = words(
  'GETKEYS',
  weighted([
    [2, words('SET', key, value)],
    [1, words('MSET', list(words(key, value), 1, 3))],
    [1, words('MGET', list(key, 1, 3))],
    [1, words('BITOP', 'AND', key, list(key, 1, 2))],
    [1, words('EVAL', 'return 1', fc.constantFrom('0', '1', '2', '-1', 'x'), list(key, 0, 3))],
    [1, words(fc.constantFrom('PING', 'NOSUCH', 'GET', 'MSET', 'COPY'))],
    [1, words('COPY', key, key)],
    [1, words('OBJECT', 'ENCODING', key)],
    [1, words('MEMORY', 'USAGE', key)],
  ]),
);

export const serverCommands: readonly CommandGenerator[] = [
  {
    name: 'COMMAND',
    weight: 2,
    args: weighted([
      [4, getKeys],
      [1, words(fc.constantFrom('COUNT', 'FOO', 'HELP'))],
      [1, words('INFO', fc.constantFrom('nosuch', ''))],
      [1, words('LIST', 'FILTERBY', fc.constantFrom('ACLCAT', 'FOO'))],
      [1, words('DOCS', 'nosuch')],
    ]),
  },
  {
    name: 'CONFIG',
    weight: 1,
    args: weighted([
      [2, words('GET', fc.constantFrom('nosuch', 'databases', 'no*such', 'proto-max-bulk-len', 'DATABASES'))],
      [1, words('SET', fc.constantFrom('nosuch', 'databases', 'maxmemory'), fc.constantFrom('abc', 'x y'))],
      [1, words(fc.constantFrom('FOO', 'GET', 'SET', 'RESETSTAT', 'HELP'))],
    ]),
  },
  { name: 'TIME', weight: 0.3, args: words() },
  { name: 'LASTSAVE', weight: 0.3, args: words() },
  { name: 'ROLE', weight: 0.3, args: words() },
  {
    name: 'INFO',
    weight: 0.3,
    args: weighted([
      [1, words()],
      [1, list(fc.constantFrom('server', 'keyspace', 'nosuch'), 1, 2)],
    ]),
  },
  {
    name: 'WAIT',
    weight: 0.3,
    args: weighted([
      [2, words('0', '0')],
      [1, words(integerText, fc.constantFrom('-1', 'abc', ''))],
    ]),
  },
  {
    name: 'SLOWLOG',
    weight: 0.5,
    args: weighted([
      [1, words(fc.constantFrom('LEN', 'RESET', 'GET', 'HELP', 'FOO'))],
      [1, words('GET', fc.constantFrom('-1', '-2', 'abc', '0'))],
    ]),
  },
  {
    name: 'LATENCY',
    weight: 0.5,
    args: weighted([
      [1, words(fc.constantFrom('LATEST', 'RESET', 'FOO', 'HISTORY', 'HELP'))],
      [1, words('HISTORY', 'nosuch')],
    ]),
  },
  { name: 'DEBUG', weight: 0.3, args: words('SLEEP', '0') },
  {
    name: 'NOSUCHCOMMAND',
    weight: 0.5,
    args: list(value, 0, 4),
  },
  { name: 'get\r\nx', weight: 0.2, args: list(key, 0, 2) },
];
