/**
 * Scripts answer what a real Redis answers, byte for byte, in both protocols: golden/replies.json holds its replies
 * (record.ts writes it). DIFFERENT lists what is meant to differ, with the reason.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { ScriptHost } from '../../src/scripting/host.ts';
import { CASES, DATA, OTHER_KEY } from './cases.ts';
import { LIBRARY_CASES } from './library-cases.ts';
import { createTestHost, encode, ScriptClient } from './script-client.ts';

type Row = readonly [script: string, keys: string[], args: string[], resp2: string, resp3?: string];

const golden = JSON.parse(readFileSync(new URL('golden/replies.json', import.meta.url), 'utf8')) as Record<
  string,
  readonly Row[]
>;

const DIFFERENT: Readonly<Record<string, string>> = {
  'return 0x': "the engine's C library reads 0x as 0",
  'return select(2,load(function() error("reader") end))': "Redis's own error handler gets between load and its caller",
  'return select(2,load(function() return {} end))': 'the same',
  'return {pcall()}': 'Redis calls what it had put on the stack itself',
  "return tostring(collectgarbage('step'))": 'here a step is a whole collection',
};

describe('scripts answer as Redis does', () => {
  let host: ScriptHost;

  before(async () => {
    host = await createTestHost();
  });

  it('all cases are recorded, and no others', () => {
    const recorded = Object.entries(golden).map(([group, rows]) => [group, rows.map(([script]) => script)]);
    const wanted = Object.entries({ ...CASES, ...LIBRARY_CASES }).map(([group, cases]) => [
      group,
      [...new Set(cases.map(({ script, args = [], keys = [] }) => JSON.stringify([script, keys, args])))].map(
        (request) => (JSON.parse(request) as [string])[0],
      ),
    ]);
    assert.deepEqual(recorded, wanted);
  });

  for (const [group, rows] of Object.entries(golden)) {
    it(group, () => {
      const failures: string[] = [];
      for (const [script, keys, args, resp2, resp3] of rows) {
        if (script in DIFFERENT) continue;
        const client = new ScriptClient(host);
        for (const [name, value] of Object.entries(DATA)) client.view.put(0, name, value, 0);
        client.putOther(OTHER_KEY);
        const reply = client.eval(script, keys, args);
        for (const [protocol, expected] of [
          [2, resp2],
          [3, resp3 ?? resp2],
        ] as const) {
          const actual = encode(reply, protocol);
          if (actual !== expected)
            failures.push(
              `${JSON.stringify(script)} in RESP${protocol}\n  Redis:  ${JSON.stringify(expected)}\n  Kahuna: ${JSON.stringify(actual)}`,
            );
        }
      }
      assert.equal(failures.join('\n'), '');
    });
  }
});
