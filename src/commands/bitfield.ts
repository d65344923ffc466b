/**
 * BITFIELD: strings as arrays of integers of 1 to 64 bits (bitops.c bitfieldGeneric, Redis 7.2). All operations are
 * parsed before the key is looked at; a write grows the string to its last bit even if it then fails by overflow.
 */
import {
  BITFIELD_OVERFLOW_TYPE,
  BITFIELD_READ_ONLY,
  BITFIELD_TYPE,
  BIT_OFFSET_OUT_OF_RANGE,
  SYNTAX_ERROR,
  fail,
} from '../resp/errors.ts';
import type { Reply } from '../resp/reply.ts';
import { getBits, setBit, setBits } from '../values/bits.ts';
import { int64, multiplyInt64, parseInt64 } from '../values/integer.ts';
import { byteLength } from '../values/string.ts';
import type { StringValue } from '../values/value.ts';
import { type Args, isToken } from './args.ts';
import { defineCommand } from './define.ts';
import { after, block, integer, key, many, oneOf, optional, text, token } from './grammar.ts';
import { READS, READS_AND_UPDATES } from './key-uses.ts';
import { STRING_BYTES_MAX, asString, findString } from './lookup.ts';
import type { View } from './view.ts';

type Overflow = 'WRAP' | 'SAT' | 'FAIL';

interface FieldType {
  readonly isSigned: boolean;
  /** 1 to 64; unsigned at most 63. */
  readonly width: number;
}

interface FieldOperation {
  readonly kind: 'GET' | 'SET' | 'INCRBY';
  readonly type: FieldType;
  readonly offset: number;
  readonly amount: bigint;
  readonly overflow: Overflow;
}

const HASH = 0x23;
const SIGNED = 0x69;
const UNSIGNED = 0x75;
const OVERFLOWS: readonly Overflow[] = ['WRAP', 'SAT', 'FAIL'];

const getOperation = after('GET', block('get-block', text('encoding'), integer('offset')));

/** Whether no operation writes, as COMMAND GETKEYSANDFLAGS sees it (db.c bitfieldGetKeys): what is malformed may. */
function onlyGets(argv: readonly Uint8Array[]): boolean {
  let i = 2;
  while (i < argv.length) {
    const word = argv[i] ?? NO_WORD;
    const wordsBehind = argv.length - i - 1;
    if (isToken(word, 'GET') && wordsBehind >= 2) i += 3;
    else if (isToken(word, 'OVERFLOW') && wordsBehind >= 1) i += 2;
    else return false;
  }
  return true;
}

const NO_WORD = new Uint8Array(0);

const bitfield = defineCommand({
  name: 'BITFIELD',
  group: 'bitmap',
  since: '3.2.0',
  summary: 'Performs arbitrary bitfield integer operations on strings.',
  complexity: 'O(1) for each subcommand specified',
  flags: ['write', 'denyoom'],
  keyUses: [['RW', 'access', 'update', 'variable_flags']],
  keyUseOf: (argv) => (onlyGets(argv) ? READS : READS_AND_UPDATES),
  keyNotes: 'This command allows both access and modification of the key',
  args: [
    key(),
    optional(
      many(
        oneOf(
          'operation',
          getOperation,
          block(
            'write',
            optional(after('OVERFLOW', oneOf('overflow-block', token('WRAP'), token('SAT'), token('FAIL')))),
            oneOf(
              'write-operation',
              after('SET', block('set-block', text('encoding'), integer('offset'), integer('value'))),
              after('INCRBY', block('incrby-block', text('encoding'), integer('offset'), integer('increment'))),
            ),
          ),
        ),
      ),
    ),
  ],
  run: (view, args): Reply => {
    const name = args.key();
    const operations = readOperations(args);
    if (operations.every((operation) => operation.kind === 'GET')) return readFields(view, args, { name, operations });
    return writeFields(view, args, { name, operations });
  },
});

const bitfieldRo = defineCommand({
  name: 'BITFIELD_RO',
  group: 'bitmap',
  since: '6.0.0',
  summary: 'Performs arbitrary read-only bitfield integer operations on strings.',
  complexity: 'O(1) for each subcommand specified',
  flags: ['readonly', 'fast'],
  args: [key(), optional(many(getOperation))],
  run: (view, args): Reply => {
    const name = args.key();
    const operations = readOperations(args);
    if (operations.some((operation) => operation.kind !== 'GET')) fail(BITFIELD_READ_ONLY);
    return readFields(view, args, { name, operations });
  },
});

interface Fields {
  readonly name: string;
  readonly operations: readonly FieldOperation[];
}

function readFields(view: View, args: Args, fields: Fields): Reply {
  view.countsLookups = true;
  const value = findString(view, args.database, fields.name) ?? '';
  return fields.operations.map((operation) => toReply(readField(value, operation)));
}

function writeFields(view: View, args: Args, fields: Fields): Reply {
  const object = view.find(args.database, fields.name);
  const old = object === undefined ? '' : asString(object.value);
  let value = grownFor(old, fields.operations);
  const replies: Reply[] = [];
  for (const operation of fields.operations) {
    const present = readField(value, operation);
    if (operation.kind === 'GET') {
      replies.push(toReply(present));
      continue;
    }
    const next = bounded(
      operation,
      operation.kind === 'SET' ? { value: operation.amount, by: 0n } : { value: present, by: operation.amount },
    );
    if (next !== null) value = setBits(value, { offset: operation.offset, width: operation.type.width }, next);
    replies.push(next === null ? null : toReply(operation.kind === 'SET' ? present : next));
  }
  if (value !== old) view.put(args.database, fields.name, value, object === undefined ? 0 : object.expiresAtMs);
  return replies;
}

