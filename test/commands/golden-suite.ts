/**
 * Declares one mocha test for each scenario of a golden file, run on a MemoryView. GOLDEN=rewrite puts Kahuna's replies
 * into the scenarios marked !kahuna; the others are Redis's word (see compat/oracle/golden.ts).
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { Client } from './client.ts';
import { type Target, linesOf, parseScenarios, preambleOf, replay } from './golden.ts';

/** Scenarios declared and run so far, by family: a row counts as untested only if all of them ran. */
export const scenarioCounts = new Map<string, { declared: number; run: number }>();

export function goldenSuite(family: string): void {
  const path = new URL(`golden/${family}.txt`, import.meta.url);
  const text = readFileSync(path, 'latin1');
  const scenarios = parseScenarios(text);
  const rewritten: string[] = [];
  const count = { declared: scenarios.length, run: 0 };
  scenarioCounts.set(family, count);
  const rewrites = process.env['GOLDEN'] === 'rewrite';

  for (const scenario of scenarios) {
    it(`${family}: ${scenario.title}`, async () => {
      count.run += 1;
      const lines = await replay(scenario, new ClientTarget());
      rewritten.push((scenario.isOwn ? lines : linesOf(scenario)).join('\n'));
      if (!rewrites || !scenario.isOwn) assert.equal(lines.join('\n'), linesOf(scenario).join('\n'));
    });
  }
  if (rewrites) after(() => writeFileSync(path, `${preambleOf(text)}${rewritten.join('\n').trimEnd()}\n`, 'latin1'));
}

class ClientTarget implements Target {
  #client = new Client();

  reset(): void {
    this.#client = new Client();
  }

  select(database: number): void {
    this.#client.database = database;
  }

  putOther(key: string): void {
    this.#client.putOther(key);
  }

  wait(ms: number): void {
    this.#client.view.advance(ms);
  }

  run(words: readonly string[]): string {
    return this.#client.run(...words);
  }
}
