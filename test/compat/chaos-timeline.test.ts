/** What the chaos run makes of what happened: which errors are excused, and how it is drawn. */
import { strict as assert } from 'node:assert';

import { htmlReport } from '../../compat/chaos/html-report.ts';
import type { RunResult } from '../../compat/chaos/scenario-run.ts';
import { SCENARIOS } from '../../compat/chaos/scenarios.ts';
import { chart, summaryLine } from '../../compat/chaos/text-report.ts';
import { differencesOf } from '../../compat/chaos/replica-content.ts';
import { encodeRecordKey } from '../../src/storage/data/keys.ts';
import { faultNamed } from '../../compat/chaos/faults/index.ts';
import { type FaultRecord, Timeline, type Told, type Trouble, unexcused } from '../../compat/chaos/timeline.ts';

const fault = (change: Partial<FaultRecord>): FaultRecord => ({
  name: 'kill-leader',
  nodes: ['n1'],
  keepsQuorum: true,
  plan: 'kill -9 n1',
  startMs: 1_000,
  healedMs: 2_000,
  endMs: 2_500,
  effect: '1 of 1 killed',
  ...change,
});

const trouble = (change: Partial<Trouble>): Trouble => ({
  client: 'counter1.1',
  node: 'n1',
  what: 'INCR count:a',
  outcome: 'unknown',
  error: 'connection closed',
  startMs: 1_100,
  endMs: 1_200,
  ...change,
});

describe('errors of clients in a chaos run', () => {
  it('are excused while their own node is at fault', () => {
    assert.deepEqual(unexcused([trouble({})], { faults: [fault({})], stalls: [] }), []);
  });

  it('are excused if they began before the fault was over', () => {
    assert.deepEqual(unexcused([trouble({ startMs: 2_400, endMs: 9_000 })], { faults: [fault({})], stalls: [] }), []);
  });

  it('are not excused by a fault of another node while a majority lives', () => {
    const other = trouble({ node: 'n2' });
    assert.deepEqual(unexcused([other], { faults: [fault({})], stalls: [] }), [other]);
  });

  it('are excused everywhere while no majority lives', () => {
    assert.deepEqual(unexcused([trouble({ node: 'n2' })], { faults: [fault({ keepsQuorum: false })], stalls: [] }), []);
  });

  it('are not excused after all is well again', () => {
    const late = trouble({ startMs: 2_600, endMs: 2_700 });
    assert.deepEqual(unexcused([late], { faults: [fault({})], stalls: [] }), [late]);
  });

  it('are excused while nothing ran here, and not before or after', () => {
    const stalls = [{ startMs: 8_000, endMs: 9_500 }];
    const at = (startMs: number, endMs: number): Trouble => trouble({ startMs, endMs });
    const [before, during, after] = [at(7_000, 7_999), at(7_500, 9_000), at(9_501, 9_600)];
    assert.deepEqual(unexcused([before, during, after], { faults: [], stalls }), [before, after]);
  });
});

describe('the records of two replicas', () => {
  const hex = (key: string): string => Buffer.from(encodeRecordKey(7, 0, key)).toString('hex');

  it('are the same if every record is', () => {
    assert.deepEqual(differencesOf('n1 and n2', new Map([[hex('a'), '01']]), new Map([[hex('a'), '01']])), []);
  });

  it('differ by a value, and by a record that one of them lacks', () => {
    const one = new Map([
      [hex('a'), '01'],
      [hex('b'), '02'],
    ]);
    const other = new Map([
      [hex('a'), '03'],
      [hex('c'), '04'],
    ]);
    const [text] = differencesOf('n1 and n2', one, other);
    assert.match(text ?? '', /^n1 and n2 differ in 3 of 2 records:/);
    assert.match(text ?? '', /slot 7 database 0 "a": 01 \| 03/);
    assert.match(text ?? '', /"b": 02 \| absent/);
    assert.match(text ?? '', /"c": absent \| 04/);
  });
});

describe('the scenarios of a chaos run', () => {
  it('name faults that exist', () => {
    for (const scenario of SCENARIOS) for (const name of scenario.faults) assert.equal(faultNamed(name).name, name);
  });
});

describe('the report of a chaos run', () => {
  it('draws a column a second, and who led', () => {
    const drawn = chart(resultOf()).split('\n');
    assert.match(drawn.find((line) => line.includes('ok/s')) ?? '', /ok\/s +█ ▂ {2}█ = 4/);
    assert.match(drawn.find((line) => line.startsWith('  n1')) ?? '', /^ {2}n1 +Lx·/);
    assert.match(drawn.find((line) => line.startsWith('  n2')) ?? '', /^ {2}n2 +·LL/);
    assert.match(drawn.find((line) => line.includes('unknown/s')) ?? '', /unknown\/s +·1·/);
  });

  it('says in one line what was done', () => {
    assert.match(
      summaryLine(resultOf()),
      /^PASSED +leader .* 5 ok, 0 failed, 1 unknown; 1 faults; 1 leader changes; .* seed 7$/,
    );
  });

  it('is one page that loads nothing, and shows text as text', () => {
    const page = htmlReport([{ ...resultOf(), verdict: 'failed', violations: ['<script>alert(1)</script>'] }], 7);
    assert.doesNotMatch(page, /<script|https?:|src=|@import/);
    assert.match(page, /&lt;script&gt;alert/);
    assert.equal(page.match(/<svg/g)?.length, 1);
  });
});

function resultOf(): RunResult {
  const timeline = new Timeline();
  const told = (endMs: number, outcome: Told['outcome']): Told => ({
    client: 'counter0.1',
    node: 'n1',
    startMs: endMs - 10,
    endMs,
    request: ['INCR', 'count:a'],
    outcome,
    said: 1,
    isTrouble: outcome !== 'ok',
  });
  for (const endMs of [100, 200, 300, 400]) timeline.note(told(endMs, 'ok'));
  timeline.note(told(1_500, 'unknown'));
  timeline.note(told(2_500, 'ok'));
  timeline.faults.push(fault({ startMs: 1_000, healedMs: 1_999, endMs: 2_400 }));
  timeline.leaderChanges.push(
    { atMs: 0, node: 'n1', group: 1, term: 1 },
    { atMs: 1_200, node: 'n2', group: 1, term: 2 },
  );
  const [scenario] = SCENARIOS;
  assert.ok(scenario !== undefined);
  return {
    scenario,
    seed: 7,
    partitions: 1,
    verdict: 'passed',
    nodeNames: ['n1', 'n2', 'n3'],
    args: [],
    timeline,
    violations: [],
    missing: [],
    marks: new Map(),
    okByWorkload: new Map(),
    folder: null,
    longestSilenceMs: 2_100,
    tookMs: 3_000,
  };
}
