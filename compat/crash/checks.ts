/**
 * What must be true of a history. Each check is a function of the history alone, so that `self-check.ts` can show on
 * planted violations that it is not blind.
 *
 * Real-time order is used throughout: if one operation ended before another began, the second must see the first.
 */
import type { FinalState, History, LockAcquire, LockExtend, LockRelease, Operation, OperationKind } from './history.ts';

export interface Check {
  readonly name: string;
  /** Violations in words; empty if there is none. */
  readonly run: (history: History) => string[];
}

/** Two clocks, the node's and ours, may run apart by this much within a lease. */
const LEASE_MARGIN_MS = 30;
const SHOWN_MAX = 5;

export const CHECKS: readonly Check[] = [
  { name: 'no acknowledged write is lost, no failed one appears', run: checkRegisters },
  { name: 'no increment is lost or applied twice', run: checkCounters },
  { name: 'a claim has one winner', run: checkClaims },
  { name: 'a transaction is whole', run: checkPairs },
  { name: 'fencing tokens rise, a lock has one holder', run: checkLocks },
  { name: 'no sequence value is given twice', run: checkSequences },
  { name: 'clients of living nodes see no error', run: checkSurvivors },
  { name: 'all nodes agree in the end', run: checkAgreement },
];

function ofKind<Kind extends OperationKind>(history: History, kind: Kind): Extract<Operation, { kind: Kind }>[] {
  return history.operations.filter(
    (operation): operation is Extract<Operation, { kind: Kind }> => operation.kind === kind,
  );
}

function byKey<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}

function checkRegisters(history: History): string[] {
  const violations: string[] = [];
  const writes = byKey(ofKind(history, 'register-write'), (write) => write.key);
  const reads = byKey(ofKind(history, 'register-read'), (read) => read.key);
  for (const [key, keyWrites] of writes) {
    const failed = new Set(keyWrites.filter((write) => write.outcome === 'failed').map((write) => write.value));
    const acknowledged = keyWrites.filter((write) => write.outcome === 'ok');
    const observed = (reads.get(key) ?? []).filter((read) => read.outcome === 'ok');
    for (const read of observed) {
      if (failed.has(read.value)) violations.push(`${key}: read ${read.value}, whose write had failed`);
      const started = keyWrites.filter((write) => write.startMs <= read.endMs).map((write) => write.value);
      if (read.value > Math.max(0, ...started)) violations.push(`${key}: read ${read.value} before it was written`);
    }
    // Values only grow, so what was acknowledged or read before bounds every later read from below.
    const bounds = [...acknowledged, ...observed].map(({ endMs, value }) => ({ endMs, value }));
    violations.push(...staleReads(key, bounds, observed));
    const lastAcknowledged = Math.max(0, ...acknowledged.map((write) => write.value));
    const open = new Set(keyWrites.filter((write) => write.outcome === 'unknown').map((write) => write.value));
    for (const final of history.finals) {
      const value = final.registers.get(key) ?? 0;
      const isExplained = value === lastAcknowledged || (open.has(value) && value > lastAcknowledged);
      if (!isExplained)
        violations.push(`${key}: ends as ${value} on ${final.node}, acknowledged was ${lastAcknowledged}`);
    }
  }
  return violations;
}

interface Bound {
  readonly endMs: number;
  readonly value: number;
}

/** Reads that began after something greater had been acknowledged or read. */
function staleReads(
  key: string,
  bounds: readonly Bound[],
  reads: readonly { readonly startMs: number; readonly value: number; readonly node: string }[],
): string[] {
  const violations: string[] = [];
  const byEnd = [...bounds].sort((a, b) => a.endMs - b.endMs);
  let next = 0;
  let highest = 0;
  for (const read of [...reads].sort((a, b) => a.startMs - b.startMs)) {
    for (let bound = byEnd[next]; bound !== undefined && bound.endMs < read.startMs; bound = byEnd[next]) {
      highest = Math.max(highest, bound.value);
      next += 1;
    }
    if (read.value < highest)
      violations.push(`${key}: stale read of ${read.value} on ${read.node}, ${highest} was there before`);
  }
  return violations;
}

function checkCounters(history: History): string[] {
  const violations: string[] = [];
  for (const [key, increments] of byKey(ofKind(history, 'increment'), (increment) => increment.key)) {
    const acknowledged = increments.filter((increment) => increment.outcome === 'ok');
    const unknown = increments.filter((increment) => increment.outcome === 'unknown').length;
    const values = acknowledged.map((increment) => increment.value);
    if (new Set(values).size !== values.length) violations.push(`${key}: one value was answered to two increments`);
    violations.push(...outOfOrder(key, acknowledged));
    for (const final of history.finals) {
      const value = final.counters.get(key) ?? 0;
      if (value < acknowledged.length || value > acknowledged.length + unknown) {
        violations.push(
          `${key}: is ${value} on ${final.node}, with ${acknowledged.length} acknowledged and ${unknown} unknown`,
        );
      }
      if (value < Math.max(0, ...values))
        violations.push(`${key}: is ${value}, but ${Math.max(...values)} was answered`);
    }
  }
  return violations;
}

