/**
 * Strings that hold numbers: INCR and its family (t_string.c, Redis 7.2) and INCREX (Redis 8.8). A hot path: INCR
 * (benchmark: compat/bench). Integers have 64 bits; floats have 80, see values/float.ts.
 */
import {
  DECREMENT_OVERFLOW,
  ENX_ALONE,
  INCREMENT_NAN,
  INCREMENT_OVERFLOW,
  LBOUND_ABOVE_UBOUND,
  NOT_AN_INTEGER,
  NOT_A_FLOAT,
  SYNTAX_ERROR,
  fail,
  notAFloat,
  notAnInteger,
} from '../resp/errors.ts';
import { DoubleReply, type Reply } from '../resp/reply.ts';
import {
  type FiniteFloat,
  LONG_DOUBLE_MAX,
  type LongDouble,
  ZERO,
  addLongDoubles,
  compareLongDoubles,
  formatLongDouble,
  negateLongDouble,
  parseLongDouble,
  toDouble,
} from '../values/float.ts';
import {
  INT64_MAX,
  INT64_MIN,
  type Int64,
  addInt64,
  int64,
  negateInt64,
  parseInt64,
  parseInt64Text,
} from '../values/integer.ts';
import type { StringValue } from '../values/value.ts';
import type { Args } from './args.ts';
import { defineCommand } from './define.ts';
import { type ExpiryOption, expiryOf, maybeExpiryOption } from './expiry-time.ts';
import { after, double, expiration, integer, key, oneOf, optional, text, token } from './grammar.ts';
import { asString } from './lookup.ts';
import type { KeyObject, View } from './view.ts';

const incr = defineCommand({
  name: 'INCR',
  group: 'string',
  since: '1.0.0',
  summary: "Increments the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.",
  complexity: 'O(1)',
  flags: ['write', 'denyoom', 'fast'],
  args: [key()],
  run: (view, args): Reply => addTo(view, args, args.key(), 1),
});

const decr = defineCommand({
  name: 'DECR',
  group: 'string',
  since: '1.0.0',
  summary: "Decrements the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.",
  complexity: 'O(1)',
  flags: ['write', 'denyoom', 'fast'],
  args: [key()],
  run: (view, args): Reply => addTo(view, args, args.key(), -1),
});

const incrby = defineCommand({
  name: 'INCRBY',
  group: 'string',
  since: '1.0.0',
  summary: "Increments the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist.",
  complexity: 'O(1)',
  flags: ['write', 'denyoom', 'fast'],
  args: [key(), integer('increment')],
  run: (view, args): Reply => {
    const name = args.key();
    return addTo(view, args, name, args.integer());
  },
});

const decrby = defineCommand({
  name: 'DECRBY',
  group: 'string',
  since: '1.0.0',
  summary: "Decrements a number from the integer value of a key. Uses 0 as initial value if the key doesn't exist.",
  complexity: 'O(1)',
  flags: ['write', 'denyoom', 'fast'],
  args: [key(), integer('decrement')],
  run: (view, args): Reply => {
    const name = args.key();
    return addTo(view, args, name, negateInt64(args.integer()) ?? fail(DECREMENT_OVERFLOW));
  },
});

function addTo(view: View, args: Args, name: string, by: Int64): Int64 {
  const object = view.find(args.database, name);
  const sum = addInt64(integerIn(object), by) ?? fail(INCREMENT_OVERFLOW);
  view.put(args.database, name, String(sum), object === undefined ? 0 : object.expiresAtMs);
  return sum;
}

const incrbyfloat = defineCommand({
  name: 'INCRBYFLOAT',
  group: 'string',
  since: '2.6.0',
  summary:
    "Increments the floating point value of a key by a number. Uses 0 as initial value if the key doesn't exist.",
  complexity: 'O(1)',
  flags: ['write', 'denyoom', 'fast'],
  args: [key(), double('increment')],
  run: (view, args): Reply => {
    const name = args.key();
    const object = view.find(args.database, name);
    const old = floatIn(object);
    const sum = addLongDoubles(old, args.longDouble()) ?? fail(INCREMENT_NAN);
    const digits = formatLongDouble(sum);
    view.put(args.database, name, digits, object === undefined ? 0 : object.expiresAtMs);
    return digits;
  },
});

