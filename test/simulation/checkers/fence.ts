/**
 * A list that only holders of a lock write to, each write fenced with its token: tokens in it never fall, refused writes are
 * not in it, and no write was let in after a newer token had been granted.
 */
import { latestMs, type OutcomeKind, type Span, when } from './history.ts';

export interface FencedWrite extends Span {
  readonly token: number;
  /** Unique: what was appended. */
  readonly id: string;
  readonly outcome: OutcomeKind;
}

/** A token as its holder got it. */
export interface TokenGrant extends Span {
  readonly token: number;
}

export interface FenceHistory {
  readonly writes: readonly FencedWrite[];
  readonly grants: readonly TokenGrant[];
  /** The list in the end. */
  readonly ids: readonly string[];
}

const TOLD_MAX = 10;

export function checkFence(resource: string, { writes, grants, ids }: FenceHistory): readonly string[] {
  const broken: string[] = [];
  const tell = (text: string): void => {
    if (broken.length < TOLD_MAX) broken.push(`fence ${resource}: ${text}`);
  };
  const byId = new Map(writes.map((write) => [write.id, write]));
  let highest: FencedWrite | undefined;
  for (const id of ids) {
    const write = byId.get(id);
    if (write === undefined) {
      tell(`${id} is in the list, which nobody wrote`);
      continue;
    }
    if (write.outcome === 'failed') tell(`${told(write)} was refused, and is in the list`);
    if (highest !== undefined && write.token < highest.token) tell(`${told(write)} stands behind ${told(highest)}`);
    if (highest === undefined || write.token > highest.token) highest = write;
  }
  const present = new Set(ids);
  if (present.size < ids.length) tell(`something is in the list twice: ${ids.join(' ')}`);
  for (const write of writes) {
    if (write.outcome === 'ok' && !present.has(write.id))
      tell(`${told(write)} was acknowledged, and is not in the list`);
    if (write.outcome !== 'ok') continue;
    const newer = grants.find((grant) => grant.token > write.token && grant.endMs < write.startMs);
    if (newer !== undefined)
      tell(`${told(write)} was let in after token ${newer.token} had been granted (${when(newer)})`);
  }
  return broken;
}

/** A refusal has a reason: a newer token that may have been granted by then. */
export function checkFenceRefusals(
  resource: string,
  refused: readonly FencedWrite[],
  acquisitions: readonly (Span & { readonly outcome: OutcomeKind; readonly token: number | null })[],
): readonly string[] {
  return refused
    .filter(
      (write) =>
        !acquisitions.some(
          ({ outcome, token, startMs }) =>
            outcome !== 'failed' &&
            startMs < latestMs({ outcome: 'ok', endMs: write.endMs }) &&
            (token ?? write.token + 1) > write.token,
        ),
    )
    .slice(0, TOLD_MAX)
    .map((write) => `fence ${resource}: ${told(write)} was refused, though no newer token had been granted`);
}

function told(write: FencedWrite): string {
  return `${write.id} (token ${write.token}, ${when(write)})`;
}
