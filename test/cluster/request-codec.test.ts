/** Requests and answers between nodes: they come out as they went in, and what no node sends is refused by name. */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { ByteWriter } from '../../src/base/bytes.ts';
import { KahunaError } from '../../src/base/errors.ts';
import { readAnswer, readRequest, writeAnswer, writeRequest } from '../../src/cluster/request-codec.ts';
import type { DataCommand } from '../../src/commands/define.ts';
import { dataCommands } from '../../src/commands/index.ts';
import { Job } from '../../src/partition/job.ts';

const rows = new Map<string, DataCommand>();
for (const row of dataCommands) for (const one of [row, ...row.subcommands]) rows.set(one.name, one);
const commandOf = (name: string): DataCommand | undefined => rows.get(name);

function row(name: string): DataCommand {
  const found = rows.get(name);
  if (found === undefined) throw new Error(`no command ${name}`);
  return found;
}

const argument = fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes));
const call = fc
  .tuple(fc.constantFrom(...rows.values()), fc.integer({ min: 0, max: 15 }), fc.array(argument, { maxLength: 12 }))
  .map(([command, database, rest]) => {
    const least = Math.abs(command.arity);
    const argv = [...rest, ...Array.from({ length: least }, () => Buffer.from('x'))];
    return { command, database, argv: command.arity > 0 ? argv.slice(0, least) : argv };
  });
const watch = fc.record(
  { database: fc.integer({ min: 0, max: 15 }), version: fc.maxSafeNat(), key: argument },
  { noNullPrototype: true },
);
const what = fc.oneof(
  call.map((one) => ({ call: one, transaction: null })),
  fc
    .tuple(fc.array(call, { maxLength: 4 }), fc.array(watch, { maxLength: 3 }))
    .map(([calls, watched]) => ({ call: null, transaction: { calls, watched } })),
);
const header = fc.record({
  group: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  term: fc.maxSafeNat(),
  counter: fc.maxSafeNat(),
  strand: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  protocol: fc.constantFrom(2 as const, 3 as const),
  isRetry: fc.boolean(),
  isUnblocked: fc.boolean(),
  isNoTouch: fc.boolean(),
  waitedMs: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  remainingMs: fc.oneof(fc.integer({ min: 0, max: 2 ** 31 }), fc.constant(Number.POSITIVE_INFINITY)),
});

type Header = typeof header extends fc.Arbitrary<infer T> ? T : never;

const PLAIN: Header = {
  group: 1,
  term: 1,
  counter: 1,
  strand: 1,
  protocol: 2,
  isRetry: false,
  isUnblocked: false,
  isNoTouch: false,
  waitedMs: 0,
  remainingMs: 5,
};

function encode(fields: { readonly header: Header; readonly what: Pick<Job, 'call' | 'transaction'> }): Uint8Array {
  const { group, term, counter, strand, protocol, isRetry, isUnblocked, isNoTouch, waitedMs, remainingMs } =
    fields.header;
  const job = new Job({
    owner: { complete: () => undefined, retry: () => undefined },
    ...fields.what,
    protocol,
    deadlineMs: 1_000 + remainingMs,
    strand,
    node: 1,
    epoch: 1,
    counter,
  });
  job.isRetry = isRetry;
  job.isUnblocked = isUnblocked;
  job.isNoTouch = isNoTouch;
  job.waitedMs = waitedMs;
  const writer = new ByteWriter(64);
  writeRequest(writer, job, { group, term, nowMs: 1_000 });
  return writer.finishCopy();
}

describe('request between nodes', () => {
  it('comes out as it went in', () => {
    fc.assert(
      fc.property(header, what, (fields, work) => {
        const decoded = readRequest(encode({ header: fields, what: work }), commandOf);
        const { call: one, transaction, ...rest } = decoded;
        assert.deepEqual(rest, { ...fields });
        assert.deepEqual(one, work.call);
        assert.deepEqual(transaction, work.transaction);
      }),
    );
  });

  it('keeps nothing of the memory that it is read from', () => {
    const bytes = encode({
      header: PLAIN,
      what: {
        call: { command: row('GET'), database: 0, argv: [Buffer.from('GET'), Buffer.from('k')] },
        transaction: null,
      },
    });
    const decoded = readRequest(bytes, commandOf);
    bytes.fill(0xdd);
    assert.equal(decoded.call?.argv[1]?.toString(), 'k');
  });

  it('is refused by name wherever it is cut or changed, if it is refused', () => {
    fc.assert(
      fc.property(
        header,
        what,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        fc.boolean(),
        (fields, work, at, mask, isCut) => {
          const bytes = encode({ header: fields, what: work });
          const where = at % bytes.length;
          const damaged = isCut
            ? bytes.slice(0, where)
            : Uint8Array.from(bytes, (byte, i) => (i === where ? byte ^ mask : byte));
          try {
            const { call: one, transaction } = readRequest(damaged, commandOf);
            assert.ok((one === null) !== (transaction === null), 'one call or one transaction');
          } catch (error) {
            assert.ok(error instanceof KahunaError, String(error));
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('is refused if its entry node cannot have checked it', () => {
    const refused = (one: {
      readonly command: DataCommand;
      readonly database: number;
      readonly argv: readonly Buffer[];
    }): void => {
      assert.throws(() => readRequest(encode({ header: PLAIN, what: { call: one, transaction: null } }), commandOf), {
        code: 'REQUEST_MALFORMED',
      });
    };
    refused({ command: row('GET'), database: 0, argv: [Buffer.from('GET')] });
    refused({ command: row('GET'), database: 0, argv: [] });
    refused({ command: row('GET'), database: 16, argv: [Buffer.from('GET'), Buffer.from('k')] });
    const bytes = encode({ header: PLAIN, what: { call: null, transaction: { calls: [], watched: [] } } });
    bytes[24] = 0;
    assert.throws(() => readRequest(bytes.slice(0, -4), commandOf), { code: 'REQUEST_MALFORMED' });
    const waited = encode({
      header: { ...PLAIN, waitedMs: 1 },
      what: { call: null, transaction: { calls: [], watched: [] } },
    });
    waited[30] = 0;
    assert.throws(() => readRequest(waited, commandOf), { code: 'REQUEST_MALFORMED' }, 'waited for 0 ms');
  });

  it('is refused if it names a command that this version does not know', () => {
    const bytes = encode({
      header: PLAIN,
      what: {
        call: { command: row('GET'), database: 0, argv: [Buffer.from('GET'), Buffer.from('k')] },
        transaction: null,
      },
    });
    assert.throws(() => readRequest(bytes, () => undefined), { code: 'COMMAND_UNKNOWN' });
  });
});

describe('answer between nodes', () => {
  it('comes out as it went in, and is refused by name wherever it is cut', () => {
    const answer = fc.record(
      {
        counter: fc.maxSafeNat(),
        isRepeat: fc.boolean(),
        group: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        term: fc.maxSafeNat(),
        index: fc.maxSafeNat(),
        reply: fc.uint8Array({ maxLength: 50 }),
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(answer, (given) => {
        const writer = new ByteWriter(64);
        writeAnswer(writer, given);
        const bytes = writer.finishCopy();
        const { reply, ...rest } = readAnswer(bytes);
        assert.deepEqual({ ...rest, reply: [...reply] }, { ...given, reply: [...given.reply] });
        for (let length = 0; length < bytes.length - given.reply.length; length++) {
          assert.throws(() => readAnswer(bytes.slice(0, length)), KahunaError);
        }
      }),
    );
  });
});
