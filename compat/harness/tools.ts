/**
 * Programs from outside that a test needs. What is missing is said loudly and the part that needs it is skipped: a
 * part that did not run never counts as passed.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export type ToolName =
  | 'redis-server'
  | 'redis-cli'
  | 'redis-benchmark'
  | 'etcd'
  | 'etcdctl'
  | 'python3-redis'
  | 'libfaketime';

const DEBIAN_PACKAGE: Readonly<Record<ToolName, string>> = {
  'redis-server': 'redis-server',
  'redis-cli': 'redis-tools',
  'redis-benchmark': 'redis-tools',
  etcd: 'etcd-server',
  etcdctl: 'etcd-client',
  'python3-redis': 'python3-redis',
  libfaketime: 'libfaketime',
};

/** The path of the program, or null. */
export function findTool(name: ToolName): string | null {
  if (name === 'python3-redis') return findPython();
  return name === 'libfaketime' ? findFakeTime() : findInPath(name);
}

/** As `findTool`, with one loud line if it is missing. */
export function findToolOrSay(name: ToolName, needed: string): string | null {
  const path = findTool(name);
  if (path === null) {
    console.log(`SKIPPED: ${needed}: ${name} not found (Debian: apt-get install ${DEBIAN_PACKAGE[name]})`);
  }
  return path;
}

function findInPath(name: string): string | null {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name);
    if (folder !== '' && isExecutable(path)) return path;
  }
  return null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The library for programs with threads; Debian puts it into the folder of the machine's architecture. */
function findFakeTime(): string | null {
  const folders = ['/usr/lib', '/usr/local/lib', ...subfoldersOf('/usr/lib')];
  const paths = folders.map((folder) => join(folder, 'faketime', 'libfaketimeMT.so.1'));
  return paths.find((path) => existsSync(path)) ?? null;
}

function subfoldersOf(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name));
}

/** The first Python that can import redis; Debian's package serves only /usr/bin/python3. */
function findPython(): string | null {
  const candidates = ['/usr/bin/python3', findInPath('python3')];
  for (const python of candidates) {
    if (python !== null && spawnSync(python, ['-c', 'import redis'], { stdio: 'ignore' }).status === 0) return python;
  }
  return null;
}
