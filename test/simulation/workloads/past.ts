/**
 * Clients that change some keys, alone and several at once, and look at what these were at moments that they name: the present, moments
 * that were held (KAHUNA.HOLD), commit timestamps and what lies right before them. One after the other versions go, by time and by
 * number; what is held stays, and looks as it did.
 */
import { ErrorReply, type Reply } from '../../../src/resp/reply.ts';
import {
  checkPast,
  type KeptMoment,
  type PastHistory,
  type PastLook,
  type PastWrite,
  type RefusedLook,
  type Seen,
  type ToldMoment,
} from '../checkers/past.ts';
import { Actor, actors, mustRead, type Operation, type Workload } from '../workload.ts';
import { plain, type Request, type Stage } from './stage.ts';

const KEYS = Array.from({ length: 6 }, (_, i) => `past:${i}`);
const CLIENTS_MAX = 4;
/** Keys of one change at most. */
const PUTS_MAX = 3;
const DELETE_CHANCE = 0.2;
/** Commit timestamps that may be looked at. */
const RECENT_MAX = 40;
/** Of the moments that were told, the last may be looked at. */
const TOLD_MAX = 30;
const LEASES_MS = [1_000, 2_500, 6_000];
const HISTORY_COUNT = 1_000;
/** What a node that looks for versions that nobody needs may be late with what it was told, ms. */
const SLACK_MS = 50;

interface Hold {
  readonly id: number;
  readonly holder: string;
  readonly at: number;
  readonly leaseMs: number;
  /** Everything is kept from it on; if it was taken in the past, the number of versions may have been bounded before. */
  readonly isWhole: boolean;
  readonly fromMs: number;
  untilMs: number;
  isReleased: boolean;
}

export class PastWorkload implements Workload {
  readonly name = 'past';
  okCount = 0;
  readonly #stage: Stage;
  readonly #writes: PastWrite[] = [];
  readonly #looks: PastLook[] = [];
  readonly #histories: PastHistory[] = [];
  readonly #moments: ToldMoment[] = [];
  readonly #refused: RefusedLook[] = [];
  readonly #holds: Hold[] = [];
  readonly #recent: number[] = [];
  readonly #broken: string[] = [];
  #ids = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  start(): readonly Promise<void>[] {
    return actors(this.#stage, { name: 'past', most: CLIENTS_MAX }, (actor) => this.#run(actor));
  }

