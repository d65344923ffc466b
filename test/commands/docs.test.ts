/** The documentation page is what the rows say: it is rendered anew and compared. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dataCommands } from '../../src/commands/index.ts';
import { sessionCommands } from '../../src/server/families/all.ts';
import { renderCommandsPage } from './docs-page.ts';

const PAGE = new URL('../../docs/commands.md', import.meta.url);

describe('docs/commands.md', () => {
  it('is generated from the rows (DOCS=rewrite writes it)', () => {
    const own = sessionCommands.filter(({ group }) => group === 'kahuna');
    const page = renderCommandsPage([...dataCommands, ...own]);
    if (process.env['DOCS'] === 'rewrite') writeFileSync(PAGE, page);
    assert.equal(readFileSync(PAGE, 'utf8'), page);
  });
});
