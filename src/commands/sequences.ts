/** Durable sequences: KAHUNA.SEQ. What is promised about values and ids is said in values/sequence.ts. */
import {
  EMPTY_SEQUENCE_NAME,
  IDEMPOTENCY_MISMATCH,
  MAX_BELOW_START,
  MAX_NEEDS_ASCENT,
  NO_SEQUENCE,
  RESERVE_COUNT,
  SEQUENCE_EXHAUSTED,
  SEQUENCE_EXISTS,
  SYNTAX_ERROR,
  ZERO_INCREMENT,
  badIdempotencyId,
  fail,
  idempotencyWindowFull,
} from '../resp/errors.ts';
import { MapReply, OK, type Reply } from '../resp/reply.ts';
import { int64 } from '../values/integer.ts';
import { IDEMPOTENCY_IDS_MAX, IDEMPOTENCY_ID_BYTES_MAX } from '../values/idempotency.ts';
import { Sequence, type SequenceParameters, allocate, createSequence, hasParameters } from '../values/sequence.ts';
import { SEQUENCE_SPACE } from '../values/value.ts';
import type { Args } from './args.ts';
import { defineCommand, defineContainer } from './define.ts';
import { after, integer, key, optional, pattern, text } from './grammar.ts';
import { REMOVES } from './key-uses.ts';
import { readScanOptions } from './scans.ts';
import { defineHelp } from './syntax.ts';
import type { View } from './view.ts';

const create = defineCommand({
  name: 'KAHUNA.SEQ|CREATE',
  group: 'kahuna',
  since: '1.0.0',
  summary: 'Creates a sequence; with the parameters of the existing one it changes nothing.',
  complexity: 'O(1)',
  flags: ['write', 'denyoom', 'fast'],
  args: [
    key('name'),
    optional(after('START', integer('start'))),
    optional(after('INCREMENT', integer('increment'))),
    optional(after('MAX', integer('max'))),
  ],
  run: (view, args): Reply => {
    const name = readName(args);
    const parameters = readParameters(args);
    const present = findSequence(view, name);
    if (present !== undefined) return hasParameters(present, parameters) ? OK : fail(SEQUENCE_EXISTS);
    view.put(SEQUENCE_SPACE, name, createSequence(parameters, view.nowMs), 0);
    return OK;
  },
});

function readParameters(args: Args): SequenceParameters {
  let start: bigint | null = null;
  let increment: bigint | null = null;
  let max: bigint | null = null;
  while (args.remaining > 0) {
    if (args.remaining < 2) fail(SYNTAX_ERROR);
    if (start === null && args.maybeToken('START')) start = BigInt(args.integer());
    else if (increment === null && args.maybeToken('INCREMENT')) increment = BigInt(args.integer());
    else if (max === null && args.maybeToken('MAX')) max = BigInt(args.integer());
    else fail(SYNTAX_ERROR);
  }
  const parameters = { start: start ?? 0n, increment: increment ?? 1n, max };
  if (parameters.increment === 0n) fail(ZERO_INCREMENT);
  if (max !== null && parameters.increment < 0n) fail(MAX_NEEDS_ASCENT);
  if (max !== null && max < parameters.start) fail(MAX_BELOW_START);
  return parameters;
}

const next = defineCommand({
  name: 'KAHUNA.SEQ|NEXT',
  group: 'kahuna',
  since: '1.0.0',
  summary: 'Returns the next value of a sequence, the same one again for the same idempotency id.',
  complexity: 'O(1)',
  flags: ['write', 'denyoom', 'fast'],
  args: [key('name'), optional(after('IDEMPOTENCY', text('id')))],
  run: (view, args): Reply => {
    const name = readName(args);
    return take(view, name, { count: null, id: readId(args) }).last;
  },
});

const reserve = defineCommand({
  name: 'KAHUNA.SEQ|RESERVE',
  group: 'kahuna',
  since: '1.0.0',
  summary: 'Takes consecutive values of a sequence, all or none; returns the first and the last.',
  complexity: 'O(1)',
  flags: ['write', 'denyoom', 'fast'],
  args: [key('name'), integer('count'), optional(after('IDEMPOTENCY', text('id')))],
  run: (view, args): Reply => {
    const name = readName(args);
    const count = BigInt(args.integer());
    if (count < 1n) fail(RESERVE_COUNT);
    const { first, last } = take(view, name, { count, id: readId(args) });
    return [first, last];
  },
});