  async #run(actor: Actor): Promise<void> {
    while (await actor.think()) {
      const kind = actor.random.below(12);
      if (kind < 5) await this.#change(actor);
      else if (kind === 5) await this.#tellTime(actor);
      else if (kind === 6) await this.#attendHolds(actor);
      else if (kind === 7) await this.#readHistory(actor, actor.random.pick(KEYS));
      else await this.#look(actor);
    }
  }

  // -------------------------------------------------------------------------------------------------------------
  // Changes

  async #change(actor: Actor): Promise<void> {
    const puts = this.#draw(actor);
    const [only] = puts;
    const style = actor.random.below(4);
    if (style === 0 || only === undefined) await this.#transact(actor, puts);
    else if (style === 1) await this.#exec(actor, puts);
    else {
      const [key] = only;
      const value = String(this.#ids++);
      const operation = await actor.call('KAHUNA.SET', key, value);
      const { outcome } = operation;
      const at = outcome.kind === 'ok' && typeof outcome.reply === 'number' ? outcome.reply : null;
      if (outcome.kind === 'ok' && at === null)
        this.#tell(`KAHUNA.SET answered ${JSON.stringify(plain(outcome.reply))}`);
      this.#wrote(operation, new Map([[key, value]]), at);
    }
  }

  /** Nobody is told when it was committed, unless it is asked for. */
  async #exec(actor: Actor, puts: ReadonlyMap<string, string | null>): Promise<void> {
    this.#wrote(await actor.exec([...puts].map(requestOf)), puts, null);
    const [key = ''] = puts.keys();
    this.#sawOne(await actor.call('KAHUNA.GET', key), key, null);
  }

  /** A value in any case: whoever sees it learns when the change was committed. */
  #draw(actor: Actor): ReadonlyMap<string, string | null> {
    const value = String(this.#ids++);
    const puts = new Map<string, string | null>([[actor.random.pick(KEYS), value]]);
    for (let more = actor.random.below(PUTS_MAX); more > 0; more--) {
      const key = actor.random.pick(KEYS);
      if (!puts.has(key)) puts.set(key, actor.random.chance(DELETE_CHANCE) ? null : value);
    }
    return puts;
  }

  async #transact(actor: Actor, puts: ReadonlyMap<string, string | null>): Promise<void> {
    const mode = actor.random.pick(['OPTIMISTIC', 'PESSIMISTIC']);
    const isolation = actor.random.pick(['SERIALIZABLE', 'SNAPSHOT']);
    const begin = ['KAHUNA.TX', 'BEGIN', mode, isolation];
    const operation = await actor.interact(begin, [...puts].map(requestOf));
    const { commit } = operation;
    if (operation.outcome.kind === 'ok' && commit instanceof ErrorReply) this.#tell(`COMMIT answered ${commit.text}`);
    this.#wrote(operation, puts, typeof commit === 'number' ? commit : null);
  }

  #wrote({ outcome, ...span }: Operation, planned: ReadonlyMap<string, string | null>, at: number | null): void {
    const { client, startMs, endMs } = span;
    const replies: readonly unknown[] = outcome.kind === 'ok' ? asArray(outcome.reply) : [];
    // A deletion that found nothing has changed nothing.
    const puts = new Map([...planned].filter(([, value], i) => value !== null || replies[i] !== 0));
    this.#writes.push({ client, startMs, endMs, outcome: outcome.kind, at, puts });
    if (outcome.kind === 'ok') this.okCount++;
    if (at === null) return;
    this.#recent.push(at);
    if (this.#recent.length > RECENT_MAX) this.#recent.shift();
  }

  // -------------------------------------------------------------------------------------------------------------
  // Moments

  async #tellTime(actor: Actor): Promise<void> {
    const { outcome, ...span } = await actor.call('KAHUNA.TIME');
    if (outcome.kind !== 'ok') return;
    this.okCount++;
    if (typeof outcome.reply !== 'number') this.#tell(`KAHUNA.TIME answered ${JSON.stringify(plain(outcome.reply))}`);
    else {
      this.#moments.push({ ...span, at: outcome.reply });
      // What was decided before is seen, wherever it has not arrived yet.
      if (actor.random.chance(0.5)) await this.#lookAt(actor, outcome.reply);
    }
  }

  async #attendHolds(actor: Actor): Promise<void> {
    const alive = this.#alive(actor.nowMs);
    const what = actor.random.below(5);
    const hold = alive.length === 0 ? undefined : actor.random.pick(alive);
    if (hold === undefined || what === 0) await this.#hold(actor);
    else if (what === 4) await this.#holdAgain(actor, hold);
    else if (what === 1) await this.#release(actor, hold);
    else await this.#renew(actor, hold);
  }

  #alive(nowMs: number): readonly Hold[] {
    return this.#holds.filter(({ untilMs }) => untilMs > nowMs);
  }

  /** The present, or another moment that may be held already. */
  async #hold(actor: Actor): Promise<void> {
    const wanted = actor.random.chance(0.6) ? 0 : (this.#drawMoment(actor) ?? 0);
    const leaseMs = actor.random.pick(LEASES_MS);
    const holder = `${actor.name}.${this.#ids++}`;
    const { outcome, ...span } = await actor.call('KAHUNA.HOLD', 'ACQUIRE', holder, wanted, 'PX', leaseMs);
    if (outcome.kind !== 'ok' || (wanted !== 0 && this.#isRefused(span, wanted, outcome.reply))) return;
    const { id, timestamp: at } = fieldsOf(outcome.reply);
    if (typeof id !== 'number' || typeof at !== 'number') {
      this.#tell(`HOLD ACQUIRE ${wanted} answered ${JSON.stringify(plain(outcome.reply))}`);
      return;
    }
    this.okCount++;
    this.#stage.mark('moments held');
    if (wanted === 0) this.#moments.push({ ...span, at });
    else if (at !== wanted) this.#tell(`HOLD ACQUIRE ${wanted} holds ${at}`);
    const isWhole = wanted === 0 || this.#stage.history?.retentionCount === 0;
    const untilMs = this.#stage.surelyUntil(span.startMs, leaseMs);
    this.#holds.push({ id, holder, at, leaseMs, isWhole, fromMs: span.endMs, untilMs, isReleased: false });
  }

  /** As good as renewing it. */
  async #holdAgain(actor: Actor, hold: Hold): Promise<void> {
    const { id, holder, at, leaseMs } = hold;
    const { outcome, ...span } = await actor.call('KAHUNA.HOLD', 'ACQUIRE', holder, at, 'PX', leaseMs);
    if (outcome.kind !== 'ok' || this.#isRefused(span, at, outcome.reply)) return;
    const isSame = fieldsOf(outcome.reply)['id'] === id;
    if (isSame) this.#renewed(hold, span.startMs);
    else if (span.endMs < hold.untilMs) this.#tell(`hold ${id} was another one before its lease ended`);
  }

  #renewed(hold: Hold, startMs: number): void {
    if (!hold.isReleased) hold.untilMs = Math.max(hold.untilMs, this.#stage.surelyUntil(startMs, hold.leaseMs));
  }

  async #renew(actor: Actor, hold: Hold): Promise<void> {
    const { outcome, ...span } = await actor.call('KAHUNA.HOLD', 'RENEW', hold.id, 'PX', hold.leaseMs);
    if (outcome.kind !== 'ok') return;
    if (outcome.reply === 1) this.#renewed(hold, span.startMs);
    else if (span.endMs < hold.untilMs) this.#tell(`hold ${hold.id} was gone before its lease ended`);
  }

  async #release(actor: Actor, hold: Hold): Promise<void> {
    hold.isReleased = true;
    hold.untilMs = actor.nowMs;
    await actor.call('KAHUNA.HOLD', 'RELEASE', hold.id);
  }

  // -------------------------------------------------------------------------------------------------------------
  // Looks

  async #look(actor: Actor): Promise<void> {
    const at = this.#drawMoment(actor);
    const style = actor.random.below(6);
    const key = actor.random.pick(KEYS);
    if (at === null || style === 0) this.#sawOne(await actor.call('KAHUNA.GET', key), key, null);
    else if (style === 1) this.#sawOne(await actor.call('KAHUNA.GET', key, 'ASOF', at), key, at);
    else if (style === 2)
      this.#sawNames(await actor.call('KAHUNA.SCAN', 0, 'PREFIX', 'past:', 'COUNT', 10_000, 'ASOF', at), at);
    else if (style === 3) {
      const operation = await actor.interact(['KAHUNA.TX', 'BEGIN', 'READONLY', 'ASOF', at], [['MGET', ...KEYS]]);
      this.#sawAll(operation, { at, keys: KEYS }, (reply) => (Array.isArray(reply) ? (reply[0] as Reply) : null));
    } else if (style === 4) await this.#lookAt(actor, at);
    else this.#sawNames(await this.#asOf(actor, at, ['KEYS', 'past:*']), at);
  }

  async #lookAt(actor: Actor, at: number): Promise<void> {
    // Who looks at one key does not move the clocks of other partitions.
    const keys = actor.random.chance(0.5) ? KEYS : [actor.random.pick(KEYS)];
    this.#sawAll(await this.#asOf(actor, at, ['MGET', ...keys]), { at, keys });
  }

  /** Held ones, those that were told, and commit timestamps with what lies before them: never one that is not over. */
  #drawMoment(actor: Actor): number | null {
    const { nowMs, random } = actor;
    const held = this.#alive(nowMs);
    const kind = random.below(4);
    if (kind === 0 && held.length > 0) return random.pick(held).at;
    if (kind === 1 && this.#recent.length > 0) {
      // Of a change that was acknowledged just now: others may still be prepared that will have come before it.
      const recent = random.chance(0.5) ? this.#recent.slice(-1) : this.#recent;
      return random.pick(recent) - random.below(2);
    }
    if (kind === 2 && held.length > 0 && this.#recent.length > 0) {
      const { at } = random.pick(held);
      const later = this.#recent.filter((one) => one > at);
      return later.length === 0 ? at : random.pick(later) - 1;
    }
    return this.#moments.length === 0 ? null : random.pick(this.#moments.slice(-TOLD_MAX)).at;
  }

  /** Over a connection that reads the moment, for one request. */
  async #asOf(actor: Actor, at: number, request: Request): Promise<Operation> {
    actor.maybeReconnect();
    const { nowMs: startMs, clientName: client } = actor;
    const outcomes = await actor.client.pipeline([['KAHUNA.ASOF', at], request, ['KAHUNA.ASOF', 'OFF']]);
    const [chosen, answer, left] = outcomes;
    const isChosen = chosen?.kind === 'ok' && plain(chosen.reply) === 'OK';
    const outcome = (isChosen ? answer : chosen) ?? { kind: 'unknown', error: 'no answer' };
    const operation = { client, startMs, endMs: actor.nowMs, outcome };
    actor.noted(['KAHUNA.ASOF', at, ...request], operation);
    // Else it might go on reading the past.
    if (left?.kind !== 'ok') actor.reconnect();
    if (!isChosen && chosen?.kind === 'ok')
      this.#tell(`KAHUNA.ASOF ${at} answered ${JSON.stringify(plain(chosen.reply))}`);
    return operation;
  }

  #sawOne({ outcome, ...span }: Operation, key: string, at: number | null): void {
    if (outcome.kind !== 'ok' || this.#isRefused(span, at, outcome.reply)) return;
    const { value, revision } = fieldsOf(outcome.reply);
    const isThere = typeof value === 'string' && typeof revision === 'number';
    const seen = isThere ? { key, value, revision } : { key, value: null, revision: null };
    this.#saw({ ...span, at, seen: [seen] });
  }

  #sawAll(
    { outcome, ...span }: Operation,
    { at, keys }: { readonly at: number; readonly keys: readonly string[] },
    of: (reply: Reply) => Reply = (reply) => reply,
  ): void {
    // Inside KAHUNA.TX it ends the transaction.
    if (outcome.kind === 'failed' && isHistoryGone(outcome.error)) this.#refuse(span, at);
    if (outcome.kind !== 'ok' || this.#isRefused(span, at, of(outcome.reply))) return;
    const values: readonly unknown[] = asArray(of(outcome.reply));
    if (values.length !== keys.length) {
      this.#tell(`${keys.length} keys at ${at} were answered with ${JSON.stringify(plain(outcome.reply))}`);
      return;
    }
    const seen = keys.map((key, i) => ({ key, value: asText(values[i]), revision: null }));
    this.#saw({ ...span, at, seen });
  }

  #sawNames({ outcome, ...span }: Operation, at: number): void {
    if (outcome.kind !== 'ok' || this.#isRefused(span, at, outcome.reply)) return;
    const [cursor, page] = asArray(outcome.reply);
    const isPage = Array.isArray(page);
    // The scan of one partition ends at its border.
    if (isPage && cursor !== '0') return;
    const names = isPage ? page : asArray(outcome.reply);
    const seen = KEYS.map((key): Seen => ({ key, value: names.includes(key) ? undefined : null, revision: null }));
    const isDouble = new Set(names).size !== names.length;
    if (isDouble) this.#tell(`keys at ${at}: ${JSON.stringify(names)}`);
    this.#saw({ ...span, at, seen });
  }

  #saw(look: PastLook): void {
    this.okCount++;
    if (look.at !== null) this.#stage.mark('looks into the past');
    this.#looks.push(look);
  }

  /** An error, which is noted. */
  #isRefused(span: Omit<Operation, 'outcome'>, at: number | null, reply: Reply): boolean {
    if (!(reply instanceof ErrorReply)) return false;
    if (at !== null && isHistoryGone(reply.text)) this.#refuse(span, at);
    else this.#tell(`a look at ${at ?? 'the present'} was answered with ${reply.text}`);
    return true;
  }

  #refuse({ client, startMs, endMs }: Omit<Operation, 'outcome'>, at: number): void {
    this.#stage.mark('the past was gone');
    this.#refused.push({ client, startMs, endMs, at });
  }

  async #readHistory(actor: Actor, key: string): Promise<void> {
    this.#sawHistory(await actor.call('KAHUNA.HISTORY', key, 'COUNT', HISTORY_COUNT), key);
  }

  #sawHistory({ outcome, ...span }: Operation, key: string): void {
    if (outcome.kind !== 'ok' || this.#isRefused(span, null, outcome.reply)) return;
    this.okCount++;
    const versions = asArray(outcome.reply).map((version) => {
      const { revision, value } = fieldsOf(version);
      return { revision: Number(revision), value: asText(value) };
    });
    this.#histories.push({ ...span, key, versions });
  }

  // -------------------------------------------------------------------------------------------------------------

  async finish(): Promise<void> {
    const actor = new Actor(this.#stage, 'past-final');
    const span = (): { client: string; startMs: number; endMs: number } => ({
      client: actor.clientName,
      startMs: actor.nowMs,
      endMs: Number.POSITIVE_INFINITY,
    });
    const read = async (...request: Request): Promise<Operation> => {
      const before = span();
      const outcome = await mustRead(actor, ...request);
      return { ...before, endMs: actor.nowMs, outcome };
    };
    for (const key of KEYS) {
      this.#sawOne(await read('KAHUNA.GET', key), key, null);
      this.#sawHistory(await read('KAHUNA.HISTORY', key, 'COUNT', HISTORY_COUNT), key);
    }
    for (const hold of this.#alive(actor.nowMs)) {
      for (const key of KEYS) this.#sawOne(await read('KAHUNA.GET', key, 'ASOF', hold.at), key, hold.at);
      hold.untilMs = actor.nowMs;
      await read('KAHUNA.HOLD', 'RELEASE', hold.id);
    }
  }

  check(): readonly string[] {
    const kept = [...this.#held(), ...this.#retained()];
    const record = {
      writes: this.#writes,
      looks: this.#looks,
      histories: this.#histories,
      moments: this.#moments,
      refused: this.#refused,
      kept,
    };
    return [...this.#broken, ...checkPast(record)];
  }

  #held(): readonly KeptMoment[] {
    return this.#holds
      .filter(({ isWhole }) => isWhole)
      .map(({ id, at, fromMs, untilMs }) => ({ at, fromMs, untilMs, reason: `hold ${id}` }));
  }

  /** What is younger than the retention is there, unless the number of versions is bounded too. */
  #retained(): readonly KeptMoment[] {
    const { retentionMs, retentionCount } = this.#stage.history ?? { retentionMs: 0, retentionCount: 0 };
    if (retentionMs === 0 || retentionCount !== 0) return [];
    return this.#moments.map(({ at, startMs }) => ({
      at,
      fromMs: startMs,
      untilMs: this.#stage.surelyUntil(startMs, retentionMs) - SLACK_MS,
      reason: `it is younger than ${retentionMs} ms`,
    }));
  }

  #tell(text: string): void {
    if (this.#broken.length < 5) this.#broken.push(`past: ${text}`);
  }
}

function requestOf([key, value]: readonly [string, string | null]): Request {
  return value === null ? ['DEL', key] : ['SET', key, value];
}

function isHistoryGone(text: string): boolean {
  return text.startsWith('HISTORYGONE');
}

function asArray(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : [];
}

function asText(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** A map, as RESP2 answers it. */
function fieldsOf(reply: unknown): Readonly<Record<string, unknown>> {
  const words = asArray(reply);
  return Object.fromEntries(words.flatMap((word, i) => (i % 2 === 0 ? [[String(word), words[i + 1]]] : [])));
}
