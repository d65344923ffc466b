/**
 * Clients that take turns: fenced locks with and without waiting, and the lock that everybody makes of SET NX PX. A holder
 * sometimes forgets to release, or goes on as if it had died.
 */
import { type Attempt, checkFairness, checkLock, type Grant } from '../checkers/lock.ts';
import { Actor, mustRead, type Workload } from '../workload.ts';
import { plain, type Stage } from './stage.ts';

const RESOURCES = ['lock:a', 'lock:b'];
/** SET NX PX: it has no token, so the workload counts its grants. */
const PLAIN = 'lock:plain';
const WAITS_MS = [0, 0, 300, 1_500];
/** Longer than any way to the leader and back. */
const FAIRNESS_MARGIN_MS = 700;

export class LockWorkload implements Workload {
  readonly name = 'lock';
  okCount = 0;
  readonly #stage: Stage;
  readonly #grants = new Map<string, Grant[]>([...RESOURCES, PLAIN].map((resource) => [resource, []]));
  readonly #attempts = new Map<string, Attempt[]>(RESOURCES.map((resource) => [resource, []]));
  readonly #finalTokens = new Map<string, number>();
  /** When an owner was told that it does not get the lock. */
  readonly #refused = new Map<string, number>();
  #owners = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  start(): readonly Promise<void>[] {
    return Array.from({ length: this.#stage.load.clientCount }, (_, i) =>
      this.#run(new Actor(this.#stage, `locker${i}`)),
    );
  }

  async #run(actor: Actor): Promise<void> {
    while (await actor.think()) {
      if (actor.random.chance(0.2)) await this.#look(actor, actor.random.pick(RESOURCES));
      else if (actor.random.chance(0.3)) await this.#plain(actor);
      else await this.#fenced(actor, actor.random.pick(RESOURCES));
    }
  }

  async #fenced(actor: Actor, resource: string): Promise<void> {
    const owner = `o${this.#owners++}`;
    const ttlMs = 300 + actor.random.below(3_000);
    const waitMs = actor.random.pick(WAITS_MS);
    const wait = waitMs === 0 ? [] : ['WAIT', waitMs];
    if (actor.random.chance(0.05)) this.#leaveSoon(actor);
    const acquired = await actor.call('KAHUNA.LOCK', 'ACQUIRE', resource, owner, 'PX', ttlMs, ...wait);
    if (acquired.outcome.kind === 'failed') this.#refused.set(owner, acquired.endMs);
    if (acquired.outcome.kind !== 'ok') return;
    this.okCount++;
    const token = acquired.outcome.reply;
    const { startMs, endMs } = acquired;
    if (waitMs > 0) this.#attempts.get(resource)?.push({ owner, startMs, endMs, isGranted: token !== null });
    if (typeof token !== 'number') {
      this.#refused.set(owner, endMs);
      return;
    }
    let leaseEndMs = this.#leaseEnd(startMs, ttlMs);
    await actor.stage.sleep(actor.random.below(ttlMs));
    if (actor.random.chance(0.3)) {
      const extended = await actor.call('KAHUNA.LOCK', 'EXTEND', resource, owner, 'PX', ttlMs);
      if (extended.outcome.kind === 'ok' && extended.outcome.reply === token) {
        leaseEndMs = this.#leaseEnd(extended.startMs, ttlMs);
      } else if (extended.outcome.kind === 'ok' && extended.outcome.reply !== null) {
        this.#stage.violation(
          `lock ${resource}: the token of ${owner} changed from ${token} to ${JSON.stringify(plain(extended.outcome.reply))}`,
        );
      }
    }
    const releaseMs = actor.random.chance(0.8) ? actor.nowMs : Number.POSITIVE_INFINITY;
    this.#grants.get(resource)?.push({ owner, token, startMs, endMs, leaseEndMs, releaseMs });
    if (releaseMs === Number.POSITIVE_INFINITY) return;
    await actor.call('KAHUNA.LOCK', 'RELEASE', resource, owner);
  }

  /** Who was told that it does not get the lock shall not be seen with it. */
  async #look(actor: Actor, resource: string): Promise<void> {
    const { startMs, outcome } = await actor.call('KAHUNA.LOCK', 'INFO', resource);
    if (outcome.kind !== 'ok' || !Array.isArray(outcome.reply)) return;
    this.okCount++;
    const owner = String(outcome.reply[1]);
    const refusedMs = this.#refused.get(owner);
    if (refusedMs !== undefined && refusedMs < startMs) {
      this.#stage.violation(
        `lock ${resource}: ${owner} holds it, but was told at ${refusedMs.toFixed(1)} ms that it does not`,
      );
    }
  }

  /** The client ends its connection while it waits: it must leave the queue. */
  #leaveSoon(actor: Actor): void {
    const { client } = actor;
    actor.stage.after(actor.random.below(500), () => {
      client.disconnect();
    });
  }

  async #plain(actor: Actor): Promise<void> {
    const owner = `o${this.#owners++}`;
    const ttlMs = 300 + actor.random.below(1_500);
    const { startMs, endMs, outcome } = await actor.call('SET', PLAIN, owner, 'NX', 'PX', ttlMs);
    if (outcome.kind !== 'ok') return;
    this.okCount++;
    if (outcome.reply === null) return;
    await actor.stage.sleep(actor.random.below(ttlMs));
    const releaseMs = actor.random.chance(0.8) ? actor.nowMs : Number.POSITIVE_INFINITY;
    const token = this.#grants.get(PLAIN)?.length ?? 0;
    this.#grants
      .get(PLAIN)
      ?.push({ owner, token, startMs, endMs, leaseEndMs: this.#leaseEnd(startMs, ttlMs), releaseMs });
    if (releaseMs === Number.POSITIVE_INFINITY) return;
    await actor.call('DELIFEQ', PLAIN, owner);
  }

  /** Simulated time until which the lease surely lasts. */
  #leaseEnd(startMs: number, ttlMs: number): number {
    return this.#stage.surelyUntil(startMs, ttlMs);
  }

  async finish(): Promise<void> {
    const actor = new Actor(this.#stage, 'lock-final');
    for (const resource of RESOURCES) {
      this.#finalTokens.set(resource, Number((await mustRead(actor, 'KAHUNA.LOCK', 'TOKEN', resource)).reply));
    }
  }

  check(): readonly string[] {
    const broken: string[] = [];
    for (const [resource, grants] of this.#grants) {
      if (resource === PLAIN) {
        const [first] = checkLock(resource, byEndTokens(grants));
        if (first !== undefined) broken.push(first);
        continue;
      }
      broken.push(...checkLock(resource, grants));
      if (!this.#stage.hasFaults) {
        broken.push(...checkFairness(resource, this.#attempts.get(resource) ?? [], FAIRNESS_MARGIN_MS));
      }
      const highest = Math.max(0, ...grants.map(({ token }) => token));
      const final = this.#finalTokens.get(resource) ?? 0;
      if (final < highest)
        broken.push(`lock ${resource}: token ${highest} was granted, the highest is said to be ${final}`);
    }
    return broken;
  }
}

/** Grants of the plain lock have no token; this gives them one that breaks no rule. */
function byEndTokens(grants: readonly Grant[]): readonly Grant[] {
  return [...grants].sort((a, b) => a.endMs - b.endMs).map((grant, i) => ({ ...grant, token: i + 1 }));
}
