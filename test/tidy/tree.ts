/** The project's own files, as the house rules look at them. */
import { readdirSync, readFileSync } from 'node:fs';

const root = new URL('../../', import.meta.url);
const SKIPPED = new Set(['node_modules', 'dist', 'data', 'coverage', 'out']);

export interface SourceFile {
  /** From the project's root, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** All files under a folder whose names end in one of the endings; build products and installed packages left out. */
export function filesUnder(folder: string, endings: readonly string[]): SourceFile[] {
  const files: SourceFile[] = [];
  for (const entry of readdirSync(new URL(`${folder}/`, root), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      if (!SKIPPED.has(entry.name)) files.push(...filesUnder(path, endings));
    } else if (endings.some((ending) => entry.name.endsWith(ending))) {
      files.push({ path, text: readProjectFile(path) });
    }
  }
  return files;
}

export function readProjectFile(path: string): string {
  return readFileSync(new URL(path, root), 'utf8');
}

export function foldersIn(folder: string): string[] {
  return readdirSync(new URL(`${folder}/`, root), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}

export function projectUrl(path: string): URL {
  return new URL(path, root);
}