function take(
  view: View,
  name: string,
  request: { readonly count: bigint | null; readonly id: string | null },
): { readonly first: Reply; readonly last: Reply } {
  const sequence = findSequence(view, name) ?? fail(NO_SEQUENCE);
  const allocation = allocate(sequence, { ...request, nowMs: view.nowMs });
  switch (allocation) {
    case 'exhausted':
      return fail(SEQUENCE_EXHAUSTED);
    case 'mismatch':
      return fail(IDEMPOTENCY_MISMATCH);
    case 'windowFull':
      return fail(idempotencyWindowFull(IDEMPOTENCY_IDS_MAX));
    default:
      if (allocation.sequence !== sequence) view.put(SEQUENCE_SPACE, name, allocation.sequence, 0);
      return { first: int64(allocation.first) ?? 0, last: int64(allocation.last) ?? 0 };
  }
}

const get = defineCommand({
  name: 'KAHUNA.SEQ|GET',
  group: 'kahuna',
  since: '1.0.0',
  summary: 'Returns the parameters and the state of a sequence.',
  complexity: 'O(1)',
  flags: ['readonly', 'fast'],
  args: [key('name')],
  run: (view, args): Reply => {
    const sequence = findSequence(view, readName(args)) ?? fail(NO_SEQUENCE);
    return new MapReply([
      ['current', int64(sequence.current) ?? 0],
      ['start', int64(sequence.start) ?? 0],
      ['increment', int64(sequence.increment) ?? 0],
      ['max', sequence.max === null ? null : (int64(sequence.max) ?? 0)],
      ['revision', sequence.revision],
      ['created-at', sequence.createdAtMs],
      ['updated-at', sequence.updatedAtMs],
    ]);
  },
});

const deleteCommand = defineCommand({
  name: 'KAHUNA.SEQ|DELETE',
  group: 'kahuna',
  since: '1.0.0',
  summary: 'Deletes a sequence; one created later under its name starts afresh.',
  complexity: 'O(1)',
  flags: ['write', 'fast'],
  keyUses: [REMOVES],
  args: [key('name')],
  run: (view, args): Reply => (view.remove(SEQUENCE_SPACE, readName(args)) ? 1 : 0),
});

const list = defineCommand({
  name: 'KAHUNA.SEQ|LIST',
  group: 'kahuna',
  since: '1.0.0',
  summary: 'Iterates over the names of sequences.',
  complexity: 'O(1) for every call. O(N) for a complete iteration, where N is the number of sequences.',
  flags: ['readonly'],
  args: [integer('cursor'), optional(after('MATCH', pattern())), optional(after('COUNT', integer('count')))],
  run: (view, args): Reply => {
    const { cursor, count, matches } = readScanOptions(args, false);
    const page = view.scan({ space: SEQUENCE_SPACE, cursor, count, matches });
    return [String(page.next), page.keys];
  },
});

function readName(args: Args): string {
  const name = args.key();
  return name === '' ? fail(EMPTY_SEQUENCE_NAME) : name;
}

/** `[IDEMPOTENCY id]` to the end. */
function readId(args: Args): string | null {
  if (args.remaining === 0) return null;
  if (!args.maybeToken('IDEMPOTENCY')) fail(SYNTAX_ERROR);
  const id = args.text();
  args.end();
  return id.length < 1 || id.length > IDEMPOTENCY_ID_BYTES_MAX ? fail(badIdempotencyId(IDEMPOTENCY_ID_BYTES_MAX)) : id;
}

function findSequence(view: View, name: string): Sequence | undefined {
  const value = view.find(SEQUENCE_SPACE, name)?.value;
  return value instanceof Sequence ? value : undefined;
}

const sequenceSubcommands = [create, next, reserve, get, deleteCommand, list];

const sequenceCommand = defineContainer(
  {
    name: 'KAHUNA.SEQ',
    group: 'kahuna',
    since: '1.0.0',
    summary: 'A container for commands on durable sequences.',
    complexity: 'Depends on subcommand.',
    groupCategory: 'kahuna',
  },
  [...sequenceSubcommands, defineHelp('KAHUNA.SEQ', '1.0.0', sequenceSubcommands)],
);

export const sequenceCommands = [sequenceCommand];
