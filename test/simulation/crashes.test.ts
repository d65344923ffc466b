/**
 * Transactions across partitions of which one node is struck at each step: the coordinator's, the anchor's, a participant's. In
 * every case the transaction is done or not as a whole, its client is told nothing else, locks and records are gone by
 * themselves within seconds, and a client of another node sees latency at most.
 *
 * Three nodes lead one partition each. The steps of the coordinator are watched (Transactions.step), and the strike falls when
 * one of them is about to be sent, is on its way, or has been answered. STRIKES=all: each moment with each kind of strike.
 */
import { strict as assert } from 'node:assert';
import { slotOfKey } from '../../src/base/slots.ts';
import { Transactions } from '../../src/cluster/transactions.ts';
import { ABORT_KEPT_MS } from '../../src/partition/limits.ts';
import { createScriptHost } from '../../src/scripting/host.ts';
import { TRANSACTION_SPACE } from '../../src/values/value.ts';
import type { SimMachine } from '../doubles/sim-platform.ts';
import { SimClient } from './client.ts';
import { drawProfile } from './draw-profile.ts';
import { method } from './planted/patch.ts';
import type { Profile } from './profile.ts';
import type { Outcome } from './workloads/stage.ts';
import { World } from './world.ts';

const PARTITIONS = 3;
/** Every lock is gone, and every client of another node served, after so many ms. */
const LOCKS_GONE_MS = 3_000;
/** Nothing is left of the transaction anywhere after so many ms. */
const SETTLED_MS = 6_000;
const PAUSE_MS = 1_500;
const PATIENCE_MS = 30_000;
/** Shorter than the way between two nodes. */
const ON_ITS_WAY_MS = 0.2;
/** Long enough to arrive, and too short to be replicated. */
const ARRIVED_MS = 1;

const profile: Profile = {
  ...drawProfile(1),
  nodeCount: 3,
  partitions: PARTITIONS,
  replicationFactor: 3,
  readConsistency: 'quorum',
  electionTimeoutMs: 400,
  heartbeatMs: 50,
  commandTimeoutMs: 5_000,
  checkpointIntervalMs: 2_000,
  scrubIntervalMs: 0,
  residentBytes: 0,
  latencyMs: { min: 0.5, max: 0.8 },
  lateChance: 0,
  cutChance: 0,
  diskMs: { min: 0.1, max: 0.5 },
  storeMs: { min: 0, max: 1 },
  drift: 0.0001,
  wallOffsetMs: 5,
  faults: [],
  plan: [],
  workloads: [],
};

/** A key in each partition; node `i` prefers to lead partition `i`. */
const KEYS = [1, 2, 3].map((group) => {
  for (let i = 0; ; i++) {
    const key = `key${group}:${i}`;
    if (Math.floor((slotOfKey(key) * PARTITIONS) / 16_384) + 1 === group) return key;
  }
});
const [FIRST = '', SECOND = '', THIRD = ''] = KEYS;

/** When the strike falls: at the last step of this name, before it leaves, `afterMs` later, or when its answer has come. */
interface Moment {
  readonly name: string;
  readonly row: string;
  readonly at: 'before' | 'answer' | { readonly afterMs: number };
}

const MOMENTS: readonly Moment[] = [
  { name: 'after it has locked its keys', row: '%TXPREPARE', at: 'before' },
  { name: 'while preparations are on their way', row: '%TXPREPARE', at: { afterMs: ON_ITS_WAY_MS } },
  { name: 'while preparations are replicated', row: '%TXPREPARE', at: { afterMs: ARRIVED_MS } },
  { name: 'when all is prepared', row: '%TXPREPARE', at: 'answer' },
  { name: 'while the commit is on its way', row: '%TXCOMMIT', at: { afterMs: ON_ITS_WAY_MS } },
  { name: 'while the commit is replicated', row: '%TXCOMMIT', at: { afterMs: ARRIVED_MS } },
  { name: 'when it has committed and nobody else knows', row: '%TXCOMMIT', at: 'answer' },
  { name: 'while the others are told', row: '%TXRESOLVE', at: { afterMs: ON_ITS_WAY_MS } },
  { name: 'when all know, and nothing is forgotten', row: '%TXRESOLVE', at: 'answer' },
  { name: 'while it is being forgotten', row: '%TXFORGET', at: { afterMs: ON_ITS_WAY_MS } },
];

/** Who plays what, by the order in which a client of the first node writes; the anchor is where it writes first. */
interface Casting {
  readonly name: string;
  readonly calls: readonly (readonly string[])[];
  readonly victim: number;
  /** Preparations, and later resolutions. */
  readonly others: number;
}

