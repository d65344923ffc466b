/**
 * A long run leaves nothing behind. After minutes of work under faults, when everything was answered and nobody asks for
 * anything, the live objects of each kind are counted in the heap of the whole cluster: what belongs to a request, a
 * connection, a leadership or a process that has ended must be gone.
 */
import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Residue } from './residue.ts';

const PROGRAM = fileURLToPath(new URL('residue.ts', import.meta.url));

describe('a long simulated run', function () {
  this.timeout(600_000);

  it('leaves nothing behind of what has ended', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', PROGRAM]);
    const seen = JSON.parse(stdout) as Residue;
    assert.deepEqual(seen.violations, []);
    assert.ok(seen.leaderships > seen.groups * 2, 'leaders change');
    assert.ok(seen.ok > 1_000);
    assert.deepEqual(seen.left, []);
  });
});
