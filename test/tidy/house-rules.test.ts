/** House rules that no compiler checks, so that they cannot rot: each test reads the tree and lists what breaks one. */
import assert from 'node:assert/strict';
import { ROOMS } from '../../rooms.cjs';
import { filesUnder, foldersIn, readProjectFile, type SourceFile } from './tree.ts';

const LINES_MAX = 800;

const source = filesUnder('src', ['.ts']);
const tests = filesUnder('test', ['.ts']);
const compat = filesUnder('compat', ['.ts', '.py']);
const pages = [...filesUnder('docs', ['.md']), { path: 'README.md', text: readOr('README.md') }];

function readOr(path: string): string {
  try {
    return readProjectFile(path);
  } catch {
    return '';
  }
}

/** `path:line text` of each line that matches. */
function linesThat(files: readonly SourceFile[], matches: RegExp): string[] {
  return files.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, i) => (matches.test(line) ? [`${path}:${i + 1} ${line.trim()}`] : [])),
  );
}

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

describe('house rules', () => {
  it('nothing is left to do in comments: an issue, or now', () => {
    // In two parts, so that this file does not break its own rule.
    const marks = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'HA' + 'CK', 'XX' + 'X'].join('|')})\\b`);
    assert.deepEqual(linesThat([...source, ...tests, ...compat, ...pages], marks), []);
  });

  it(`no source file has more than ${LINES_MAX} lines`, () => {
    const long = source.filter(({ text }) => text.split('\n').length > LINES_MAX + 1);
    assert.deepEqual(
      long.map(({ path }) => path),
      [],
    );
  });

  it('src has no default exports and no barrels', () => {
    assert.deepEqual(linesThat(source, /^export default\b/), []);
    assert.deepEqual(linesThat(source, /^export \* from\b/), []);
  });

  it('no import is made for its side effect alone', () => {
    assert.deepEqual(linesThat(source, /^import '/), []);
  });

  it('every folder of src is a room of rooms.cjs, and test mirrors them', () => {
    const rooms = Object.keys(ROOMS);
    assert.deepEqual(
      foldersIn('src').filter((name) => !rooms.includes(name)),
      [],
    );
    const others = ['compat', 'contracts', 'doubles', 'fuzz', 'scenarios', 'simulation', 'tidy', 'support'];
    assert.deepEqual(
      foldersIn('test').filter((name) => !rooms.includes(name) && !others.includes(name)),
      [],
    );
  });

  it('no test is skipped or runs alone', () => {
    assert.deepEqual(linesThat(tests, /\b(?:it|describe|context|specify)\.(?:only|skip)\(|^\s*x(?:it|describe)\(/), []);
  });

  it('no text names a path of a machine that it was written on', () => {
    assert.deepEqual(
      linesThat([...source, ...tests, ...compat, ...pages], /(?:^|[\s'"`(=])\/(?:work|home|root|Users)\//),
      [],
    );
  });

  it('the README holds the two commands of a fresh machine', () => {
    const readme = readOr('README.md');
    assert.ok(readme.includes('npm ci && npm start'), 'npm ci && npm start');
    assert.ok(readme.includes('npm ci && npm test'), 'npm ci && npm test');
  });

  it('packages are pinned to exact versions, in the lock file too', () => {
    const manifest = JSON.parse(readProjectFile('package.json')) as Manifest;
    const lock = JSON.parse(readProjectFile('package-lock.json')) as {
      readonly packages: Record<string, Partial<Manifest>>;
    };
    for (const kind of ['dependencies', 'devDependencies'] as const) {
      const loose = Object.entries(manifest[kind]).filter(([, version]) => !/^[0-9]+\.[0-9]+\.[0-9]+$/.test(version));
      assert.deepEqual(loose, []);
      assert.deepEqual(lock.packages['']?.[kind], manifest[kind], 'npm install renews package-lock.json');
    }
  });

  it('every script that .ci/run calls exists', () => {
    const { scripts } = JSON.parse(readProjectFile('package.json')) as Manifest;
    const called = [...readProjectFile('.ci/run').matchAll(/npm run ([a-z:]+)/g)].map(([, name]) => name ?? '');
    assert.ok(called.length >= 4);
    assert.deepEqual(
      called.filter((name) => scripts[name] === undefined),
      [],
    );
  });
});
