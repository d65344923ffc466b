/**
 * One script in the catalogue: once its loading is acknowledged it is found, once its forgetting is acknowledged it is not.
 * While either is under way nodes may differ, so this is less than linearizability.
 */
import { latestMs, type OutcomeKind, type Span, when } from './history.ts';

export interface ScriptChange extends Span {
  readonly kind: 'load' | 'flush';
  readonly outcome: OutcomeKind;
  /** Meanwhile some node had no connection to another one, which did not wait for it then. */
  readonly wasApart: boolean;
}

/** An answer that shows whether the script was known. */
export interface ScriptLook extends Span {
  readonly isKnown: boolean;
  /** Asked of the catalogue; otherwise of a node that was to run it. */
  readonly isOfCatalogue: boolean;
}

const TOLD_MAX = 5;
/**
 * A change waits this long, ms, for nodes that lag, and not longer: some did when it took nearly as long. For those that are known to be
 * away it does not wait.
 */
const PATIENCE_MS = 900;

/** `mayMiss`: nodes were cut off or stood still, and one that has missed a change may run scripts. */
export function checkCatalog(
  name: string,
  {
    changes,
    looks,
    mayMiss,
  }: { readonly changes: readonly ScriptChange[]; readonly looks: readonly ScriptLook[]; readonly mayMiss: boolean },
): readonly string[] {
  const broken: string[] = [];
  const possible = changes.filter(({ outcome }) => outcome !== 'failed');
  const wasLeftOut = (look: ScriptLook, change: ScriptChange): boolean =>
    mayMiss && !look.isOfCatalogue && (change.wasApart || change.endMs - change.startMs >= PATIENCE_MS);
  /** The last to begin, among those of a kind that ended well before a look: nothing that ended before it began counts after. */
  const lastBefore = (look: ScriptLook, kind: ScriptChange['kind']): ScriptChange | undefined =>
    possible
      .filter((change) => change.kind === kind && change.outcome === 'ok' && change.endMs < look.startMs)
      .filter((change) => kind === 'load' || !wasLeftOut(look, change))
      .reduce<ScriptChange | undefined>(
        (last, change) => (last === undefined || change.startMs > last.startMs ? change : last),
        undefined,
      );
  const canUndo = (look: ScriptLook, kind: ScriptChange['kind'], since: number): boolean =>
    possible.some((change) => change.kind === kind && change.startMs < look.endMs && latestMs(change) > since);
  for (const look of looks) {
    if (look.isKnown) {
      const flush = lastBefore(look, 'flush');
      if (!canUndo(look, 'load', flush?.startMs ?? Number.NEGATIVE_INFINITY)) {
        broken.push(
          `script ${name}: known (${when(look)}), ${flush === undefined ? 'but never loaded' : `after it was forgotten (${when(flush)})`}`,
        );
      }
      continue;
    }
    if (mayMiss && !look.isOfCatalogue) continue;
    const load = lastBefore(look, 'load');
    if (load !== undefined && !canUndo(look, 'flush', load.startMs)) {
      broken.push(`script ${name}: not known (${when(look)}), after it was loaded (${when(load)})`);
    }
  }
  return broken.slice(0, TOLD_MAX);
}
