/** What must be reached, as data: which two measurements make a ratio, its floor and its aim. */
import type { Load } from './load.ts';

export type Contestant = 'redis' | 'kahuna-1' | 'kahuna-3 leader' | 'kahuna-3 follower';

export interface Measurement {
  readonly contestant: Contestant;
  readonly load: Load;
}

export interface RatioGoal {
  readonly what: string;
  readonly of: Measurement;
  readonly against: Measurement | 'etcd';
  readonly floor: number;
  readonly aim: number;
}

export interface LimitGoal {
  readonly what: string;
  readonly unit: 's' | 'MB';
  /** Highest value allowed. */
  readonly floor: number;
  readonly aim: number;
}

export function idOf({ contestant, load }: Measurement): string {
  return `${contestant} ${loadId(load)}`;
}

export function loadId(load: Load): string {
  return `${load.operation} c${load.clients} P${load.pipeline}`;
}

const load = (operation: Load['operation'], clients: number, pipeline: number): Load => ({
  operation,
  clients,
  pipeline,
});
const at = (contestant: Contestant, of: Load): Measurement => ({ contestant, load: of });

const SET1 = load('SET', 50, 1);
const SET16 = load('SET', 50, 16);
const GET1 = load('GET', 50, 1);
const GET16 = load('GET', 50, 16);
const WIDE_SET = load('SET', 200, 16);
const CAD1 = load('EVALSHA', 50, 1);
const CAD16 = load('EVALSHA', 50, 16);

export const RATIO_GOALS: readonly RatioGoal[] = [
  {
    what: '1 node SET c50 P1 / Redis always',
    of: at('kahuna-1', SET1),
    against: at('redis', SET1),
    floor: 0.5,
    aim: 0.8,
  },
  {
    what: '1 node SET c50 P16 / Redis always',
    of: at('kahuna-1', SET16),
    against: at('redis', SET16),
    floor: 0.3,
    aim: 0.5,
  },
  { what: '1 node GET c50 P1 / Redis', of: at('kahuna-1', GET1), against: at('redis', GET1), floor: 0.5, aim: 0.6 },
  { what: '1 node GET c50 P16 / Redis', of: at('kahuna-1', GET16), against: at('redis', GET16), floor: 0.35, aim: 0.5 },
  {
    what: '3 nodes SET c50 P1 / Redis always',
    of: at('kahuna-3 leader', SET1),
    against: at('redis', SET1),
    floor: 0.2,
    aim: 0.3,
  },
  { what: '3 nodes SET c50 P1 / etcd check perf', of: at('kahuna-3 leader', SET1), against: 'etcd', floor: 4, aim: 8 },
  {
    what: '3 nodes SET c200 P16 / Redis always',
    of: at('kahuna-3 leader', WIDE_SET),
    against: at('redis', WIDE_SET),
    floor: 0.12,
    aim: 0.2,
  },
  {
    what: '3 nodes GET c50 P1 / Redis',
    of: at('kahuna-3 leader', GET1),
    against: at('redis', GET1),
    floor: 0.3,
    aim: 0.45,
  },
  {
    what: '3 nodes SET c50 P1 follower / leader',
    of: at('kahuna-3 follower', SET1),
    against: at('kahuna-3 leader', SET1),
    floor: 0.6,
    aim: 0.8,
  },
  {
    what: '1 node EVALSHA c50 P1 / own SET',
    of: at('kahuna-1', CAD1),
    against: at('kahuna-1', SET1),
    floor: 0.6,
    aim: 0.9,
  },
  {
    what: '1 node EVALSHA c50 P16 / own SET',
    of: at('kahuna-1', CAD16),
    against: at('kahuna-1', SET16),
    floor: 0.3,
    aim: 0.5,
  },
];

export const FAILOVER_GOAL: LimitGoal = {
  what: '3 nodes, leader killed, without service (median)',
  unit: 's',
  floor: 1.5,
  aim: 1,
};
export const RESTART_GOAL: LimitGoal = {
  what: 'restart with 1,000,000 keys of 100 bytes',
  unit: 's',
  floor: 5,
  aim: 2,
};
export const MEMORY_GOAL: LimitGoal = {
  what: 'resident, 1,000,000 keys of 100 bytes, maxmemory 256mb',
  unit: 'MB',
  floor: 600,
  aim: 450,
};

/** Every load that the full run measures, on every contestant. */
export const ALL_LOADS: readonly Load[] = (['SET', 'GET', 'INCR'] as const).flatMap((operation) =>
  [50, 200].flatMap((clients) => [1, 16].map((pipeline) => load(operation, clients, pipeline))),
);

export const CONTESTANTS: readonly Contestant[] = ['redis', 'kahuna-1', 'kahuna-3 leader', 'kahuna-3 follower'];

/** The measurements that the goals need, without doubles. */
export function measurementsOf(goals: readonly RatioGoal[]): Measurement[] {
  const byId = new Map<string, Measurement>();
  for (const goal of goals) {
    for (const measurement of [goal.of, goal.against]) {
      if (measurement !== 'etcd') byId.set(idOf(measurement), measurement);
    }
  }
  return [...byId.values()];
}