function integerIn(object: KeyObject | undefined): Int64 {
  if (object === undefined) return 0;
  const value: StringValue = asString(object.value);
  return (typeof value === 'string' ? parseInt64Text(value) : undefined) ?? fail(NOT_AN_INTEGER);
}

function floatIn(object: KeyObject | undefined): LongDouble {
  if (object === undefined) return ZERO;
  const value: StringValue = asString(object.value);
  return (typeof value === 'string' ? parseLongDouble(value) : undefined) ?? fail(NOT_A_FLOAT);
}

// ---------------------------------------------------------------------------------------------------------------
// INCREX: a result outside the bounds changes nothing and answers [value, 0], or with SATURATE is moved to the bound.

const increx = defineCommand({
  name: 'INCREX',
  group: 'string',
  since: '8.8.0',
  summary:
    "Increments the numeric value of a key by a number, within bounds, and sets its expiration time. Uses 0 as initial value if the key doesn't exist.",
  complexity: 'O(1)',
  flags: ['write', 'denyoom', 'fast'],
  args: [
    key(),
    optional(oneOf('increment', after('BYFLOAT', double('float')), after('BYINT', integer('integer')))),
    optional(token('SATURATE')),
    optional(after('LBOUND', text('lowerbound'))),
    optional(after('UBOUND', text('upperbound'))),
    expiration(token('PERSIST')),
    optional(token('ENX')),
  ],
  run: (view, args): Reply => {
    const name = args.key();
    const options = readIncrexOptions(args);
    const step = options.isFloat ? floatStep(options) : integerStep(options);
    const expiresAtMs = options.expiry === null ? 0 : expiryOf(options.expiry, view.nowMs, 'INCREX');

    const object = view.find(args.database, name);
    const result = step(object);
    if (result.digits !== null) {
      view.put(args.database, name, result.digits, newExpiry(options, expiresAtMs, object?.expiresAtMs ?? 0));
    }
    return [toNumberReply(view, result.value), toNumberReply(view, result.applied)];
  },
});

interface IncrexOptions {
  isFloat: boolean;
  by: Buffer | null;
  lower: Buffer | null;
  upper: Buffer | null;
  saturates: boolean;
  persists: boolean;
  onlyIfNone: boolean;
  expiry: ExpiryOption | null;
}

/** `digits` is what the key holds afterwards, null if it stays as it is. */
interface StepResult {
  readonly value: Int64 | FiniteFloat;
  readonly applied: Int64 | FiniteFloat;
  readonly digits: string | null;
}

/** Unlike SET, each option may come once only. */
function readIncrexOptions(args: Args): IncrexOptions {
  const options: IncrexOptions = {
    isFloat: false,
    by: null,
    lower: null,
    upper: null,
    saturates: false,
    persists: false,
    onlyIfNone: false,
    expiry: null,
  };
  while (args.remaining > 0) if (!readIncrexFlag(args, options) && !readIncrexNumber(args, options)) fail(SYNTAX_ERROR);
  if (options.onlyIfNone && options.persists) fail(SYNTAX_ERROR);
  if (options.onlyIfNone && options.expiry === null) fail(ENX_ALONE);
  return options;
}

function readIncrexFlag(args: Args, options: IncrexOptions): boolean {
  if (!options.saturates && args.maybeToken('SATURATE')) options.saturates = true;
  else if (!options.persists && options.expiry === null && args.maybeToken('PERSIST')) options.persists = true;
  else if (!options.onlyIfNone && args.maybeToken('ENX')) options.onlyIfNone = true;
  else return false;
  return true;
}

