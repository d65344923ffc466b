/** Commands that live from, or change, the state of a connection, and those that show the server. */
import fc from 'fast-check';

import { database, integerText, key, list, maybe, options, value, weighted, type Words, words } from './arguments.ts';
import type { CommandGenerator } from './table.ts';

export const transactionCommands: readonly CommandGenerator[] = [
  { name: 'MULTI', weight: 1, args: words() },
  { name: 'EXEC', weight: 1, args: words() },
  { name: 'DISCARD', weight: 1, args: words() },
  { name: 'WATCH', weight: 2, args: list(key, 1, 3) },
  { name: 'UNWATCH', weight: 1, args: words() },
];

/** Ids that no connection has. */
const noClient = fc.constantFrom('0', '-5', 'abc', '99999999', '9223372036854775807', '9223372036854775808');

const NO_VICTIMS: readonly (readonly string[])[] = [
  ['ID', '99999999'],
  ['ID', '9223372036854775807'],
  ['ADDR', '1.2.3.4:5'],
  ['LADDR', '1.2.3.4:5'],
  ['TYPE', 'master'],
  ['TYPE', 'alien'],
  ['USER', 'nobody'],
];

const killFilters: readonly (string | Words)[] = [
  words('ID', noClient),
  words('TYPE', fc.constantFrom('master', 'replica', 'SLAVE', 'pubsub')),
  words('USER', fc.constantFrom('default', 'nobody', '')),
  words('SKIPME', fc.constantFrom('yes', 'NO', 'maybe')),
  words(fc.constantFrom('ADDR', 'LADDR'), fc.constantFrom('1.2.3.4:5', '')),
  'ID',
];

const subcommandOfClient = weighted([
  [2, words(fc.constantFrom('GETNAME', 'ID', 'GETREDIR', 'TRACKINGINFO', 'INFO', 'LIST', 'HELP'))],
  [2, words('SETNAME', fc.constantFrom('', 'conn', 'my name', 'new\nline', '{}', '~!', '\x7f'))],
  [1, words('LIST', fc.constantFrom('TYPE', 'FOO'), fc.constantFrom('normal', 'PubSub', 'master', 'alien'))],
  [1, words('LIST', 'ID', list(integerText, 1, 2))],
  [1, words('NO-EVICT', fc.constantFrom('on', 'OFF', 'maybe'))],
  [1, words('REPLY', fc.constantFrom('ON', 'x'))],
  [1, words('UNBLOCK', integerText, maybe(fc.constantFrom('TIMEOUT', 'ERROR', 'x')))],
  [1, words('KILL', fc.constantFrom('127.0.0.1:1', 'x', ''))],
  // One filter at least that no connection meets.
  [2, words('KILL', fc.constantFrom(...NO_VICTIMS), options(...killFilters))],
  [
    2,
    words(
      'TRACKING',
      fc.constantFrom('off', 'OFF', 'perhaps'),
      options('BCAST', 'OPTIN', 'OPTOUT', 'NOLOOP', words('PREFIX', key), words('REDIRECT', noClient), 'REDIRECT'),
    ),
  ],
  [1, words('CACHING', fc.constantFrom('YES', 'x'))],
  [1, words('PAUSE', fc.constantFrom('abc', '-1', '', '9223372036854775807', '9223372036854775808'))],
  [1, words('PAUSE', '-1', fc.constantFrom('WRITE', 'all', 'FOO'))],
  [1, words(fc.constantFrom('FOO', 'SETNAMES', '', 'UNPAUSE'))],
]);

/** Without pushes, which clients take for no reply, nor attributes. */
const PROTOCOL_TYPES: readonly string[] = [
  ...['string', 'integer', 'double', 'null', 'array', 'set', 'map', 'verbatim', 'true', 'FALSE', 'bignum'],
  ...['foo', ''],
];

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
  { name: 'ASKING', weight: 0.3, args: words() },
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

const commandName = fc.constantFrom(
  ...['get', 'SET', 'copy', 'bitop', 'eval', 'EVALSHA_RO', 'mset', 'client', 'CLIENT|ID', 'memory|usage', 'multi'],
  ...['nosuch', '', 'client|nosuch', 'get|x', 'read', '*', 'g*'],
);