const APART = [
  ['INCR', SECOND],
  ['INCR', THIRD],
  ['GET', FIRST],
];
const CASTINGS: readonly Casting[] = [
  { name: 'its coordinator', calls: APART, victim: 1, others: 2 },
  { name: 'the leader of its anchor', calls: APART, victim: 2, others: 2 },
  { name: 'the leader of a participant', calls: APART, victim: 3, others: 2 },
  {
    name: 'its coordinator, which leads the anchor',
    calls: [
      ['INCR', FIRST],
      ['INCR', THIRD],
    ],
    victim: 1,
    others: 1,
  },
  {
    name: 'its coordinator, which leads a participant',
    calls: [
      ['INCR', SECOND],
      ['INCR', FIRST],
    ],
    victim: 1,
    others: 1,
  },
];

const STRIKES = ['kill', 'powerOff', 'pause'] as const;
type Strike = (typeof STRIKES)[number];

interface Asked {
  /** Null while there is none. */
  readonly outcome: Outcome | null;
  readonly tookMs: number;
}

class Theatre {
  readonly world: World;
  #onStep: ((row: string, phase: 'before' | 'sent' | 'answer') => Promise<void> | undefined) | null = null;
  readonly undo: () => void;
  #clients = 0;

  static async open(): Promise<Theatre> {
    const scriptHost = await createScriptHost({
      clock: { monotonicMs: () => 0, wallMs: () => 0 },
      redisVersion: '7.2.5',
    });
    const theatre = new Theatre(new World(profile, { scriptHost }));
    const { world } = theatre;
    for (const machine of world.machines) world.start(machine);
    await theatre.until('each leads its own', () => theatre.isCast, PATIENCE_MS);
    return theatre;
  }

  private constructor(world: World) {
    this.world = world;
    const watch = (row: string, phase: 'before' | 'sent' | 'answer'): Promise<void> | undefined =>
      this.#onStep?.(row, phase);
    this.undo = method(Transactions.prototype, 'step', (step) => {
      return async function (this: Transactions, group, command, payload, options) {
        // Only the coordinator's own: the first node's.
        if (this.node !== 1) return step.call(this, group, command, payload, options);
        await watch(command.name, 'before');
        const answer = step.call(this, group, command, payload, options);
        void watch(command.name, 'sent');
        const reply = await answer;
        await watch(command.name, 'answer');
        return reply;
      };
    });
  }

  machine(number: number): SimMachine {
    const machine = this.world.machines[number - 1];
    assert.ok(machine !== undefined);
    return machine;
  }

  get isCast(): boolean {
    return [1, 2, 3].every((group) => this.world.leaderOf(group)?.machine === this.machine(group)) && this.isReady;
  }

  get isReady(): boolean {
    return this.world.machines.every((machine) => this.world.running(machine)?.cluster.isReady === true);
  }

  async until(what: string, holds: () => boolean, limitMs: number): Promise<void> {
    const { world } = this;
    const endMs = world.scheduler.nowMs + limitMs;
    const isSo = await world.scheduler.run(limitMs, holds);
    assert.deepEqual(world.violations, []);
    assert.ok(isSo, `${what}: not by ${endMs} ms: ${this.leftovers.join(', ')}\n${world.lines.slice(-40).join('\n')}`);
  }

  /** Sends requests to a node in one go; the outcome of the last counts. Time is for others to let pass. */
  ask(node: number, ...requests: readonly (readonly string[])[]): Asked {
    const client = new SimClient(this.world, `client ${this.#clients++}`, this.machine(node).name);
    const asked: { outcome: Outcome | null; tookMs: number } = { outcome: null, tookMs: 0 };
    const sinceMs = this.world.scheduler.nowMs;
    void client.pipeline(requests).then((outcomes) => {
      asked.outcome = outcomes.at(-1) ?? null;
      asked.tookMs = this.world.scheduler.nowMs - sinceMs;
      client.disconnect();
    });
    return asked;
  }

  async answered(asked: readonly Asked[], limitMs: number): Promise<readonly Outcome[]> {
    await this.until('all is answered', () => asked.every(({ outcome }) => outcome !== null), limitMs);
    return asked.map(({ outcome }) => outcome as Outcome);
  }

  /** Strikes when the moment comes. */
  arm({ row, at }: Moment, others: number, strike: () => void): void {
    const { scheduler } = this.world;
    let left = row === '%TXPREPARE' || row === '%TXRESOLVE' ? others : 1;
    this.#onStep = (name, phase) => {
      const wanted = at === 'before' || at === 'answer' ? at : 'sent';
      if (name !== row || phase !== wanted || --left > 0) return undefined;
      this.#onStep = null;
      if (typeof at === 'object') {
        scheduler.after(at.afterMs, strike);
        return undefined;
      }
      // What comes next waits for the strike.
      return new Promise((goOn) => {
        scheduler.after(0, () => {
          strike();
          goOn();
        });
      });
    };
  }

  /** Transactions that leaders hold something of. */
  get leftovers(): readonly string[] {
    return [1, 2, 3].flatMap((group) => {
      const replica = this.world.leaderOf(group)?.replica;
      if (replica === undefined) return [`${group} has no leader`];
      const parts = replica.preparedParts.map(({ name }) => `${group}: ${name} is prepared`);
      const decisions = replica.openDecisions.map(({ id }) => `${group}: ${id.counter} is decided`);
      return [...parts, ...decisions];
    });
  }

  /** Records of transactions, of which only aborts that nobody knew are kept for a while. */
  get recordCount(): number {
    return this.world.machines.reduce((sum, machine) => {
      const replicas = [...(this.world.running(machine)?.cluster.engine.replicas.values() ?? [])];
      return sum + replicas.reduce((own, { applier }) => own + (applier.state.keyCounts[TRANSACTION_SPACE] ?? 0), 0);
    }, 0);
  }
}

