/**
 * Clients that look at the keyspace while others change it: SCAN finds every key that stays, KEYS and DBSIZE are right at one
 * moment. Keys with the prefix `stable:` are made first and never touched again.
 */
import { Actor, type Workload } from '../workload.ts';
import { plain, type Stage } from './stage.ts';

const STABLE = Array.from({ length: 20 }, (_, i) => `stable:${i}`);
const VOLATILE_COUNT = 30;

export class ScanWorkload implements Workload {
  readonly name = 'scan';
  okCount = 0;
  readonly #stage: Stage;
  readonly #broken: string[] = [];
  #made: Promise<void> | null = null;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  start(): readonly Promise<void>[] {
    return Array.from({ length: 2 }, (_, i) => this.#run(new Actor(this.#stage, `scanner${i}`)));
  }

  async #run(actor: Actor): Promise<void> {
    this.#made ??= this.#make(actor);
    await this.#made;
    while (await actor.think()) {
      const kind = actor.random.below(8);
      if (kind === 0) await this.#keys(actor);
      else if (kind === 1) await this.#scan(actor);
      else if (kind === 2) await this.#count(actor);
      else if (kind < 5) await this.#note(actor, 'DEL', volatileKey(actor));
      else await this.#note(actor, 'SET', volatileKey(actor), 'x');
    }
  }

  async #make(actor: Actor): Promise<void> {
    for (const key of STABLE) {
      while (!this.#stage.isStopping) {
        const { outcome } = await actor.call('SET', key, 'x');
        if (outcome.kind === 'ok') break;
        await actor.think();
      }
    }
  }

  async #note(actor: Actor, ...argv: readonly string[]): Promise<void> {
    if ((await actor.call(...argv)).outcome.kind === 'ok') this.okCount++;
  }

  async #keys(actor: Actor): Promise<void> {
    const { outcome } = await actor.call('KEYS', 'stable:*');
    if (outcome.kind !== 'ok' || !Array.isArray(outcome.reply)) return;
    this.okCount++;
    const keys = outcome.reply.map(String).sort();
    if (keys.join() !== [...STABLE].sort().join())
      this.#tell(`KEYS found ${keys.length} of ${STABLE.length}: ${keys.join()}`);
  }

  async #scan(actor: Actor): Promise<void> {
    const found = new Set<string>();
    const count = 1 + actor.random.below(12);
    let cursor = '0';
    do {
      const { outcome } = await actor.call('SCAN', cursor, 'COUNT', count, 'MATCH', 'stable:*');
      if (outcome.kind !== 'ok' || !Array.isArray(outcome.reply)) return;
      const [next, keys] = outcome.reply as readonly unknown[];
      if (Array.isArray(keys)) for (const key of keys) found.add(String(key));
      cursor = String(next);
      if (this.#stage.isStopping) return;
    } while (cursor !== '0');
    this.okCount++;
    const missing = STABLE.filter((key) => !found.has(key));
    if (missing.length > 0) this.#tell(`SCAN COUNT ${count} missed ${missing.join()}`);
    const strange = [...found].filter((key) => !STABLE.includes(key));
    if (strange.length > 0) this.#tell(`SCAN found what was never written: ${strange.join()}`);
  }

  async #count(actor: Actor): Promise<void> {
    const { outcome } = await actor.call('DBSIZE');
    if (outcome.kind !== 'ok') return;
    this.okCount++;
    if (Number(outcome.reply) < STABLE.length)
      this.#tell(`DBSIZE counted ${JSON.stringify(plain(outcome.reply))} keys`);
  }

  #tell(text: string): void {
    if (this.#broken.length < 5) this.#broken.push(`scan: ${text}`);
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  check(): readonly string[] {
    return this.#broken;
  }
}

function volatileKey(actor: Actor): string {
  return `volatile:${actor.random.below(VOLATILE_COUNT)}`;
}
