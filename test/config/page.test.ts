/** Proves that docs/configuration.md says what the settings table says. REWRITE=1 renews the page. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { configurationPage } from '../../src/config/describe.ts';

const page = new URL('../../docs/configuration.md', import.meta.url);

describe('docs/configuration.md', () => {
  it('is generated from the settings table', () => {
    if (process.env['REWRITE'] === '1') writeFileSync(page, configurationPage());
    assert.equal(readFileSync(page, 'utf8'), configurationPage());
  });
});
