/**
 * Who must come before whom, and the shortest proof that this is impossible.
 *
 * After Adya (Weak Consistency, 1999) and Kingsbury and Alvaro (Elle, VLDB 2020): nodes are transactions, edges say why one comes
 * before another. In a serializable history there is no cycle. The kinds of edge in a cycle name the anomaly:
 *
 *     ww   the second overwrote what the first wrote            G0       only ww: writes interleave
 *     wr   the second read what the first wrote                 G1c      ww and wr: information flows in a circle
 *     rw   the first read what the second overwrote             G-single one rw: a read skews, an update is lost
 *     time the first had ended before the second began          G2       several rw: write skew
 *
 * With `time` edges in a cycle it is the same anomaly, against real time: serializable perhaps, strictly serializable not.
 *
 * Time edges are not drawn pair by pair, which would be quadratic: a chain of moments stands between (each end points to its
 * moment, moments to the next, and the last moment before a start to that start). Such nodes are left out of what is told.
 *
 * Strongly connected components are found by Tarjan's algorithm (1972) without recursion, so a history without anomalies
 * costs time linear in its edges. Only in a component that is a proof of something is a shortest cycle searched for.
 */

export const EDGE_KINDS = ['ww', 'wr', 'rw', 'time'] as const;
export type EdgeKind = (typeof EDGE_KINDS)[number];

interface Edge {
  readonly from: number;
  readonly to: number;
  readonly kind: EdgeKind;
  /** Why, if somebody asks. */
  readonly why: string;
}

export interface Step {
  readonly from: number;
  readonly to: number;
  readonly kind: EdgeKind;
  readonly why: string;
}

export interface Cycle {
  /** `G0`, `G1c`, `G-single` or `G2`, with `-realtime` if time is part of it. */
  readonly anomaly: string;
  readonly steps: readonly Step[];
}

/** Starts from which a shortest cycle is looked for, and edges that are tried as the single rw, in one component. */
const STARTS_MAX = 50;
const SINGLES_MAX = 500;

export class DependencyGraph {
  readonly #edges: Edge[][] = [];
  /** Nodes from this number on are moments and other stand-ins. */
  readonly #transactionCount: number;

  constructor(transactionCount: number) {
    this.#transactionCount = transactionCount;
    for (let i = 0; i < transactionCount; i++) this.#edges.push([]);
  }

  /** A node that is no transaction. */
  addStandIn(): number {
    this.#edges.push([]);
    return this.#edges.length - 1;
  }

  add(from: number, to: number, kind: EdgeKind, why = ''): void {
    if (from !== to) this.#edges[from]?.push({ from, to, kind, why });
  }

  /** One cycle of each component that has one: the gravest kind, and of that a short one. */
  cycles(): readonly Cycle[] {
    return this.#components().flatMap((component) => this.#worst(new Set(component)) ?? []);
  }

