/**
 * What follows from the hashes of several replicas: a pure function of who said what.
 *
 * Who is right is decided by a strict majority of the voters, counting those that said nothing: what most of them hold is what was
 * acknowledged, and a replica that is away might have sided with either. During a change of membership both
 * majorities must agree. A learner has no voice, but may be wrong.
 */
import type { NodeId } from '../base/ids.ts';
import type { ConfState } from '../raft/types.ts';

export type Comparison =
  /** Everybody who said something said the same. */
  | { readonly kind: 'equal' }
  /** These hold something else than most voters. */
  | { readonly kind: 'minority'; readonly nodes: readonly NodeId[] }
  /** They differ, and nobody has a majority. */
  | { readonly kind: 'undecided' };

/** `said`: what each replica holds, in a form in which equal is the same; replicas that said nothing are left out. */
export function compareReplicas(
  said: ReadonlyMap<NodeId, string>,
  members: Pick<ConfState, 'voters' | 'votersOutgoing'>,
): Comparison {
  const opinions = new Set(said.values());
  if (opinions.size <= 1) return { kind: 'equal' };
  for (const opinion of opinions) {
    const holds = (node: NodeId): boolean => said.get(node) === opinion;
    if (!hasMajority(members.voters, holds)) continue;
    if (members.votersOutgoing.length > 0 && !hasMajority(members.votersOutgoing, holds)) continue;
    return { kind: 'minority', nodes: [...said.keys()].filter((node) => !holds(node)).sort((a, b) => a - b) };
  }
  return { kind: 'undecided' };
}

function hasMajority(voters: readonly NodeId[], holds: (node: NodeId) => boolean): boolean {
  return voters.filter(holds).length * 2 > voters.length;
}
