/**
 * What it means for two replies to be the same. Byte for byte, except for the list below; every exception says why.
 */
import { isDeepStrictEqual } from 'node:util';

import { type Frame, itemsOf, printable, type RespValue, textOf } from '../harness/resp.ts';
import { TIMED_SCRIPTS, sha1 } from './generators/scripts.ts';

/** Null if the replies agree, else what is wrong. */
export type Comparison = (redis: RespValue, kahuna: RespValue) => string | null;

interface Allowance {
  readonly why: string;
  readonly applies: (name: string, args: readonly string[]) => boolean;
  readonly compare: Comparison;
}

/** Two servers read their clocks at different moments; a busy machine may put seconds between them. */
const CLOCK_TOLERANCE_MS = 6_000;
/** Less than 2^53 ms in seconds, less the present. */
const FAR_FUTURE = 9_000_000_000_000;
const timedDigests = new Set([...TIMED_SCRIPTS].map(sha1));

/** The first row that applies decides. `name` is the command in upper case, with its subcommand if it is a container. */
const ALLOWANCES: readonly Allowance[] = [
  {
    why: 'Time goes on between the two servers; -1 and -2 are exact.',
    applies: (name) => ['TTL', 'EXPIRETIME'].includes(name),
    compare: integersWithin(Math.ceil(CLOCK_TOLERANCE_MS / 1000)),
  },
  {
    why: 'As above, in milliseconds.',
    applies: (name) => ['PTTL', 'PEXPIRETIME'].includes(name),
    compare: integersWithin(CLOCK_TOLERANCE_MS),
  },
  {
    why: 'Scripts that return a TTL.',
    applies: (name, args) =>
      (name.startsWith('EVAL') && TIMED_SCRIPTS.has(args[1] ?? '')) ||
      (name.startsWith('EVALSHA') && timedDigests.has((args[1] ?? '').toLowerCase())),
    compare: integersWithin(Math.ceil(CLOCK_TOLERANCE_MS / 1000)),
  },
  {
    why: 'Scripts see `os` with its clock, as in Redis since 7.4; the oracle has no `os`.',
    applies: (name) => name.startsWith('EVAL'),
    compare: (redis, kahuna) => {
      const isNoOs = redis.type === 'error' && redis.text.includes("nonexistent global variable 'os'");
      const isNoIo = kahuna.type === 'error' && kahuna.text === errorText(redis).replace("'os'", "'io'");
      return isNoOs && isNoIo ? null : exact(redis, kahuna);
    },
  },
  {
    why: 'The order of keys is nobody’s promise.',
    applies: (name) => name === 'KEYS',
    compare: anyOrder,
  },
  {
    why: 'A cursor that no server gave leads to any part of the iteration: in Redis by the seed of its hash.',
    applies: (name, args) => name === 'SCAN' && args[1] !== '0',
    compare: sameKind,
  },
  {
    why: 'Cursors are opaque; a single call is comparable if it was the whole iteration on both sides.',
    applies: (name) => name === 'SCAN',
    compare: (redis, kahuna) => (isWholeScan(redis) && isWholeScan(kahuna) ? anyOrder : sameKind)(redis, kahuna),
  },
  {
    why: `What a command is like, without its tips (Kahuna has other ways of spreading a request), the mark of commands
      that work while Redis loads a replica’s copy, and its subcommands, some of which are newer than the oracle.`,
    applies: (name, args) => name === 'COMMAND|INFO' && args.length > 2,
    compare: (redis, kahuna) => exact(commandRows(redis), commandRows(kahuna)),
  },
  {
    why: 'Answers that depend on the moment, the process or the build: only their kind is compared, and errors exactly.',
    applies: (name) =>
      [
        ...[
          'RANDOMKEY',
          'TIME',
          'LASTSAVE',
          'INFO',
          'ROLE',
          'OBJECT|IDLETIME',
          'OBJECT|REFCOUNT',
          'MEMORY|USAGE',
          'CLIENT|ID',
        ],
        ...[
          'CLIENT|INFO',
          'CLIENT|LIST',
          'COMMAND',
          'COMMAND|COUNT',
          'COMMAND|LIST',
          'COMMAND|DOCS',
          'COMMAND|INFO',
          'SLOWLOG|GET',
          'SLOWLOG|LEN',
          'LATENCY|LATEST',
          'LATENCY|HISTOGRAM',
          'LATENCY|DOCTOR',
          'MEMORY|DOCTOR',
          'MEMORY|STATS',
          'MEMORY|MALLOC-STATS',
          'ACL|CAT',
          'ACL|GENPASS',
          'ACL|LOG',
          'LOLWUT',
        ],
      ].includes(name),
    compare: sameKind,
  },
  {
    why: 'The ranges of settings are each server’s own.',
    applies: (name) => name === 'CONFIG|SET',
    compare: (redis, kahuna) => exact(withoutRange(redis), withoutRange(kahuna)),
  },
  {
    why: 'HELP texts name the subcommands of their version.',
    applies: (name) => name.endsWith('|HELP'),
    compare: sameKind,
  },
  {
    why: 'How a string is kept in memory is not observable after a restart in Redis either, and Kahuna’s memory differs.',
    applies: (name) => name === 'OBJECT|ENCODING',
    compare: sameKind,
  },
  {
    why: `HELLO names the server, its version and its connection ids; Kahuna says 7.2 where the oracle is 7.0. Since 7.2
      (redis#11659) it reads all its arguments before it authenticates.`,
    applies: (name) => name === 'HELLO',
    compare: (redis, kahuna) =>
      errorText(redis).startsWith('WRONGPASS') && HELLO_ARGUMENT_ERROR.test(errorText(kahuna))
        ? null
        : sameHello(redis, kahuna),
  },
  {
    why: 'Since Redis 7.2 (timeout.c) a wait that would end beyond 64 bits is refused; the oracle’s clock overflows.',
    applies: (name, args) => ['WAIT', 'CLIENT|PAUSE'].includes(name) && isFarWait(args[2] ?? ''),
    compare: (redis, kahuna) => (errorText(kahuna) === 'ERR timeout is out of range' ? null : exact(redis, kahuna)),
  },
  {
    why: 'WAIT counts voters that have the write; a single Redis has none.',
    applies: (name) => name === 'WAIT',
    compare: sameKind,
  },
  {
    why: 'Since Redis 7.2 (redis#11734) BITCOUNT and BITPOS check their arguments also when the key is missing.',
    applies: (name) => ['BITCOUNT', 'BITPOS'].includes(name),
    compare: (redis, kahuna) =>
      redis.type === 'integer' &&
      ['0', '-1'].includes(redis.text) &&
      kahuna.type === 'error' &&
      BIT_ARGUMENT_ERRORS.includes(kahuna.text)
        ? null
        : exact(redis, kahuna),
  },
  {
    why: 'A cluster-enabled node knows READONLY, READWRITE and ASKING; a standalone Redis refuses them.',
    applies: (name) => ['READONLY', 'READWRITE', 'ASKING'].includes(name),
    compare: (redis, kahuna) => (redis.type === 'error' && kahuna.type === 'simple' ? null : exact(redis, kahuna)),
  },
];

