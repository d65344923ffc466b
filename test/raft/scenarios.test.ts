/**
 * Rules of the algorithm as text: each file in scenarios/ is a list of commands with what they said. A line that starts
 * with # is a comment; a block is one or more commands, `----`, and the output of all of them. REWRITE=1 writes the
 * present output into the files; read the diff before it is committed.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { ScenarioGroup } from './scenario-group.ts';
import { VERBS } from './scenario-verbs.ts';
import type { Words } from './scenario-verbs.ts';

const FOLDER = new URL('scenarios/', import.meta.url);

function wordsOf(line: string): { verb: string; words: Words } {
  const [verb = '', ...rest] = line.trim().split(/\s+/);
  const plain: string[] = [];
  const options = new Map<string, string>();
  for (const word of rest) {
    const at = word.indexOf('=');
    if (at > 0) options.set(word.slice(0, at), word.slice(at + 1));
    else plain.push(word);
  }
  return { verb, words: { plain, options } };
}

/** The file again, with the output that its commands have now. */
function play(text: string): string {
  const group = new ScenarioGroup();
  const blocks = text.trimEnd().split(/\n{2,}/);
  return `${blocks.map((block) => playBlock(group, block)).join('\n\n')}\n`;
}

function playBlock(group: ScenarioGroup, block: string): string {
  const lines = block.split('\n');
  const end = lines.indexOf('----');
  const head = end < 0 ? lines : lines.slice(0, end);
  const commands = head.filter((line) => line !== '' && !line.startsWith('#'));
  if (commands.length === 0) return head.join('\n');
  const said: string[] = [];
  for (const command of commands) {
    const { verb, words } = wordsOf(command);
    const row = VERBS[verb];
    assert.ok(row !== undefined, `unknown verb: ${verb}`);
    try {
      row.run(group, words);
      said.push(...group.takeLines());
    } catch (error) {
      said.push(...group.takeLines(), String(error));
    }
  }
  return [...head, '----', ...(said.length === 0 ? ['ok'] : said)].join('\n');
}

describe('raft scenarios', () => {
  for (const name of readdirSync(FOLDER).sort()) {
    it(name.replace(/\.txt$/, '').replaceAll('-', ' '), () => {
      const file = new URL(name, FOLDER);
      const text = readFileSync(file, 'utf8');
      const played = play(text);
      if (process.env['REWRITE'] === '1') writeFileSync(file, played);
      else assert.equal(played, text);
    });
  }
});
