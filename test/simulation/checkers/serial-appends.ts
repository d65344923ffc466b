/** Histories of appends as a correct store would make them: the checker's own tests start from these. */
import type { SeededRandom } from '../../doubles/seeded-random.ts';
import type { AppendStep, AppendTransaction } from './append.ts';

/** Transactions overlap as those of `clients` clients would; each takes effect at one moment between start and end. */
export function serialAppends(
  random: SeededRandom,
  size: { readonly count: number; readonly keys: number; readonly clients: number },
): readonly AppendTransaction[] {
  const lists = new Map<string, string[]>();
  const freeMs = Array.from({ length: size.clients }, () => 0);
  const plans = Array.from({ length: size.count }, () => {
    const client = random.below(size.clients);
    const startMs = (freeMs[client] ?? 0) + random.float();
    const endMs = startMs + random.float() * 10;
    freeMs[client] = endMs;
    return { client: `c${client}`, startMs, endMs, atMs: startMs + random.float() * (endMs - startMs) };
  });
  let ids = 0;
  const done = plans
    .sort((a, b) => a.atMs - b.atMs)
    .map(({ client, startMs, endMs }): AppendTransaction => {
      const chance = random.below(20);
      const outcome = chance === 0 ? 'unknown' : chance === 1 ? 'failed' : 'ok';
      // An unknown one has taken effect, half of the time.
      const takesEffect = outcome === 'ok' || (outcome === 'unknown' && random.chance(0.5));
      const steps: AppendStep[] = [];
      for (let i = 1 + random.below(4); i > 0; i--) {
        // Keys change with time, so that lists stay short.
        const key = `${Math.floor(startMs / 100)}:${random.below(size.keys)}`;
        const list = lists.get(key) ?? [];
        lists.set(key, list);
        if (random.chance(0.5)) {
          steps.push({ kind: 'read', key, ids: outcome === 'ok' ? [...list] : null });
          continue;
        }
        const id = `${ids++}`;
        if (takesEffect) list.push(id);
        const isTold = outcome === 'ok' && random.chance(0.5);
        steps.push({ kind: 'append', key, id, position: isTold ? list.length : null });
      }
      return { client: outcome === 'unknown' ? `${client} until ${startMs}` : client, startMs, endMs, outcome, steps };
    });
  return done;
}