/** Milliseconds of 64 bits that reach beyond them when the present is added. */
function isFarWait(text: string): boolean {
  return /^922337203685477[0-9]{4}$/.test(text);
}

const HELLO_ARGUMENT_ERROR = /^ERR (Syntax error in HELLO option|Client names cannot contain)/;

function errorText(value: RespValue): string {
  return value.type === 'error' ? value.text : '';
}

const BIT_ARGUMENT_ERRORS: readonly string[] = [
  'ERR syntax error',
  'ERR value is not an integer or out of range',
  'ERR The bit argument must be 1 or 0.',
];

const CONTAINERS: ReadonlySet<string> = new Set([
  'OBJECT',
  'MEMORY',
  'CLIENT',
  'COMMAND',
  'SLOWLOG',
  'LATENCY',
  'SCRIPT',
  'CONFIG',
  'DEBUG',
  'ACL',
  'MODULE',
]);

export function comparisonFor(args: readonly string[]): Comparison {
  const command = (args[0] ?? '').toUpperCase();
  const name = CONTAINERS.has(command) && args.length > 1 ? `${command}|${(args[1] ?? '').toUpperCase()}` : command;
  return ALLOWANCES.find((allowance) => allowance.applies(name, args))?.compare ?? exact;
}

/** Whole replies: equal bytes need no comparison. */
export function compareFrames(redis: Frame, kahuna: Frame, compare: Comparison): string | null {
  return redis.raw.equals(kahuna.raw) ? null : compare(redis.value, kahuna.value);
}

/** EXEC: each reply by the rule of its command. */
export function inTransaction(comparisons: readonly Comparison[]): Comparison {
  return (redis, kahuna) => {
    if (redis.type !== 'array' || kahuna.type !== 'array') return exact(redis, kahuna);
    if (redis.items.length !== kahuna.items.length)
      return `${redis.items.length} replies against ${kahuna.items.length}`;
    for (const [index, expected] of redis.items.entries()) {
      const actual = kahuna.items[index];
      const problem = actual === undefined ? 'missing' : (comparisons[index] ?? exact)(expected, actual);
      if (problem !== null) return `reply ${index + 1} of EXEC: ${problem}`;
    }
    return null;
  };
}

export function exact(redis: RespValue, kahuna: RespValue): string | null {
  return isDeepStrictEqual(redis, kahuna) ? null : `${cut(show(redis))} against ${cut(show(kahuna))}`;
}