function readIncrexNumber(args: Args, options: IncrexOptions): boolean {
  if (args.remaining < 2) return false;
  if (options.by === null && args.maybeToken('BYINT')) {
    options.by = args.bytes();
  } else if (options.by === null && args.maybeToken('BYFLOAT')) {
    options.by = args.bytes();
    options.isFloat = true;
  } else if (options.lower === null && args.maybeToken('LBOUND')) {
    options.lower = args.bytes();
  } else if (options.upper === null && args.maybeToken('UBOUND')) {
    options.upper = args.bytes();
  } else if (options.expiry === null && !options.persists) {
    options.expiry = maybeExpiryOption(args);
    return options.expiry !== null;
  } else {
    return false;
  }
  return true;
}

function integerStep(options: IncrexOptions): (object: KeyObject | undefined) => StepResult {
  const read = (bytes: Buffer, name: string): bigint => BigInt(parseInt64(bytes) ?? fail(notAnInteger(name)));
  const by = options.by === null ? 1n : read(options.by, 'Increment');
  const lower = options.lower === null ? INT64_MIN : read(options.lower, 'LBOUND');
  const upper = options.upper === null ? INT64_MAX : read(options.upper, 'UBOUND');
  if (lower > upper) fail(LBOUND_ABOVE_UBOUND);
  return (object) => {
    const old = integerIn(object);
    const exact = BigInt(old) + by;
    const value = exact > upper ? upper : exact < lower ? lower : exact;
    if (value !== exact && !options.saturates) return { value: old, applied: 0, digits: null };
    // Far apart bounds could be more than 64 bits apart; the reply then shows the nearest integer that it can.
    const applied = int64(value - BigInt(old)) ?? (value > BigInt(old) ? INT64_MAX : INT64_MIN);
    return { value: int64(value) ?? 0, applied, digits: String(value) };
  };
}

function floatStep(options: IncrexOptions): (object: KeyObject | undefined) => StepResult {
  const read = (bytes: Buffer, name: string): LongDouble =>
    parseLongDouble(bytes.toString('latin1')) ?? fail(notAFloat(name));
  const by = options.by === null ? ZERO : read(options.by, 'Increment');
  const lower = options.lower === null ? negateLongDouble(LONG_DOUBLE_MAX) : read(options.lower, 'LBOUND');
  const upper = options.upper === null ? LONG_DOUBLE_MAX : read(options.upper, 'UBOUND');
  if (compareLongDoubles(lower, upper) > 0) fail(LBOUND_ABOVE_UBOUND);
  return (object) => {
    const old = floatIn(object);
    if (typeof old === 'string') fail(INCREMENT_NAN);
    const exact = addLongDoubles(old, by) ?? (isUpward(by) ? 'infinity' : '-infinity');
    const value = compareLongDoubles(exact, upper) > 0 ? upper : compareLongDoubles(exact, lower) < 0 ? lower : exact;
    if (value !== exact && !options.saturates) return { value: old, applied: ZERO, digits: null };
    // Only an infinite bound that was asked for can leave an infinite value.
    if (typeof value === 'string') fail(INCREMENT_NAN);
    const applied = addLongDoubles(value, negateLongDouble(old)) ?? fail(INCREMENT_NAN);
    return { value, applied, digits: formatLongDouble(value) };
  };
}

function isUpward(by: LongDouble): boolean {
  return compareLongDoubles(by, ZERO) > 0;
}

function newExpiry(options: IncrexOptions, expiresAtMs: number, oldExpiresAtMs: number): number {
  if (options.persists) return 0;
  if (options.expiry === null || (options.onlyIfNone && oldExpiresAtMs !== 0)) return oldExpiresAtMs;
  return expiresAtMs;
}

/** Floats are doubles in RESP3 and their digits in RESP2. */
function toNumberReply(view: View, number: Int64 | FiniteFloat): Reply {
  if (typeof number !== 'object') return number;
  return view.protocol === 3 ? new DoubleReply(toDouble(number)) : formatLongDouble(number);
}

export const stringCounterCommands = [incr, decr, incrby, decrby, incrbyfloat, increx];
