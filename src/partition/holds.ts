/**
 * What a partition's log says about the moments that are held, evaluated by its leader; cluster/holds.ts tells who asks for it and
 * why nothing that is held is ever collected.
 */
import { assert } from '../base/assert.ts';
import { timestampFromMs } from '../base/hlc.ts';
import type { Timestamp } from '../base/ids.ts';
import type { Args } from '../commands/args.ts';
import { type DataCommand, defineCommand } from '../commands/define.ts';
import type { View } from '../commands/view.ts';
import { fail, stepMalformed } from '../resp/errors.ts';
import type { Reply } from '../resp/reply.ts';
import { parseInt64 } from '../values/integer.ts';
import { EvaluationView } from './evaluation-view.ts';
import { HistoryReads } from './history-reads.ts';

/** The list of holds as of `revision`: `floor` is the oldest moment that is held and can be kept, 0 if none is. */
export interface HeldFloor {
  readonly revision: Timestamp;
  readonly floor: Timestamp;
}

/**
 * Says in the log what is held, unless it says something newer already. Answers with the moment from which on all is kept in this
 * partition, by every replica: `floor`, or a later one, and that is what the log says. Arguments: revision, floor, retention in ms.
 */
export const holdRow: DataCommand = defineCommand({
  name: '%HOLD',
  group: 'kahuna',
  since: '0.2.0',
  summary: 'Holds moments of one partition; internal',
  complexity: 'O(1)',
  flags: ['write'],
  args: [],
  arity: 4,
  run: (view, args): Reply => {
    const { revision, floor } = { revision: numberOf(args), floor: numberOf(args) };
    const retentionMs = numberOf(args);
    const evaluation = evaluationOf(view);
    const from = keptFrom(evaluation, { floor, retentionMs });
    hold(evaluation, { revision, floor: floor === 0 ? 0 : from, retentionMs });
    return from;
  },
});

/** Answers with the oldest moment that can be read of every key here. */
export const floorRow: DataCommand = defineCommand({
  name: '%PASTFLOOR',
  group: 'kahuna',
  since: '0.2.0',
  summary: 'Oldest moment that is kept in one partition; internal',
  complexity: 'O(1)',
  flags: ['readonly', 'fast'],
  args: [],
  arity: 1,
  run: (view): Reply => view.past.floor,
});

/** Puts it into the log, as the last act of the evaluation. Returns up to when holds alone have kept nothing (`passed`). */
export function hold(
  view: EvaluationView,
  { revision, floor, retentionMs }: HeldFloor & { readonly retentionMs: number },
): Timestamp {
  const present = view.holds;
  if (revision <= present.revision) return present.passed;
  const isLetGo = present.floor !== 0 && (floor === 0 || floor > present.floor);
  const letGoUpTo = isLetGo ? (floor === 0 ? view.timestamp : floor) : 0;
  const passed = Math.max(present.passed, letGoUpTo, begins(view, retentionMs) ? view.timestamp : 0);
  view.hold({ floor, passed, revision });
  return passed;
}

/**
 * True if the partition's replicas keep history only from this entry on. It may be kept at the leader's node already, because
 * the log of another partition said so; other nodes may not have come that far. And it may not be kept there yet, although an
 * earlier entry says so: that one has not been applied, but every replica will have before this one.
 */
function begins(view: EvaluationView, retentionMs: number): boolean {
  return view.holds.floor === 0 && (retentionMs === 0 || !historyOf(view).isKept);
}

/**
 * From when on nothing has been collected by any replica: the leader's own floor; what a replica may have collected by the time
 * that the log tells; and, where only holds keep history, what was let go before. What is held already nobody has collected, nor will.
 */
function keptFrom(
  view: EvaluationView,
  { floor, retentionMs }: { readonly floor: Timestamp; readonly retentionMs: number },
): Timestamp {
  if (begins(view, retentionMs)) return Math.max(floor, view.timestamp);
  const collected = retentionMs === 0 ? view.holds.passed : timestampFromMs(Math.max(0, view.nowMs - retentionMs));
  const { floor: held } = view.holds;
  const kept = Math.max(historyOf(view).floor, collected);
  return Math.max(floor, held === 0 ? kept : Math.min(kept, held));
}

export function evaluationOf(view: View): EvaluationView {
  assert(view instanceof EvaluationView, 'holds are evaluated at the leader of a partition');
  return view;
}

function historyOf(view: EvaluationView): HistoryReads {
  assert(view.past instanceof HistoryReads, 'a leader reads the past from its own data');
  return view.past;
}

function numberOf(args: Args): number {
  const number = parseInt64(args.bytes());
  return typeof number === 'number' && number >= 0 ? number : fail(stepMalformed('a number is none'));
}
