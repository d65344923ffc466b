/**
 * Commands cannot tell on which view they run: random commands, transactions of them, and time that passes, once at a leader that has
 * all keys, and once through a coordinator over three partitions. Every reply is the same, and so is what the keys hold in the end.
 */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { bitmapCommands, stringCommands } from '../../compat/oracle/generators/strings.ts';
import { genericCommands } from '../../compat/oracle/generators/generic.ts';
import {
  integerText,
  key,
  maybe,
  options,
  value,
  weighted,
  type Words,
  words,
} from '../../compat/oracle/generators/arguments.ts';
import type { CommandGenerator } from '../../compat/oracle/generators/table.ts';
import { numbered } from '../../compat/oracle/steps.ts';
import { notAcrossPartitions } from '../../src/resp/errors.ts';
import { TestLeader } from '../partition/leader.ts';
import { callOf, Partitions, shown } from './partitions.ts';

/** They concern all keys of a database: refused where keys are taken one by one. */
const OF_ALL_KEYS = new Set(['KEYS', 'SCAN', 'RANDOMKEY', 'DBSIZE', 'FLUSHDB', 'FLUSHALL']);

const resource = fc.constantFrom('r', 's');
const owner = fc.constantFrom('me', 'you');
const kahunaCommands: readonly CommandGenerator[] = [
  {
    name: 'SET',
    weight: 2,
    args: words(key, value, weighted([[1, words(fc.constantFrom('IFEQ', 'IFNE'), value)]]), options('GET', 'KEEPTTL')),
  },
  { name: 'DELEX', weight: 1, args: words(key, maybe(words(fc.constantFrom('IFEQ', 'IFNE'), value))) },
  { name: 'DIGEST', weight: 1, args: words(key) },
  { name: 'MSETEX', weight: 1, args: words('2', key, value, key, value, options('NX', 'XX', words('EX', '1000'))) },
  { name: 'INCREX', weight: 1, args: words(key, options(words('BYINT', integerText), words('EX', '1000'))) },
  {
    name: 'KAHUNA.LOCK',
    weight: 4,
    args: weighted([
      [3, words('ACQUIRE', resource, owner, 'PX', fc.constantFrom('5', '1000'))],
      [1, words('EXTEND', resource, owner, 'PX', '1000')],
      [2, words('RELEASE', resource, owner)],
      [1, words('TOKEN', resource)],
    ]),
  },
  {
    name: 'KAHUNA.SEQ',
    weight: 3,
    args: weighted([
      [1, words('CREATE', resource, maybe(words('MAX', fc.constantFrom('3', '100'))))],
      [3, words('NEXT', resource, maybe(words('IDEMPOTENCY', owner)))],
      [1, words('RESERVE', resource, fc.constantFrom('1', '5', '1000'))],
      [1, words('DELETE', resource)],
    ]),
  },
];

type Step =
  | { readonly kind: 'run'; readonly calls: readonly (readonly string[])[] }
  | { readonly kind: 'pass'; readonly ms: number };

const rows = [...stringCommands, ...bitmapCommands, ...genericCommands, ...kahunaCommands].filter(
  ({ name }) => !OF_ALL_KEYS.has(name),
);
const command: Words = weighted(rows.map(({ name, weight, args }) => [weight, words(name, args)] as const)).filter(
  isWhole,
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: command.map((argv): Step => ({ kind: 'run', calls: [argv] })) },
  {
    weight: 3,
    arbitrary: fc.array(command, { minLength: 2, maxLength: 5 }).map((calls): Step => ({ kind: 'run', calls })),
  },
  { weight: 1, arbitrary: fc.constantFrom(1, 3, 1_000).map((ms): Step => ({ kind: 'pass', ms })) },
);

/** As many words as its row wants: fewer or more never reach a view. */
function isWhole(argv: readonly string[]): boolean {
  const { arity } = callOf(argv).command;
  return arity >= 0 ? argv.length === arity : argv.length >= -arity;
}

/** Each relative time to live a number of its own. */
function withTtls(steps: readonly Step[]): readonly Step[] {
  const all = steps.flatMap((one) => (one.kind === 'run' ? one.calls : []));
  const told = numbered(all.map((args) => ({ kind: 'command' as const, client: 0 as const, args })));
  let next = 0;
  return steps.map((one) =>
    one.kind === 'run'
      ? { ...one, calls: one.calls.map(() => (told[next++] as { args: readonly string[] }).args) }
      : one,
  );
}

/** One leader that has all keys. */
class Whole {
  readonly #leader: TestLeader;

  constructor(leader: TestLeader) {
    this.#leader = leader;
  }

  async run(calls: readonly (readonly string[])[]): Promise<string> {
    const [first = [], ...others] = calls;
    if (others.length === 0) this.#leader.submit('one', first);
    else this.#leader.submitTransaction('one', calls);
    for (let rounds = 0; rounds < 3 || !this.#leader.replies.has('one'); rounds++) {
      this.#leader.endTurn();
      this.#leader.commit();
      await new Promise<void>((resolve) => void setImmediate(resolve));
      assert.ok(rounds < 1_000, `no reply to ${JSON.stringify(calls)}`);
    }
    const reply = this.#leader.replies.get('one') ?? null;
    this.#leader.replies.clear();
    return shown(reply);
  }

  pass(ms: number): void {
    this.#leader.pass(ms);
  }
}

async function agree(steps: readonly Step[]): Promise<void> {
  const whole = new Whole(await TestLeader.create());
  const partitions = await Partitions.create();
  const done: string[] = [];
  const both = async (calls: readonly (readonly string[])[]): Promise<void> => {
    const expected = await whole.run(calls);
    const actual = await partitions.run(...calls);
    done.push(JSON.stringify(calls));
    assert.equal(actual, expected, done.join('\n'));
  };
  for (const one of withTtls(steps)) {
    if (one.kind === 'run') {
      await both(one.calls);
    } else {
      whole.pass(one.ms);
      await partitions.pass(one.ms);
    }
  }
  const keys = [...new Set(steps.flatMap((one) => (one.kind === 'run' ? one.calls.flatMap((argv) => argv) : [])))];
  for (const name of keys) {
    if (name.length > 300) continue;
    for (const verb of ['GET', 'PEXPIRETIME', 'TYPE']) await both([[verb, name]]);
  }
  partitions.steps.forgetSettled();
  await partitions.settle();
  assert.deepEqual([partitions.leftovers, partitions.failures], [[], []]);
}

describe('the view of a transaction', () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
  it(`answers every command as the leader of all keys does (SEED=${seed})`, async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 25 }), agree), { numRuns: 60, seed });
  });

  it('refuses what concerns all keys, and says what to do', async () => {
    for (const argv of [['KEYS', '*'], ['SCAN', '0'], ['RANDOMKEY'], ['DBSIZE'], ['FLUSHDB'], ['FLUSHALL']]) {
      const world = await Partitions.create();
      const refusal = shown(notAcrossPartitions());
      assert.equal(await world.run(argv, ['SET', '1a', 'x'], ['SET', '2b', 'x']), `*3 ${refusal} +OK +OK`);
    }
  });
});
