import { readFileSync } from 'node:fs';

/** Version of Kahuna, from the package that this file belongs to. */
export function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const found = /"version":\s*"([^"]+)"/.exec(text);
  return found?.[1] ?? '0.0.0';
}