function grownFor(value: StringValue, operations: readonly FieldOperation[]): StringValue {
  let lastBit = 0;
  for (const { kind, offset, type } of operations)
    if (kind !== 'GET') lastBit = Math.max(lastBit, offset + type.width - 1);
  return lastBit < byteLength(value) * 8 ? value : setBit(value, lastBit, 0);
}

function readField(value: StringValue, operation: FieldOperation): bigint {
  const bits = getBits(value, operation.offset, operation.type.width);
  return operation.type.isSigned ? BigInt.asIntN(operation.type.width, bits) : bits;
}

function toReply(value: bigint): Reply {
  return int64(value) ?? 0;
}

// ---------------------------------------------------------------------------------------------------------------
// Overflow: what C computes in 64 bits, its own wrap-arounds included, so that answers agree at the edges too.

/** The number to store, or null if it overflows and must fail. */
function bounded(operation: FieldOperation, sum: { readonly value: bigint; readonly by: bigint }): bigint | null {
  const { type, overflow } = operation;
  const direction = type.isSigned ? signedOverflow(type.width, sum) : unsignedOverflow(type.width, sum);
  if (direction !== 0 && overflow === 'FAIL') return null;
  if (direction !== 0 && overflow === 'SAT') return limitOf(type, direction);
  return wrapped(type, sum.value + sum.by);
}

function wrapped(type: FieldType, value: bigint): bigint {
  return type.isSigned ? BigInt.asIntN(type.width, value) : BigInt.asUintN(type.width, value);
}

function limitOf(type: FieldType, direction: 1 | -1): bigint {
  const width = BigInt(type.width);
  if (!type.isSigned) return direction === 1 ? (1n << width) - 1n : 0n;
  return direction === 1 ? (1n << (width - 1n)) - 1n : -(1n << (width - 1n));
}

/** checkUnsignedBitfieldOverflow: 1 above, -1 below, 0 fits. */
function unsignedOverflow(width: number, sum: { readonly value: bigint; readonly by: bigint }): 0 | 1 | -1 {
  const value = BigInt.asUintN(64, sum.value);
  const max = (1n << BigInt(width)) - 1n;
  if (value > max || (sum.by > 0n && sum.by > BigInt.asIntN(64, max - value))) return 1;
  return sum.by < 0n && sum.by < BigInt.asIntN(64, -value) ? -1 : 0;
}

/** checkSignedBitfieldOverflow: 1 above, -1 below, 0 fits. */
function signedOverflow(width: number, sum: { readonly value: bigint; readonly by: bigint }): 0 | 1 | -1 {
  const { value, by } = sum;
  const max = (1n << BigInt(width - 1)) - 1n;
  const min = -max - 1n;
  const room = BigInt.asIntN(64, max - value);
  const depth = BigInt.asIntN(64, min - value);
  if (value > max || (width !== 64 && by > room) || (value >= 0n && by > 0n && by > room)) return 1;
  return value < min || (width !== 64 && by < depth) || (value < 0n && by < 0n && by < depth) ? -1 : 0;
}

// ---------------------------------------------------------------------------------------------------------------
// Reading the operations

function readOperations(args: Args): FieldOperation[] {
  const operations: FieldOperation[] = [];
  let overflow: Overflow = 'WRAP';
  while (args.remaining > 0) {
    if (args.remaining >= 2 && args.maybeToken('OVERFLOW')) overflow = readOverflow(args);
    else operations.push(readOperation(args, overflow));
  }
  return operations;
}

function readOverflow(args: Args): Overflow {
  for (const overflow of OVERFLOWS) if (args.maybeToken(overflow)) return overflow;
  return fail(BITFIELD_OVERFLOW_TYPE);
}

function readOperation(args: Args, overflow: Overflow): FieldOperation {
  const kind = readKind(args);
  const type = readType(args.bytes());
  const offset = readOffset(args.bytes(), type.width);
  const amount = kind === 'GET' ? 0n : BigInt(args.integer());
  return { kind, type, offset, amount, overflow };
}

function readKind(args: Args): FieldOperation['kind'] {
  if (args.remaining >= 3 && args.maybeToken('GET')) return 'GET';
  if (args.remaining >= 4 && args.maybeToken('SET')) return 'SET';
  if (args.remaining >= 4 && args.maybeToken('INCRBY')) return 'INCRBY';
  return fail(SYNTAX_ERROR);
}

function readType(bytes: Uint8Array): FieldType {
  const isSigned = bytes[0] === SIGNED;
  if (!isSigned && bytes[0] !== UNSIGNED) fail(BITFIELD_TYPE);
  const width = parseInt64(bytes.subarray(1));
  if (typeof width !== 'number' || width < 1 || width > (isSigned ? 64 : 63)) fail(BITFIELD_TYPE);
  return { isSigned, width };
}

/** `#3` counts in widths of the type. */
function readOffset(bytes: Uint8Array, width: number): number {
  const isScaled = bytes[0] === HASH;
  const number = parseInt64(isScaled ? bytes.subarray(1) : bytes) ?? fail(BIT_OFFSET_OUT_OF_RANGE);
  const offset = isScaled ? multiplyInt64(number, width) : number;
  if (typeof offset !== 'number' || offset < 0 || offset >= STRING_BYTES_MAX * 8) fail(BIT_OFFSET_OUT_OF_RANGE);
  return offset;
}

export const bitfieldCommands = [bitfield, bitfieldRo];