describe('a transaction across partitions', function () {
  this.timeout(600_000);
  let theatre: Theatre;
  const outcomes = new Map<string, number>();
  let slowestMs = 0;

  before(async () => {
    theatre = await Theatre.open();
  });
  after(() => theatre.undo());

  CASTINGS.forEach((casting, c) => {
    MOMENTS.forEach((moment, m) => {
      const kinds =
        process.env['STRIKES'] === 'all' ? STRIKES : STRIKES.filter((_, i) => i === (c + m) % STRIKES.length);
      for (const kind of kinds) {
        it(`of which ${casting.name} is struck (${kind}) ${moment.name}`, () => play(casting, moment, kind));
      }
    });
  });

  it('leaves no record behind, once no abort is needed any more', async () => {
    const keptMs = profile.commandTimeoutMs + ABORT_KEPT_MS;
    await theatre.until('every record is gone', () => theatre.recordCount === 0, keptMs * 1.1);
  });

  it('was done in some of these cases, and not in others', () => {
    assert.ok((outcomes.get('unknown: done') ?? 0) > 0, JSON.stringify([...outcomes]));
    assert.ok((outcomes.get('unknown: not done') ?? 0) > 0, JSON.stringify([...outcomes]));
    assert.ok((outcomes.get('ok: done') ?? 0) > 0, JSON.stringify([...outcomes]));
  });

  async function play({ calls, victim, others }: Casting, moment: Moment, strike: Strike): Promise<void> {
    const { world } = theatre;
    const { scheduler } = world;
    await theatre.until('each leads its own', () => theatre.isCast, PATIENCE_MS);
    const machine = theatre.machine(victim);
    const survivor = victim === 2 ? 3 : 2;
    const before = await values(survivor);
    let isStruck = false;
    theatre.arm(moment, others, () => {
      isStruck = true;
      if (strike === 'kill') world.kill(machine);
      else if (strike === 'powerOff') world.powerOff(machine);
      else {
        machine.boot?.pause();
        scheduler.after(PAUSE_MS, () => machine.boot?.resume());
      }
    });
    const asked = theatre.ask(1, ['MULTI'], ...calls, ['EXEC']);
    await theatre.until('the moment comes', () => isStruck, PATIENCE_MS);
    // A plain write to each key, by clients of a node that lives.
    const plain = KEYS.map((key) => theatre.ask(survivor, ['INCR', key]));
    for (const { kind } of await theatre.answered(plain, LOCKS_GONE_MS)) assert.equal(kind, 'ok');
    slowestMs = Math.max(slowestMs, ...plain.map(({ tookMs }) => tookMs));
    const [told] = await theatre.answered([asked], PATIENCE_MS);
    assert.ok(told !== undefined);
    await theatre.until('nothing is left', () => theatre.leftovers.length === 0, SETTLED_MS);
    const now = await values(survivor);
    const written = calls.filter(([name]) => name === 'INCR').map(([, key = '']) => KEYS.indexOf(key));
    const gained = now.map((value, i) => value - (before[i] ?? 0) - 1);
    const isDone = gained[written[0] ?? 0] === 1;
    const whole = KEYS.map((_, i) => (isDone && written.includes(i) ? 1 : 0));
    assert.deepEqual(gained, whole, `all or nothing: ${told.kind}`);
    if (told.kind === 'ok') assert.ok(isDone, 'what was acknowledged is done');
    if (told.kind === 'failed') assert.ok(!isDone, `what was refused is not done: ${told.error}`);
    if (victim !== 1) assert.equal(told.kind, 'ok', told.kind === 'ok' ? '' : told.error);
    const name = `${told.kind}: ${isDone ? 'done' : 'not done'}`;
    outcomes.set(name, (outcomes.get(name) ?? 0) + 1);
    if (machine.boot === null) world.start(machine);
    await theatre.until('it is back', () => theatre.isReady, PATIENCE_MS);
    assert.deepEqual(await values(victim), now, 'seen from the node that was struck');
  }

  async function values(node: number): Promise<readonly number[]> {
    const [outcome] = await theatre.answered([theatre.ask(node, ['MGET', ...KEYS])], PATIENCE_MS);
    assert.ok(outcome?.kind === 'ok' && Array.isArray(outcome.reply));
    return outcome.reply.map(Number);
  }
});