export const serverCommands: readonly CommandGenerator[] = [
  {
    name: 'COMMAND',
    weight: 2,
    args: weighted([
      [4, getKeys],
      [1, words(fc.constantFrom('COUNT', 'FOO', 'HELP'))],
      [2, words('INFO', list(commandName, 1, 2))],
      [1, words('LIST', 'FILTERBY', fc.constantFrom('ACLCAT', 'MODULE', 'PATTERN', 'FOO'), maybe(commandName))],
      [1, words('DOCS', list(commandName, 1, 2))],
    ]),
  },
  {
    name: 'CONFIG',
    weight: 1,
    args: weighted([
      [2, words('GET', fc.constantFrom('nosuch', 'databases', 'no*such', 'proto-max-bulk-len', 'DATABASES'))],
      [1, words('SET', fc.constantFrom('nosuch', 'databases', 'maxmemory'), fc.constantFrom('abc', 'x y'))],
      [1, words('SET', fc.constantFrom('timeout', 'slowlog-max-len', 'maxclients'), fc.constantFrom('abc', '-1', ''))],
      [1, words('SET', 'slowlog-max-len', '128', fc.constantFrom('nosuch', 'slowlog-max-len', 'databases'), '128')],
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
      [1, words('0', fc.constantFrom('9223372036854775807', '1'))],
      [1, words(integerText, fc.constantFrom('-1', 'abc', '', '9223372036854775808'))],
    ]),
  },
  {
    name: 'SLOWLOG',
    weight: 0.5,
    args: weighted([
      [1, words(fc.constantFrom('LEN', 'RESET', 'GET', 'HELP', 'FOO'))],
      [1, words('GET', fc.oneof(fc.constantFrom('-1', '-2', 'abc', '0'), integerText))],
    ]),
  },
  {
    name: 'LATENCY',
    weight: 0.5,
    args: weighted([
      [2, words(fc.constantFrom('LATEST', 'RESET', 'FOO', 'HISTORY', 'HELP', 'DOCTOR', 'GRAPH', 'HISTOGRAM'))],
      [1, words(fc.constantFrom('HISTORY', 'GRAPH', 'RESET', 'HISTOGRAM'), fc.constantFrom('nosuch', 'client|nosuch'))],
      [1, words('HISTOGRAM', list(commandName, 1, 2))],
    ]),
  },
  {
    name: 'MEMORY',
    weight: 0.3,
    args: words(fc.constantFrom('DOCTOR', 'PURGE', 'STATS', 'MALLOC-STATS', 'HELP', 'FOO', 'purge')),
  },
  {
    name: 'DEBUG',
    weight: 0.8,
    args: weighted([
      [1, words('SLEEP', fc.constantFrom('0', '0.001', 'abc', '-1', ''))],
      [2, words('ERROR', value)],
      [2, words(fc.constantFrom('PROTOCOL', 'protocol'), fc.constantFrom(...PROTOCOL_TYPES))],
      [1, words(fc.constantFrom('FOO', 'HELP', 'SLEEP', 'ERROR', ''))],
    ]),
  },
  {
    name: 'ACL',
    weight: 0.8,
    args: weighted([
      [2, words(fc.constantFrom('WHOAMI', 'USERS', 'LIST', 'CAT', 'GENPASS', 'LOG', 'HELP', 'FOO', 'LOAD', 'SAVE'))],
      [1, words('GETUSER', fc.constantFrom('default', 'nobody', ''))],
      [1, words('DELUSER', list(fc.constantFrom('default', 'nobody', ''), 1, 2))],
      [1, words('CAT', fc.constantFrom('read', 'nosuch', ''))],
      [1, words('GENPASS', integerText)],
      [1, words('LOG', fc.oneof(fc.constantFrom('RESET', 'reset', '0'), integerText))],
    ]),
  },
  { name: 'SAVE', weight: 0.1, args: words() },
  {
    name: 'FAILOVER',
    weight: 0.3,
    args: options(words('TO', key, integerText), words('TIMEOUT', integerText), 'FORCE', 'ABORT', 'TO', 'TIMEOUT'),
  },
  { name: 'MODULE', weight: 0.2, args: words(fc.constantFrom('LIST', 'HELP', 'FOO')) },
  { name: 'LOLWUT', weight: 0.2, args: options(words('VERSION', fc.constantFrom('5', '99', 'abc', ''))) },
  {
    name: 'NOSUCHCOMMAND',
    weight: 0.5,
    args: list(value, 0, 4),
  },
  { name: 'get\r\nx', weight: 0.2, args: list(key, 0, 2) },
];
