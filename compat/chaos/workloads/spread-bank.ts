/**
 * Clients that move amounts between accounts of which each lies in another eighth of the slots, so with eight partitions each in
 * another one, and add them up in every way that there is: MGET, EXEC, KAHUNA.TX, moments of the past, and moments that are held,
 * through all that strikes. Beside each account lies a counter of the moves out of it: so every total also tells how many
 * moves it has seen.
 */
import { tagOfSlot } from '../../../src/base/slots.ts';
import { SLOT_COUNT } from '../../../src/base/ids.ts';
import { ErrorReply, type Reply } from '../../../src/resp/reply.ts';
import { type BankMove, type BankRead, checkBank } from '../../../test/simulation/checkers/bank.ts';
import { Actor, actors, mustRead, type Workload } from '../../../test/simulation/workload.ts';
import { type Outcome, plain, type Request, type Stage } from '../../../test/simulation/workloads/stage.ts';
import { bankReads, checkPast, type Moment, type PastRead } from './past-check.ts';

const TAGS = Array.from({ length: 8 }, (_, eighth) => tagOfSlot((SLOT_COUNT / 8) * eighth));
const ACCOUNTS = TAGS.map((tag) => `{${tag}}spread:account`);
const COUNTERS = TAGS.map((tag) => `{${tag}}spread:moves`);
const KEYS = [...ACCOUNTS, ...COUNTERS];
/** Longer than a scenario: whoever holds a moment and renews now and then never loses it. */
const LEASE_MS = 120_000;
/** A historian pauses for so many times as long as others: each of its reads asks every partition. */
const HISTORIAN_PAUSES = 3;
/** Moments that are looked at again. */
const MOMENTS_MAX = 8;
const NOTHING_KNOWN: ReadonlyMap<string, number> = new Map();

/** Evidence, one name for each way to add up. */
export const TOTALS = ['MGET', 'EXEC', 'TX', 'ASOF', 'a hold'].map((way) => `totals by ${way}`);
type Way = 'MGET' | 'EXEC' | 'TX' | 'ASOF' | 'a hold';

interface Held {
  readonly id: number;
  readonly moment: Moment;
  /** Since when its lease runs at least. */
  sinceMs: number;
}

export class SpreadBankWorkload implements Workload {
  readonly name = 'spreadBank';
  okCount = 0;
  readonly #stage: Stage;
  readonly #reads: BankRead[] = [];
  readonly #pastReads: PastRead[] = [];
  readonly #moves: BankMove[] = [];
  readonly #broken: string[] = [];
  #moments: readonly Moment[] = [];
  readonly #held: Held[] = [];

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  start(): readonly Promise<void>[] {
    return [
      ...actors(this.#stage, { name: 'spreadBanker' }, (actor) => this.#run(actor)),
      ...actors(this.#stage, { name: 'historian', most: 2 }, (actor) => this.#remember(actor)),
    ];
  }

  async #run(actor: Actor): Promise<void> {
    while (await actor.think()) {
      const kind = actor.random.below(6);
      if (kind === 0) await this.#move(actor);
      else if (kind <= 2) await this.#transact(actor);
      else if (kind === 3) await this.#total(actor);
      else if (kind === 4) await this.#noteTime(actor);
      else if (this.#moments.length > 0) await this.#look(actor, actor.random.pick(this.#moments), 'ASOF');
      actor.maybeReconnect();
    }
  }

  // -------------------------------------------------------------------------------------------------------------
  // Moves

  async #move(actor: Actor): Promise<void> {
    const { from, to, amount } = draw(actor);
    const { outcome, ...span } = await actor.exec(movesOf(from, to, amount));
    this.#moves.push({ ...span, outcome: outcome.kind });
    if (outcome.kind === 'ok') this.okCount++;
  }

  /** Interactively; what it has read and written must be what the past shows just before and at its commit. */
  async #transact(actor: Actor): Promise<void> {
    const { from, to, amount } = draw(actor);
    const keys = [account(from), account(to), counter(from)];
    const mode = actor.random.pick(['OPTIMISTIC', 'PESSIMISTIC']);
    const requests: readonly Request[] = [['MGET', ...keys], ...movesOf(from, to, amount)];
    const done = await interact(actor, ['KAHUNA.TX', 'BEGIN', mode, 'TIMEOUT', 10_000], requests);
    this.#moves.push({ client: done.client, startMs: done.startMs, endMs: done.endMs, outcome: done.outcome.kind });
    if (done.outcome.kind !== 'ok') return;
    this.okCount++;
    const at = Number(done.outcome.reply);
    const [found, ...left] = done.replies;
    const before = Array.isArray(found) ? (found as readonly Reply[]).map(Number) : [];
    this.#note({ at, present: null, known: mapOf(keys, left.map(Number)) });
    this.#note({ at: at - 1, present: null, known: mapOf(keys, before) });
  }

