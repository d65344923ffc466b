/** A failing run is made smaller: a planted bug, and a plan in which most strikes have nothing to do with it. */
import { strict as assert } from 'node:assert';
import { planOf } from './draw-profile.ts';
import { describeFailure } from './failure.ts';
import { aimed, counting } from './planted/bug.ts';
import { method } from './planted/patch.ts';
import { SegmentedLog } from '../../src/storage/log/segmented-log.ts';
import { runSeed } from './run.ts';
import { kindOf, shrink } from './shrink.ts';

const RUNS_MAX = 40;

describe('shrinking', function () {
  this.timeout(600_000);

  it('keeps the broken rule and drops strikes, workloads and clients', async () => {
    const run = aimed({ ...counting, faults: ['kill', 'slow', 'stallStore', 'transfer'], faultGapMs: 600 });
    const mend = method(SegmentedLog.prototype, 'stageHardState', () => () => undefined);
    try {
      const failed = await runSeed(1, run);
      assert.ok(failed.violations.length > 0);
      let runs = 0;
      const shrunk = await shrink(failed, { goesOn: () => runs++ < RUNS_MAX, run });
      const { report, changes } = shrunk;
      assert.equal(kindOf(report.violations[0] ?? ''), kindOf(failed.violations[0] ?? ''));
      assert.ok(report.plan.length < planOf(failed.profile).length, `${report.plan.length} strikes are left`);
      assert.ok(report.profile.workloads.length === 1 && report.profile.clientCount < failed.profile.clientCount);
      const again = await runSeed(1, { adjust: (drawn) => ({ ...(run.adjust?.(drawn) ?? drawn), ...changes }) });
      assert.equal(again.traceHash, report.traceHash, 'what is printed replays it');
      const told = describeFailure(failed, shrunk);
      for (const part of ['what struck', 'the last of each node', '-- n1', 'replay: npm run simulate', '--with']) {
        assert.ok(told.includes(part), part);
      }
    } finally {
      mend();
    }
  });
});
