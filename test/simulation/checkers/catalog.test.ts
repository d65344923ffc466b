/** Histories of the catalogue of scripts: right ones pass, planted violations are found. */
import { strict as assert } from 'node:assert';
import { checkCatalog, type ScriptChange, type ScriptLook } from './catalog.ts';
import type { OutcomeKind } from './history.ts';

const change =
  (kind: ScriptChange['kind']) =>
  (startMs: number, endMs: number, outcome: OutcomeKind = 'ok', wasApart = false): ScriptChange => ({
    client: 'c',
    startMs,
    endMs,
    kind,
    outcome,
    wasApart,
  });
const load = change('load');
const flush = change('flush');
const look = (startMs: number, isKnown: boolean, isOfCatalogue = false): ScriptLook => ({
  client: 'c',
  startMs,
  endMs: startMs + 1,
  isKnown,
  isOfCatalogue,
});

function check(changes: readonly ScriptChange[], looks: readonly ScriptLook[], mayMiss = false): string {
  return checkCatalog('s', { changes, looks, mayMiss }).join('\n');
}

describe('the checker of the catalogue', () => {
  it('accepts what is loaded, what is forgotten, and either while it changes', () => {
    assert.equal(check([load(5, 6), flush(20, 30)], [look(1, false), look(7, true), look(31, false)]), '');
    assert.equal(check([load(5, 6), flush(20, 30)], [look(21, true), look(22, false), look(23, true)]), '');
    assert.equal(check([load(5, 6), flush(7, 8, 'unknown')], [look(90, true), look(91, false)]), '');
    assert.equal(check([load(5, 6), flush(20, 30), load(25, 40)], [look(41, true), look(42, false)]), '');
  });

  it('finds a script that was loaded and is not known', () => {
    assert.match(check([load(5, 6)], [look(7, false)]), /not known .* after it was loaded/);
    assert.match(check([flush(1, 2), load(5, 6), flush(8, 9, 'failed')], [look(10, false)]), /not known/);
  });

  it('lets a leader that was cut off miss a loading, but not the catalogue', () => {
    assert.equal(check([load(5, 6)], [look(7, false)], true), '');
    assert.match(check([load(5, 6)], [look(7, false, true)], true), /not known/);
  });

  it('lets a node run what was forgotten while it lagged, if the forgetting had waited for it', () => {
    const changes = [load(5, 6), flush(7, 1_100)];
    assert.equal(check(changes, [look(1_101, true)], true), '');
    assert.match(check(changes, [look(1_101, true)]), /after it was forgotten/);
    assert.match(check(changes, [look(1_101, true, true)], true), /after it was forgotten/);
    assert.match(check([...changes, flush(1_200, 1_201)], [look(1_202, true)], true), /after it was forgotten/);
  });

  it('lets a node run what was forgotten while nobody had a connection to it', () => {
    const changes = [load(5, 6), flush(7, 8, 'ok', true)];
    assert.equal(check(changes, [look(9, true)], true), '');
    assert.match(check(changes, [look(9, true)]), /after it was forgotten/);
    assert.match(check(changes, [look(9, true, true)], true), /after it was forgotten/);
  });

  it('finds a script that is known though it was forgotten, or never loaded', () => {
    assert.match(check([load(5, 6), flush(7, 8)], [look(9, true)]), /after it was forgotten/);
    assert.match(check([], [look(9, true)]), /never loaded/);
    assert.match(check([load(5, 6, 'failed')], [look(9, true)]), /never loaded/);
  });
});