function cut(text: string): string {
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

function integersWithin(tolerance: number): Comparison {
  const compare: Comparison = (redis, kahuna) => {
    if (redis.type === 'array' && kahuna.type === 'array' && redis.items.length === kahuna.items.length) {
      const problems = redis.items.map((item, index) => {
        const other = kahuna.items[index];
        return other === undefined ? 'missing' : compare(item, other);
      });
      return problems.find((problem) => problem !== null) ?? null;
    }
    if (redis.type !== 'integer' || kahuna.type !== 'integer') return exact(redis, kahuna);
    const [expected, actual] = [Number(redis.text), Number(kahuna.text)];
    if (expected < 0 || actual < 0) return exact(redis, kahuna);
    // Redis keeps times of 64 bits, Kahuna exact ones of 53: both lie beyond the year 280,000.
    if (expected >= FAR_FUTURE && actual >= FAR_FUTURE) return null;
    return Math.abs(expected - actual) <= tolerance
      ? null
      : `${redis.text} against ${kahuna.text}, more than ${tolerance} apart`;
  };
  return compare;
}

function anyOrder(redis: RespValue, kahuna: RespValue): string | null {
  return exact(sorted(redis), sorted(kahuna));
}

function isWholeScan(value: RespValue): boolean {
  const [cursor] = itemsOf(value);
  return cursor !== undefined && textOf(cursor) === '0';
}

function withoutRange(reply: RespValue): RespValue {
  if (reply.type !== 'error') return reply;
  return { type: 'error', text: reply.text.replace(/must be between .* inclusive$/, 'must be in range') };
}

/** Rows of COMMAND INFO as far as they are compared: fields 0 to 6 and 8, flags and categories in any order. */
function commandRows(reply: RespValue): RespValue {
  if (reply.type !== 'array') return reply;
  const items = reply.items.map((row): RespValue => {
    if (row.type !== 'array') return row;
    const fields = row.items.map((field, index) =>
      index === 2 || index === 6 ? withoutLoading(sorted(field)) : field,
    );
    return { type: 'array', items: [...fields.slice(0, 7), ...fields.slice(8, 9)] };
  });
  return { type: 'array', items };
}

function withoutLoading(flags: RespValue): RespValue {
  if (flags.type !== 'set' && flags.type !== 'array') return flags;
  return { type: flags.type, items: flags.items.filter((flag) => textOf(flag) !== 'no_async_loading') };
}

function sorted(value: RespValue): RespValue {
  if (value.type !== 'array' && value.type !== 'set') return value;
  const items = value.items.map(sorted);
  return { type: value.type, items: items.sort((a, b) => (show(a) < show(b) ? -1 : 1)) };
}

/** Errors exactly, of anything else only what it is. */
export function sameKind(redis: RespValue, kahuna: RespValue): string | null {
  if (redis.type === 'error' || kahuna.type === 'error') return exact(redis, kahuna);
  return redis.type === kahuna.type ? null : `${cut(show(redis))} against ${cut(show(kahuna))}: not the same kind`;
}

function sameHello(redis: RespValue, kahuna: RespValue): string | null {
  if (redis.type === 'error' || kahuna.type === 'error') return exact(redis, kahuna);
  if (redis.type !== kahuna.type) return sameKind(redis, kahuna);
  const names = (value: RespValue): string =>
    itemsOf(value)
      .filter((_, index) => index % 2 === 0)
      .map(textOf)
      .join(' ');
  const proto = (value: RespValue): string => {
    const items = itemsOf(value);
    const at = items.findIndex((item) => textOf(item) === 'proto');
    const found = items[at + 1];
    return found === undefined ? 'none' : show(found);
  };
  if (names(redis) !== names(kahuna)) return `HELLO has fields ${names(redis)} against ${names(kahuna)}`;
  return proto(redis) === proto(kahuna) ? null : `HELLO has proto ${proto(redis)} against ${proto(kahuna)}`;
}

/** A reply in one line, with its type. */
export function show(value: RespValue): string {
  switch (value.type) {
    case 'simple':
      return `+${value.text}`;
    case 'error':
      return `-${value.text}`;
    case 'integer':
      return `:${value.text}`;
    case 'double':
      return `,${value.text}`;
    case 'big-number':
      return `(${value.text}`;
    case 'boolean':
      return value.value ? '#t' : '#f';
    case 'null':
      return value.notation;
    case 'bulk':
    case 'blob-error':
    case 'verbatim':
      return `${value.type === 'bulk' ? '' : `${value.type} `}"${printable(value.bytes)}"`;
    case 'array':
    case 'set':
    case 'push':
      return `${value.type === 'array' ? '' : value.type}[${value.items.map(show).join(', ')}]`;
    case 'map':
    case 'attribute':
      return `${value.type}{${value.entries.map(([key, item]) => `${show(key)}: ${show(item)}`).join(', ')}}`;
  }
}
