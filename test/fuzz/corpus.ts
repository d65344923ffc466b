/**
 * Inputs that are kept in the repository, one file each: `corpus/<target>/<first digits of its SHA-256>`. They are what
 * coverage found worth keeping, and every input that ever broke a rule.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('./corpus', import.meta.url));
const NAME_DIGITS = 12;

export function readCorpus(target: string): Buffer[] {
  const folder = `${ROOT}/${target}`;
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((name) => readFileSync(`${folder}/${name}`));
}

/** Returns the path. */
export function keep(target: string, input: Uint8Array): string {
  const folder = `${ROOT}/${target}`;
  mkdirSync(folder, { recursive: true });
  const path = `${folder}/${createHash('sha256').update(input).digest('hex').slice(0, NAME_DIGITS)}`;
  writeFileSync(path, input);
  return path;
}
