/**
 * Proves that the diagram in docs/architecture.md shows the imports between rooms as they are. REWRITE=1 renews it.
 * Imports of base/, config/ and resp/ are left out: every room may have them, and they would hide the rest.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { ROOMS } from '../../rooms.cjs';
import { filesUnder, projectUrl, readProjectFile } from './tree.ts';

const PAGE = 'docs/architecture.md';
const BEGIN = '<!-- rooms: begin (generated: REWRITE=1 npx mocha test/tidy/diagram.test.ts) -->';
const END = '<!-- rooms: end -->';
const COMMON = new Set(['base', 'config', 'resp']);

/** `from --> to` for each pair of rooms with an import, type imports too, in the order of rooms.cjs. */
function roomEdges(): string[] {
  const rooms = Object.keys(ROOMS);
  const edges = new Set<string>();
  for (const { path, text } of filesUnder('src', ['.ts'])) {
    const [, from = ''] = path.split('/');
    for (const [, target = ''] of text.matchAll(/\bfrom '(\.[^']+)'/g)) {
      const [, to = ''] = new URL(target, `file:///${path}`).pathname.slice(1).split('/');
      if (to !== from && !COMMON.has(to) && !COMMON.has(from)) edges.add(`${from} --> ${to}`);
    }
  }
  const rank = (edge: string): number => {
    const [from = '', to = ''] = edge.split(' --> ');
    return rooms.indexOf(from) * 100 + rooms.indexOf(to);
  };
  return [...edges].sort((a, b) => rank(b) - rank(a));
}

function diagram(): string {
  return [BEGIN, '```mermaid', 'graph TD', ...roomEdges().map((edge) => `  ${edge}`), '```', END].join('\n');
}

describe('docs/architecture.md', () => {
  it('shows the imports between rooms', () => {
    const page = readProjectFile(PAGE);
    const begin = page.indexOf(BEGIN);
    const end = page.indexOf(END);
    assert.ok(begin !== -1 && end > begin, `${PAGE} has the marks\n${BEGIN}\n${END}`);
    if (process.env['REWRITE'] === '1') {
      writeFileSync(projectUrl(PAGE), page.slice(0, begin) + diagram() + page.slice(end + END.length));
      return;
    }
    assert.equal(page.slice(begin, end + END.length), diagram());
  });
});
