/**
 * A seed for each state of the sources. CI shall try others than yesterday, and what it finds must be there again when the same
 * sources are tested again: so chance is drawn from the sources themselves, whatever keeps them.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Whatever decides how a run goes. */
const FOLDERS = ['src', 'test'];
const SUFFIX = '.ts';

/** Of the TypeScript files in `src` and `test` below `root`; at least 0, below `seedMax`. */
export function seedOfSources(root: string, seedMax: number): number {
  const hash = createHash('sha256');
  for (const folder of FOLDERS) {
    const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
    for (const name of names.filter((one) => one.endsWith(SUFFIX)).sort()) {
      const content = readFileSync(join(root, folder, name));
      hash.update(`${folder}/${name.replaceAll('\\', '/')} ${content.length}\n`).update(content);
    }
  }
  return Number(hash.digest().readBigUInt64BE() % BigInt(seedMax));
}