/** Values that are not greater than every value whose operation had ended before theirs began. */
function outOfOrder(
  key: string,
  operations: readonly { readonly startMs: number; readonly endMs: number; readonly value: number }[],
): string[] {
  const violations: string[] = [];
  const byEnd = [...operations].sort((a, b) => a.endMs - b.endMs);
  let next = 0;
  let highest = Number.NEGATIVE_INFINITY;
  for (const operation of [...operations].sort((a, b) => a.startMs - b.startMs)) {
    for (let ended = byEnd[next]; ended !== undefined && ended.endMs < operation.startMs; ended = byEnd[next]) {
      highest = Math.max(highest, ended.value);
      next += 1;
    }
    if (operation.value <= highest) violations.push(`${key}: ${operation.value} was given after ${highest}`);
  }
  return violations;
}

function checkClaims(history: History): string[] {
  const violations: string[] = [];
  for (const [key, claims] of byKey(ofKind(history, 'claim'), (claim) => claim.key)) {
    const winners = claims.filter((claim) => claim.outcome === 'ok' && claim.hasWon).map((claim) => claim.token);
    const losers = claims.filter((claim) => claim.outcome === 'ok' && !claim.hasWon).length;
    const open = claims.filter((claim) => claim.outcome === 'unknown').map((claim) => claim.token);
    if (winners.length > 1) violations.push(`${key}: won by ${winners.join(' and ')}`);
    for (const final of history.finals) {
      const holder = final.claims.get(key) ?? null;
      const [winner] = winners;
      if (winner !== undefined && holder !== winner)
        violations.push(`${key}: won by ${winner}, but ${final.node} holds ${holder ?? 'nothing'}`);
      if (winner === undefined && holder !== null && !open.includes(holder))
        violations.push(`${key}: held by ${holder}, who did not win`);
      if (winner === undefined && holder === null && losers > 0)
        violations.push(`${key}: refused to some, held by nobody`);
    }
  }
  return violations;
}

function checkPairs(history: History): string[] {
  const violations: string[] = [];
  const increments = ofKind(history, 'pair-increment');
  for (const { kind, outcome, values, node } of [...increments, ...ofKind(history, 'pair-read')]) {
    if (outcome === 'ok' && values[0] !== values[1])
      violations.push(`${kind} on ${node} saw ${values[0]} and ${values[1]}`);
  }
  const acknowledged = increments
    .filter((increment) => increment.outcome === 'ok')
    .map((increment) => increment.values[0]);
  const unknown = increments.filter((increment) => increment.outcome === 'unknown').length;
  if (new Set(acknowledged).size !== acknowledged.length) violations.push('one value was answered to two transactions');
  for (const { node, pair } of history.finals) {
    if (pair[0] !== pair[1]) violations.push(`the pair ends as ${pair[0]} and ${pair[1]} on ${node}`);
    if (pair[0] < acknowledged.length || pair[0] > acknowledged.length + unknown) {
      violations.push(
        `the pair is ${pair[0]} on ${node}, with ${acknowledged.length} acknowledged and ${unknown} unknown`,
      );
    }
  }
  return violations;
}

interface Holding {
  readonly owner: string;
  readonly token: number;
  readonly fromMs: number;
  readonly untilMs: number;
}

function checkLocks(history: History): string[] {
  const violations: string[] = [];
  const releases = byKey(ofKind(history, 'lock-release'), (release) => `${release.resource} ${release.owner}`);
  const extensions = byKey(ofKind(history, 'lock-extend'), (extension) => `${extension.resource} ${extension.owner}`);
  for (const [resource, acquires] of byKey(ofKind(history, 'lock-acquire'), (acquire) => acquire.resource)) {
    const holdings: Holding[] = [];
    const granted: { startMs: number; endMs: number; value: number }[] = [];
    for (const acquire of acquires) {
      if (acquire.outcome !== 'ok' || acquire.token === null) continue;
      granted.push({ startMs: acquire.startMs, endMs: acquire.endMs, value: acquire.token });
      const id = `${resource} ${acquire.owner}`;
      holdings.push(definiteHolding(acquire, extensions.get(id) ?? [], releases.get(id) ?? []));
      for (const extension of extensions.get(id) ?? []) {
        if (extension.token !== null && extension.token !== acquire.token) {
          violations.push(
            `${resource}: ${acquire.owner} acquired with ${acquire.token}, extended with ${extension.token}`,
          );
        }
      }
    }
    const tokens = granted.map((grant) => grant.value);
    if (new Set(tokens).size !== tokens.length) violations.push(`${resource}: two owners got one token`);
    violations.push(...outOfOrder(`${resource} token`, granted), ...overlaps(resource, holdings));
    for (const final of history.finals) {
      const highest = final.lockTokens.get(resource) ?? 0;
      if (highest < Math.max(0, ...tokens))
        violations.push(`${resource}: TOKEN is ${highest} on ${final.node}, ${Math.max(...tokens)} was granted`);
    }
  }
  return violations;
}