  #worst(component: ReadonlySet<number>): Cycle | undefined {
    for (const times of [[], ['time']] as const) {
      const suffix = times.length > 0 ? '-realtime' : '';
      for (const [anomaly, kinds] of [
        ['G0', ['ww', ...times]],
        ['G1c', ['ww', 'wr', ...times]],
      ] as const) {
        const steps = this.#shortest(component, new Set<EdgeKind>(kinds));
        if (steps !== undefined) return this.#told(anomaly + suffix, steps);
      }
      const single = this.#single(component, new Set<EdgeKind>(['ww', 'wr', ...times]));
      if (single !== undefined) return this.#told(`G-single${suffix}`, single);
      const steps = this.#shortest(component, new Set<EdgeKind>(['ww', 'wr', 'rw', ...times]));
      if (steps !== undefined) return this.#told(`G2${suffix}`, steps);
    }
    return undefined;
  }

  /** Stand-ins are skipped: of a way through them, the first kind and reason are kept. */
  #told(anomaly: string, cycle: readonly Edge[]): Cycle {
    const isReal = (node: number): boolean => node < this.#transactionCount;
    const first = cycle.findIndex(({ from }) => isReal(from));
    const turned = [...cycle.slice(first), ...cycle.slice(0, first)];
    const steps: Step[] = [];
    for (const edge of turned) {
      const before = steps.at(-1);
      if (before === undefined || isReal(edge.from)) steps.push(edge);
      else steps[steps.length - 1] = { ...before, to: edge.to, why: before.why === '' ? edge.why : before.why };
    }
    return { anomaly, steps };
  }

  #single(component: ReadonlySet<number>, kinds: ReadonlySet<EdgeKind>): readonly Edge[] | undefined {
    let best: readonly Edge[] | undefined;
    let tried = 0;
    for (const node of component) {
      for (const edge of this.#within(node, component)) {
        if (edge.kind !== 'rw' || ++tried > SINGLES_MAX || best?.length === 2) continue;
        const back = this.#way(edge.to, edge.from, { component, kinds });
        if (back !== undefined && (best === undefined || back.length + 1 < best.length)) best = [edge, ...back];
      }
    }
    return best;
  }

  #shortest(component: ReadonlySet<number>, kinds: ReadonlySet<EdgeKind>): readonly Edge[] | undefined {
    // In a large component most starts lead nowhere under few kinds: only nodes of a component of these kinds are tried.
    const inner = this.#components({ component, kinds });
    let best: readonly Edge[] | undefined;
    for (const nodes of inner) {
      const set = new Set(nodes);
      for (const start of nodes.slice(0, STARTS_MAX)) {
        const cycle = this.#way(start, start, { component: set, kinds });
        if (cycle !== undefined && (best === undefined || cycle.length < best.length)) best = cycle;
        if (best?.length === 2) return best;
      }
    }
    return best;
  }

  /** Breadth first; a way from a node to itself has at least one edge. */
  #way(
    from: number,
    to: number,
    { component, kinds }: { readonly component: ReadonlySet<number>; readonly kinds: ReadonlySet<EdgeKind> },
  ): readonly Edge[] | undefined {
    const cameBy = new Map<number, Edge>();
    let front = [from];
    while (front.length > 0) {
      const next: number[] = [];
      for (const node of front) {
        for (const edge of this.#within(node, component)) {
          if (!kinds.has(edge.kind) || cameBy.has(edge.to)) continue;
          cameBy.set(edge.to, edge);
          if (edge.to === to) return backwards(cameBy, { from, to });
          next.push(edge.to);
        }
      }
      front = next;
    }
    return undefined;
  }

  #within(node: number, component: ReadonlySet<number>): readonly Edge[] {
    return (this.#edges[node] ?? []).filter(({ to }) => component.has(to));
  }

  /** Those of more than one node; of a part of the graph if one is given. */
  #components(part?: {
    readonly component: ReadonlySet<number>;
    readonly kinds: ReadonlySet<EdgeKind>;
  }): readonly (readonly number[])[] {
    const found: number[][] = [];
    const size = this.#edges.length;
    const order = new Int32Array(size).fill(-1);
    const low = new Int32Array(size);
    const isOpen = new Uint8Array(size);
    const open: number[] = [];
    const path: { readonly node: number; next: number }[] = [];
    let count = 0;
    const enter = (node: number): void => {
      order[node] = count;
      low[node] = count++;
      isOpen[node] = 1;
      open.push(node);
      path.push({ node, next: 0 });
    };
    const roots = part === undefined ? this.#edges.keys() : part.component.values();
    for (const root of roots) {
      if (order[root] !== -1) continue;
      enter(root);
      for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
        const { node } = top;
        const edge = this.#edges[node]?.[top.next++];
        if (edge === undefined) {
          path.pop();
          const above = path.at(-1);
          if (above !== undefined) low[above.node] = Math.min(low[above.node] ?? 0, low[node] ?? 0);
          if (low[node] === order[node]) close(node);
          continue;
        }
        if (part !== undefined && !(part.kinds.has(edge.kind) && part.component.has(edge.to))) continue;
        if (order[edge.to] === -1) enter(edge.to);
        else if (isOpen[edge.to] === 1) low[node] = Math.min(low[node] ?? 0, order[edge.to] ?? 0);
      }
    }
    return found;

    function close(root: number): void {
      const members = open.splice(open.lastIndexOf(root));
      for (const member of members) isOpen[member] = 0;
      if (members.length > 1) found.push(members);
    }
  }
}

function backwards(
  cameBy: ReadonlyMap<number, Edge>,
  { from, to }: { readonly from: number; readonly to: number },
): readonly Edge[] {
  const way: Edge[] = [];
  let at = to;
  do {
    const edge = cameBy.get(at);
    if (edge === undefined) throw new Error('a way has no gaps');
    way.unshift(edge);
    at = edge.from;
  } while (at !== from);
  return way;
}

/** Draws the time edges of operations, by index: `endMs` Infinity if it is not known when one ended. */
export function addTimeEdges(
  graph: DependencyGraph,
  operations: readonly { readonly client: string; readonly startMs: number; readonly endMs: number }[],
): void {
  const numbers = operations.map((_, i) => i);
  const endOf = (i: number): number => operations[i]?.endMs ?? Number.POSITIVE_INFINITY;
  const startOf = (i: number): number => operations[i]?.startMs ?? 0;
  const byEnd = numbers.filter((i) => endOf(i) < Number.POSITIVE_INFINITY).sort((a, b) => endOf(a) - endOf(b));
  const byStart = [...numbers].sort((a, b) => startOf(a) - startOf(b));
  let moment: number | undefined;
  let ended = 0;
  const latest = new Map<string, number>();
  for (const i of byStart) {
    for (let next = byEnd[ended]; next !== undefined && endOf(next) < startOf(i); next = byEnd[++ended]) {
      const following = graph.addStandIn();
      graph.add(next, following, 'time');
      if (moment !== undefined) graph.add(moment, following, 'time');
      moment = following;
    }
    if (moment !== undefined) graph.add(moment, i, 'time');
    // A client's own operations follow each other, even if no time has passed between them.
    const client = operations[i]?.client ?? '';
    const before = latest.get(client);
    if (before !== undefined && endOf(before) <= startOf(i)) graph.add(before, i, 'time');
    latest.set(client, i);
  }
}
