/**
 * Clients that take a lock and write to what it protects, fenced by their token; they are slow, and often write long after
 * their lease has ended. Some take two locks at once.
 */
import { checkFence, checkFenceRefusals, type FencedWrite, type TokenGrant } from '../checkers/fence.ts';
import { checkLock, type Grant } from '../checkers/lock.ts';
import { Actor, actors, mustRead, type Workload } from '../workload.ts';
import type { Stage } from './stage.ts';
import type { OutcomeKind, Span } from '../checkers/history.ts';

const RESOURCES = ['{fence}a', '{fence}b'];
const ID_SIZE = 6;

interface Fenced {
  readonly resource: string;
  readonly writes: FencedWrite[];
  readonly refused: FencedWrite[];
  readonly grants: (TokenGrant & Grant)[];
  readonly acquisitions: (Span & { readonly outcome: OutcomeKind; readonly token: number | null })[];
  ids: readonly string[];
}

export class FenceWorkload implements Workload {
  readonly name = 'fence';
  okCount = 0;
  readonly #stage: Stage;
  readonly #all: readonly Fenced[] = RESOURCES.map((resource) => ({
    resource,
    writes: [],
    refused: [],
    grants: [],
    acquisitions: [],
    ids: [],
  }));
  #owners = 0;
  #ids = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  start(): readonly Promise<void>[] {
    return actors(this.#stage, { name: 'fencer' }, (actor) => this.#run(actor));
  }

  async #run(actor: Actor): Promise<void> {
    while (await actor.think()) {
      const chosen = actor.random.chance(0.3) ? this.#all : [actor.random.pick(this.#all)];
      const owner = `f${this.#owners++}`;
      const ttlMs = 100 + actor.random.below(1_500);
      const tokens = await this.#acquire(actor, chosen, { owner, ttlMs });
      if (tokens === null) continue;
      for (let writes = 1 + actor.random.below(3); writes > 0 && !this.#stage.isStopping; writes--) {
        await actor.stage.sleep(actor.random.below(ttlMs));
        await this.#write(actor, chosen, tokens);
      }
      if (actor.random.chance(0.5))
        for (const { resource } of chosen) await actor.call('KAHUNA.LOCK', 'RELEASE', resource, owner);
    }
  }

  /** The tokens of the chosen resources, in their order. */
  async #acquire(
    actor: Actor,
    chosen: readonly Fenced[],
    { owner, ttlMs }: { readonly owner: string; readonly ttlMs: number },
  ): Promise<readonly number[] | null> {
    const names = chosen.map(({ resource }) => resource);
    const lease = ['PX', ttlMs, 'WAIT', actor.random.pick([0, 500])];
    const { outcome, ...span } = await (names.length === 1
      ? actor.call('KAHUNA.LOCK', 'ACQUIRE', ...names, owner, ...lease)
      : actor.call('KAHUNA.LOCK', 'MACQUIRE', names.length, ...names, owner, ...lease));
    const reply: readonly unknown[] =
      outcome.kind !== 'ok' ? [] : Array.isArray(outcome.reply) ? outcome.reply : [outcome.reply];
    const isGranted = reply.length === chosen.length && reply.every((token) => typeof token === 'number');
    chosen.forEach(({ grants, acquisitions }, i) => {
      const token = isGranted ? Number(reply[i]) : null;
      // Nil took nothing.
      if (outcome.kind !== 'ok' || isGranted) acquisitions.push({ ...span, outcome: outcome.kind, token });
      if (token === null) return;
      // Released or not, a fenced write needs no lease; so the end that is given here is that of the lease.
      const leaseEndMs = this.#stage.surelyUntil(span.startMs, ttlMs);
      grants.push({ ...span, owner, token, leaseEndMs, releaseMs: span.endMs });
    });
    if (!isGranted) return null;
    this.okCount++;
    return reply.map(Number);
  }

  async #write(actor: Actor, chosen: readonly Fenced[], tokens: readonly number[]): Promise<void> {
    const writes = chosen.map((fenced, i) => ({
      fenced,
      token: tokens[i] ?? 0,
      id: String(this.#ids++).padStart(ID_SIZE, '0'),
    }));
    const { outcome, ...span } = await actor.exec([
      ...writes.map(({ fenced, token }) => ['KAHUNA.FENCE', fenced.resource, token]),
      ...writes.map(({ fenced, id }) => ['APPEND', `${fenced.resource}:list`, id]),
    ]);
    if (outcome.kind === 'ok') this.okCount++;
    const isFenced = outcome.kind === 'failed' && outcome.error.startsWith('FENCED');
    if (isFenced) this.#stage.mark('fenced');
    for (const { fenced, token, id } of writes) {
      const write = { ...span, token, id, outcome: outcome.kind };
      fenced.writes.push(write);
      if (isFenced && writes.length === 1) fenced.refused.push(write);
    }
  }

  async finish(): Promise<void> {
    const actor = new Actor(this.#stage, 'fence-final');
    for (const fenced of this.#all) {
      const { reply } = await mustRead(actor, 'GET', `${fenced.resource}:list`);
      const text = typeof reply === 'string' ? reply : '';
      fenced.ids = Array.from({ length: text.length / ID_SIZE }, (_, i) => text.slice(i * ID_SIZE, (i + 1) * ID_SIZE));
    }
  }

  check(): readonly string[] {
    return this.#all.flatMap((fenced) => [
      ...checkFence(fenced.resource, fenced),
      ...checkFenceRefusals(fenced.resource, fenced.refused, fenced.acquisitions),
      ...checkLock(fenced.resource, fenced.grants),
    ]);
  }
}