  // -------------------------------------------------------------------------------------------------------------
  // Totals

  async #total(actor: Actor): Promise<void> {
    const way = actor.random.pick(['MGET', 'EXEC', 'TX'] as const);
    if (way === 'MGET') this.#add(way, await actor.call('MGET', ...KEYS));
    else if (way === 'EXEC') this.#add(way, await actor.exec(KEYS.map((key) => ['GET', key])));
    else {
      const isolation = actor.random.pick(['SERIALIZABLE', 'SNAPSHOT']);
      const halves: readonly Request[] = [
        ['MGET', ...ACCOUNTS],
        ['MGET', ...COUNTERS],
      ];
      const done = await interact(actor, ['KAHUNA.TX', 'BEGIN', isolation, 'READONLY'], halves);
      if (done.outcome.kind === 'ok') this.#add(way, { ...done, outcome: { kind: 'ok', reply: done.replies.flat() } });
    }
  }

  #add(way: Way, { client, startMs, endMs, outcome }: PlainOperation): void {
    if (outcome.kind !== 'ok' || outcome.reply instanceof ErrorReply || !Array.isArray(outcome.reply)) return;
    this.#saw(way);
    const values = outcome.reply.map(Number);
    const moves = values.slice(ACCOUNTS.length).reduce((sum, count) => sum + count, 0);
    this.#reads.push({ client, startMs, endMs, balances: values.slice(0, ACCOUNTS.length), moves });
  }

  #saw(way: Way): void {
    this.okCount++;
    this.#stage.mark(`totals by ${way}`);
  }

  // -------------------------------------------------------------------------------------------------------------
  // The past

  #note(moment: Moment): void {
    this.#moments = [...this.#moments, moment].slice(-MOMENTS_MAX);
  }

  async #noteTime(actor: Actor): Promise<void> {
    const { outcome, ...present } = await actor.call('KAHUNA.TIME');
    if (outcome.kind !== 'ok' || typeof outcome.reply !== 'number') return;
    const moment = { at: outcome.reply, present, known: NOTHING_KNOWN };
    this.#note(moment);
    await this.#look(actor, moment, 'ASOF');
  }

  /** Reads a moment in one of the ways. Returns whether it was refused because it is not kept any more. */
  async #look(actor: Actor, moment: Moment, way: Way): Promise<boolean> {
    const { at } = moment;
    const span = { client: actor.clientName, startMs: actor.nowMs };
    const by = actor.random.pick(['KAHUNA.ASOF', 'KAHUNA.ASOF and MULTI', 'KAHUNA.TX', 'KAHUNA.GET'] as const);
    const requests = requestsAt(by, at);
    const outcomes = await actor.client.pipeline(requests);
    for (const [i, outcome] of outcomes.entries()) {
      actor.noted(requests[i] ?? [], { ...span, endMs: actor.nowMs, outcome });
    }
    if (outcomes.some(isGone)) return true;
    if (outcomes.some(({ kind }) => kind !== 'ok')) return false;
    const replies = outcomes.map((outcome) => (outcome.kind === 'ok' ? outcome.reply : null));
    const error = replies.find((reply) => reply instanceof ErrorReply);
    if (error instanceof ErrorReply) {
      this.#tell(`moment ${at} was answered with ${error.text} (${by})`);
      return false;
    }
    const values = mapOf(KEYS, valuesIn(by, replies));
    this.#saw(way);
    this.#pastReads.push({ ...span, endMs: actor.nowMs, moment, by, values });
    return false;
  }

  /** Holds moments, renews what is held, and reads it again and again. */
  async #remember(actor: Actor): Promise<void> {
    let held: Held | null = null;
    while (await thinkLong(actor)) {
      if (held === null) held = await this.#hold(actor);
      else if (actor.random.chance(0.2)) held = await this.#renew(actor, held);
      else if (actor.random.chance(0.05)) held = await this.#release(actor, held);
      else await this.#lookAtHeld(actor, held);
      actor.maybeReconnect();
    }
  }

  async #hold(actor: Actor): Promise<Held | null> {
    const { outcome, ...present } = await actor.call('KAHUNA.HOLD', 'ACQUIRE', actor.name, 0, 'PX', LEASE_MS);
    if (outcome.kind !== 'ok' || !Array.isArray(outcome.reply)) return null;
    const [, id, , at] = outcome.reply.map(Number);
    const moment = { at: at ?? 0, present, known: NOTHING_KNOWN };
    const held = { id: id ?? 0, moment, sinceMs: present.startMs };
    this.#held.push(held);
    return held;
  }

  async #renew(actor: Actor, held: Held): Promise<Held | null> {
    const { outcome, startMs } = await actor.call('KAHUNA.HOLD', 'RENEW', held.id, 'PX', LEASE_MS);
    if (outcome.kind !== 'ok') return held;
    if (Number(outcome.reply) === 1) {
      held.sinceMs = startMs;
      return held;
    }
    if (this.#isSurelyHeld(held)) this.#tell(`hold ${held.id} of ${held.moment.at} is gone before its lease is over`);
    this.#forget(held);
    return null;
  }

  async #release(actor: Actor, held: Held): Promise<Held | null> {
    this.#forget(held);
    await actor.call('KAHUNA.HOLD', 'RELEASE', held.id);
    return null;
  }

  async #lookAtHeld(actor: Actor, held: Held): Promise<void> {
    const isGone = await this.#look(actor, held.moment, 'a hold');
    if (isGone && this.#isSurelyHeld(held))
      this.#tell(`moment ${held.moment.at} is gone though hold ${held.id} is not`);
  }

  #isSurelyHeld({ sinceMs }: Held): boolean {
    return this.#stage.nowMs < this.#stage.surelyUntil(sinceMs, LEASE_MS);
  }

  #forget(held: Held): void {
    this.#held.splice(this.#held.indexOf(held), 1);
  }

  // -------------------------------------------------------------------------------------------------------------

  #tell(text: string): void {
    if (this.#broken.length < 5) this.#broken.push(text);
  }

  async finish(): Promise<void> {
    const actor = new Actor(this.#stage, 'spreadBank-final');
    const span = { client: actor.clientName, startMs: actor.nowMs };
    const outcome = await mustRead(actor, 'MGET', ...KEYS);
    this.#add('MGET', { ...span, endMs: actor.nowMs, outcome });
    for (const held of this.#held) await this.#lookAtHeld(actor, held);
  }

  check(): readonly string[] {
    const keys = { accounts: ACCOUNTS, counters: COUNTERS };
    const reads = [...this.#reads, ...bankReads(this.#pastReads, keys)];
    return [...this.#broken, ...checkBank({ total: 0, reads, moves: this.#moves }), ...checkPast(this.#pastReads)];
  }
}

async function thinkLong(actor: Actor): Promise<boolean> {
  for (let pauses = 1; pauses < HISTORIAN_PAUSES; pauses++) await actor.think();
  return actor.think();
}

function account(eighth: number): string {
  return ACCOUNTS[eighth] ?? '';
}

function counter(eighth: number): string {
  return COUNTERS[eighth] ?? '';
}

/** Two accounts, and what goes from the one to the other. */
function draw(actor: Actor): { readonly from: number; readonly to: number; readonly amount: number } {
  const from = actor.random.below(TAGS.length);
  const to = (from + 1 + actor.random.below(TAGS.length - 1)) % TAGS.length;
  return { from, to, amount: 1 + actor.random.below(9) };
}

/** Their answers are what the two accounts and the counter are afterwards. */
function movesOf(from: number, to: number, amount: number): readonly Request[] {
  return [
    ['DECRBY', account(from), amount],
    ['INCRBY', account(to), amount],
    ['INCR', counter(from)],
  ];
}

type PastWay = 'KAHUNA.ASOF' | 'KAHUNA.ASOF and MULTI' | 'KAHUNA.TX' | 'KAHUNA.GET';

function requestsAt(by: PastWay, at: number): readonly Request[] {
  switch (by) {
    case 'KAHUNA.ASOF':
      return [
        ['KAHUNA.ASOF', at],
        ['MGET', ...KEYS],
        ['KAHUNA.ASOF', 'OFF'],
      ];
    case 'KAHUNA.ASOF and MULTI':
      return [
        ['KAHUNA.ASOF', at],
        ['MULTI'],
        ...KEYS.map((key): Request => ['GET', key]),
        ['EXEC'],
        ['KAHUNA.ASOF', 'OFF'],
      ];
    case 'KAHUNA.TX':
      return [
        ['KAHUNA.TX', 'BEGIN', 'READONLY', 'ASOF', at],
        ['MGET', ...KEYS],
        ['KAHUNA.TX', 'COMMIT'],
      ];
    case 'KAHUNA.GET':
      return KEYS.map((key) => ['KAHUNA.GET', key, 'ASOF', at]);
  }
}

/** Of KEYS, in their order; absent ones are 0. */
function valuesIn(by: PastWay, replies: readonly Reply[]): readonly number[] {
  if (by === 'KAHUNA.GET') {
    // value, what it is, and so on; nil if absent.
    return replies.map((reply) => (Array.isArray(reply) ? Number((reply as readonly Reply[])[1]) : 0));
  }
  const found = by === 'KAHUNA.ASOF and MULTI' ? replies.at(-2) : replies[1];
  return Array.isArray(found) ? (found as readonly Reply[]).map(Number) : [];
}

function isGone(outcome: Outcome): boolean {
  if (outcome.kind !== 'ok') return outcome.error.includes('HISTORYGONE');
  const replies: readonly unknown[] = Array.isArray(outcome.reply) ? outcome.reply : [outcome.reply];
  return replies.some((reply) => reply instanceof ErrorReply && reply.text.startsWith('HISTORYGONE'));
}

function mapOf(keys: readonly string[], values: readonly number[]): ReadonlyMap<string, number> {
  return new Map(keys.map((key, i) => [key, values[i] ?? Number.NaN]));
}

interface PlainOperation {
  readonly client: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly outcome: Outcome;
}

/** KAHUNA.TX, the requests one by one, COMMIT: the outcome is that of COMMIT. What fails before leaves nothing behind. */
async function interact(
  actor: Actor,
  begin: Request,
  requests: readonly Request[],
): Promise<PlainOperation & { readonly replies: readonly Reply[] }> {
  const span = { client: actor.clientName, startMs: actor.nowMs };
  const replies: Reply[] = [];
  for (const request of [begin, ...requests, ['KAHUNA.TX', 'COMMIT']]) {
    // On another connection it would be a command by itself.
    const isThere = request === begin || actor.client.isConnected;
    const [outcome] = isThere ? await actor.client.pipeline([request]) : [];
    const operation = { ...span, endMs: actor.nowMs, outcome: outcome ?? GONE };
    const isLast = replies.length === requests.length + 1;
    if (isLast) {
      actor.noted(request, operation);
      const isRefused = operation.outcome.kind === 'ok' && typeof operation.outcome.reply !== 'number';
      return { ...operation, outcome: isRefused ? REFUSED : operation.outcome, replies: replies.slice(1) };
    }
    if (operation.outcome.kind !== 'ok' || operation.outcome.reply instanceof ErrorReply) {
      actor.reconnect();
      const said = operation.outcome.kind === 'ok' ? String(plain(operation.outcome.reply)) : operation.outcome.error;
      return { ...operation, outcome: { kind: 'failed', error: said }, replies };
    }
    replies.push(operation.outcome.reply);
  }
  throw new Error('a transaction ends with its COMMIT');
}

const GONE: Outcome = { kind: 'failed', error: 'the connection is gone' };
const REFUSED: Outcome = { kind: 'failed', error: 'no commit timestamp' };