/** From the answer until the lease may have ended: counted from the call, which is never later than the grant. */
function definiteHolding(
  acquire: LockAcquire,
  extensions: readonly LockExtend[],
  releases: readonly LockRelease[],
): Holding {
  let untilMs = acquire.startMs + acquire.ttlMs;
  for (const extension of extensions) {
    if (extension.outcome === 'ok' && extension.token !== null)
      untilMs = Math.max(untilMs, extension.startMs + extension.ttlMs);
  }
  for (const release of releases) untilMs = Math.min(untilMs, release.startMs);
  return { owner: acquire.owner, token: acquire.token ?? 0, fromMs: acquire.endMs, untilMs: untilMs - LEASE_MARGIN_MS };
}

function overlaps(resource: string, holdings: readonly Holding[]): string[] {
  const violations: string[] = [];
  let previous: Holding | null = null;
  for (const holding of holdings
    .filter(({ fromMs, untilMs }) => fromMs < untilMs)
    .sort((a, b) => a.fromMs - b.fromMs)) {
    if (previous !== null && holding.fromMs < previous.untilMs) {
      const overlapMs = Math.round(previous.untilMs - holding.fromMs);
      violations.push(`${resource}: ${previous.owner} and ${holding.owner} held it together for ${overlapMs} ms`);
    }
    if (previous === null || holding.untilMs > previous.untilMs) previous = holding;
  }
  return violations;
}

function checkSequences(history: History): string[] {
  const violations: string[] = [];
  for (const [name, takes] of byKey(ofKind(history, 'sequence-take'), (take) => take.name)) {
    const answered = takes.filter((take) => take.outcome === 'ok');
    const distinct: { startMs: number; endMs: number; first: number; last: number }[] = [];
    for (const [id, sameId] of byKey(answered, (take) => take.id)) {
      const [original, ...replays] = sameId;
      if (original === undefined) continue;
      for (const replay of replays) {
        if (replay.first !== original.first || replay.last !== original.last) {
          violations.push(
            `${name}: ${id} was answered ${original.first}-${original.last} and then ${replay.first}-${replay.last}`,
          );
        }
      }
      // The first call of an id may have gone unanswered, so its range may be as old as that call.
      const startMs = Math.min(...takes.filter((take) => take.id === id).map((take) => take.startMs));
      distinct.push({ startMs, endMs: original.endMs, first: original.first, last: original.last });
    }
    let lastGiven = Number.NEGATIVE_INFINITY;
    for (const range of [...distinct].sort((a, b) => a.first - b.first)) {
      if (range.first <= lastGiven) violations.push(`${name}: ${range.first} was given twice`);
      lastGiven = Math.max(lastGiven, range.last);
    }
    violations.push(
      ...outOfOrder(
        name,
        distinct.map(({ startMs, endMs, first }) => ({ startMs, endMs, value: first })),
      ),
    );
  }
  return violations;
}

/** An error is excused only while its own node was at fault, or while no quorum lived. */
function checkSurvivors(history: History): string[] {
  return history.operations
    .filter((operation) => operation.outcome !== 'ok' && !history.faults.some((fault) => excuses(fault, operation)))
    .map((operation) => `${operation.kind} on ${operation.node}: ${operation.outcome}: ${operation.reason}`);
}

function excuses(fault: History['faults'][number], operation: Operation): boolean {
  const isDuring = operation.startMs <= fault.endMs && operation.endMs >= fault.startMs;
  return isDuring && (!fault.keepsQuorum || fault.nodes.includes(operation.node));
}

function checkAgreement(history: History): string[] {
  const [first, ...others] = history.finals;
  if (first === undefined) return ['no final state was read'];
  const text = JSON.stringify(plain(first));
  return others
    .filter((final) => JSON.stringify(plain(final)) !== text)
    .map((final) => `${final.node} differs from ${first.node} in the end`);
}

function plain(final: FinalState): unknown {
  const { registers, counters, claims, pair, lockTokens } = final;
  return [registers, counters, claims, lockTokens]
    .map((map) => [...map].sort(([a], [b]) => (a < b ? -1 : 1)))
    .concat([[['pair', pair[0]]]]);
}

/** All checks; prints nothing. */
export function violationsOf(
  history: History,
): { readonly check: string; readonly count: number; readonly shown: readonly string[] }[] {
  return CHECKS.map(({ name, run }) => {
    const found = run(history);
    return { check: name, count: found.length, shown: found.slice(0, SHOWN_MAX) };
  }).filter(({ count }) => count > 0);
}
