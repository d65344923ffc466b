/**
 * What happened when: operations second by second, faults, leaders. The clock is the monotonic one of the test's process;
 * moments are milliseconds since the scenario began.
 */
import type { OutcomeKind } from '../../test/simulation/checkers/history.ts';

/** One second of a scenario. */
export interface Second {
  ok: number;
  failed: number;
  unknown: number;
  /** The longest operation that ended in it, ms. */
  slowestMs: number;
}

export interface FaultRecord {
  readonly name: string;
  /** Nodes whose own clients may see errors; empty if none may. */
  readonly nodes: readonly string[];
  /** A majority works on: clients of the other nodes must see no error. */
  readonly keepsQuorum: boolean;
  /** What was done, in words. */
  readonly plan: string;
  readonly startMs: number;
  /** When the fault itself was over; Infinity while it lasts. */
  healedMs: number;
  /** When all nodes served again. */
  endMs: number;
  /** What it did, in words; null if it did nothing. */
  effect: string | null;
}

export interface LeaderChange {
  readonly atMs: number;
  readonly node: string;
  readonly group: number;
  readonly term: number;
}

/** An operation that was not answered. */
export interface Trouble {
  readonly client: string;
  readonly node: string;
  readonly what: string;
  readonly outcome: 'failed' | 'unknown';
  readonly error: string;
  readonly startMs: number;
  readonly endMs: number;
}

/** One request, as it goes into `history.jsonl`. */
export interface Told {
  readonly client: string;
  readonly node: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly request: readonly (string | number)[];
  readonly outcome: OutcomeKind;
  readonly said: unknown;
  /** Neither an answer, nor a refusal that the client had asked for, nor an end that it had made. */
  readonly isTrouble: boolean;
}

/** A stretch in which this process itself did not run, and so perhaps the whole machine: clients could not have answered in time. */
export interface Stall {
  readonly startMs: number;
  readonly endMs: number;
}

export class Timeline {
  readonly #zeroMs = performance.now();
  readonly seconds: Second[] = [];
  readonly faults: FaultRecord[] = [];
  readonly leaderChanges: LeaderChange[] = [];
  readonly troubles: Trouble[] = [];
  readonly stalls: Stall[] = [];
  /** Every request, in the order of their ends: what a post-mortem reads. */
  readonly history: Told[] = [];
  /** Lines of level `error` in the logs of nodes, each with its node. */
  readonly errorLines: string[] = [];

  /** When clients were told to stop: silence afterwards is no fault's. */
  loadEndMs = Number.POSITIVE_INFINITY;

  nowMs(): number {
    return performance.now() - this.#zeroMs;
  }

  note(told: Told): void {
    const { outcome, startMs, endMs, isTrouble } = told;
    this.history.push(told);
    const second = this.#second(endMs);
    second[isTrouble ? outcome : 'ok'] += 1;
    second.slowestMs = Math.max(second.slowestMs, endMs - startMs);
  }

  count(outcome: OutcomeKind): number {
    return this.seconds.reduce((sum, second) => sum + second[outcome], 0);
  }

  #second(atMs: number): Second {
    const index = Math.floor(atMs / 1000);
    while (this.seconds.length <= index) this.seconds.push({ ok: 0, failed: 0, unknown: 0, slowestMs: 0 });
    return this.seconds[index] as Second;
  }
}

/**
 * Troubles that nothing explains: an error is excused only while the client's own node was at fault, while no majority
 * lived, or while nothing ran here. Everything else breaks the promise that clients of living nodes see latency and no errors.
 */
export function unexcused(
  troubles: readonly Trouble[],
  { faults, stalls }: { readonly faults: readonly FaultRecord[]; readonly stalls: readonly Stall[] },
): readonly Trouble[] {
  return troubles.filter(
    (trouble) =>
      !faults.some((fault) => excuses(fault, trouble)) &&
      !stalls.some(({ startMs, endMs }) => trouble.startMs <= endMs && trouble.endMs >= startMs),
  );
}

function excuses(fault: FaultRecord, trouble: Trouble): boolean {
  const isDuring = trouble.startMs <= fault.endMs && trouble.endMs >= fault.startMs;
  return isDuring && (!fault.keepsQuorum || fault.nodes.includes(trouble.node));
}
