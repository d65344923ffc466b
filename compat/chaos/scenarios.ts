/** Which faults strike together. Each scenario runs on a cluster of its own. */
import type { ClockKind } from './fake-clocks.ts';

export interface Scenario {
  readonly name: string;
  readonly nodes: 3 | 5;
  /** Drawn in rounds: each once before one comes again, in an order of chance. */
  readonly faults: readonly string[];
  /** Least changes of leader, beyond the first election. */
  readonly leaderChangesMin: number;
  /** Nodes run under libfaketime. */
  readonly clocks?: ClockKind;
  /** One node has its data on a disk of some megabytes. */
  readonly hasSmallDisk?: boolean;
  /** Flags for every node, after those that chance draws. */
  readonly args?: readonly string[];
}

/** In the order of a run: those that find most come first. */
export const SCENARIOS: readonly Scenario[] = [
  { name: 'leader', nodes: 3, faults: ['kill-leader'], leaderChangesMin: 1 },
  {
    name: 'partitions',
    nodes: 5,
    faults: ['isolate-leader', 'isolate-minority', 'isolate-follower', 'cut-leader'],
    leaderChangesMin: 1,
  },
  { name: 'pause', nodes: 3, faults: ['pause-leader', 'pause-leader', 'pause-follower'], leaderChangesMin: 1 },
  {
    name: 'one-way',
    nodes: 5,
    faults: ['deaf-leader', 'mute-leader', 'bridge', 'ring', 'swizzle'],
    leaderChangesMin: 0,
  },
  { name: 'all-at-once', nodes: 3, faults: ['kill-all', 'kill-majority'], leaderChangesMin: 1 },
  { name: 'rolling', nodes: 3, faults: ['rolling-restart'], leaderChangesMin: 1 },
  {
    name: 'wipe',
    nodes: 3,
    faults: ['wipe-follower', 'wipe-leader'],
    leaderChangesMin: 1,
    args: ['--log-memory-size', '1mb', '--log-segment-size', '1mb'],
  },
  {
    name: 'clock-steps',
    nodes: 3,
    faults: ['step-clock-leader', 'kill-leader', 'step-clock-all'],
    leaderChangesMin: 0,
    clocks: 'steps',
  },
  { name: 'clock-rates', nodes: 3, faults: ['kill-leader', 'pause-leader'], leaderChangesMin: 1, clocks: 'rates' },
  {
    name: 'full-disk',
    nodes: 3,
    faults: ['full-disk'],
    leaderChangesMin: 0,
    hasSmallDisk: true,
    args: [
      ...['--log-memory-size', '1mb', '--log-segment-size', '1mb'],
      ...['--data-write-buffer-size', '1mb', '--checkpoint-interval', '1s'],
    ],
  },
  { name: 'links', nodes: 3, faults: ['slow-links', 'resets', 'narrow-links'], leaderChangesMin: 0 },
  { name: 'follower', nodes: 3, faults: ['kill-follower'], leaderChangesMin: 0 },
  {
    name: 'mixed',
    nodes: 5,
    faults: [
      ...['kill-leader', 'pause-leader', 'kill-minority', 'isolate-leader', 'rolling-restart', 'kill-follower'],
      ...['isolate-minority', 'kill-all', 'swizzle', 'pause-majority', 'resets', 'wipe-follower', 'bridge'],
    ],
    leaderChangesMin: 1,
  },
];

/** Rates of clocks under `rates`: up to this fraction too fast or too slow. Far beyond what crystals do. */
export const RATE_MAX = 0.005;
