/**
 * Power cuts on real processes and a real disk: npx tsx compat/powercut/run.ts [rounds] [seed]
 *
 * A writer (writer.ts) under a preloaded shim (shim.c) is killed with -9 at a random moment, or its n-th synced write fails.
 * Then the files are replaced by what a power failure could have left: every sector and every name that was not certainly on
 * the disk is old or new by chance. The next start must find the state of the last acknowledged flush or of the one that was
 * under way; and so on for several lives of the same directory. A failed write must end the writer with its exit code.
 *
 * Needs a C compiler (`cc`) and Linux; without them it says so and does nothing.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FATAL_EXIT_CODES } from '../../src/base/platform.ts';
import { SeededRandom } from '../../test/doubles/seeded-random.ts';

const SECTOR_BYTES = 512;
const LIVES = 4;
/** By which `npm run compat` knows that nothing was tested. */
const SKIPPED_CODE = 3;
const HERE = fileURLToPath(new URL('.', import.meta.url));

interface Life {
  /** States that the next start may find: the last acknowledged one, then the one under way. */
  readonly allowed: readonly string[];
  readonly acknowledged: number;
}

const evidence = {
  lives: 0,
  acknowledged: 0,
  tornSectors: 0,
  tornNames: 0,
  removed: 0,
  cut: 0,
  kept: 0,
  failedWrites: 0,
};

async function main(): Promise<void> {
  const rounds = Number(process.argv[2] ?? 10);
  const firstSeed = Number(process.argv[3] ?? 1);
  const work = realpathSync(mkdtempSync(join(tmpdir(), 'kahuna-powercut-')));
  const shim = join(work, 'shim.so');
  const built =
    process.platform === 'linux'
      ? spawnSync('cc', ['-shared', '-fPIC', '-O2', '-o', shim, join(HERE, 'shim.c'), '-ldl', '-lpthread'])
      : null;
  if (built === null || built.error !== undefined) {
    console.log(
      'SKIPPED: power cuts on real processes need Linux and a C compiler; there is no `cc` here. NOTHING WAS TESTED.',
    );
    rmSync(work, { recursive: true });
    process.exitCode = SKIPPED_CODE;
    return;
  }
  if (built.status !== 0) throw new Error(`the shim does not compile: ${built.stderr.toString()}`);
  for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
    try {
      await round(join(work, `round-${seed}`), shim, seed);
    } catch (error) {
      console.error(`FAILED with seed ${seed}; files are in ${work}; again: npx tsx compat/powercut/run.ts 1 ${seed}`);
      throw error;
    }
  }
  rmSync(work, { recursive: true });
  console.log(`power cuts: ${rounds} directories survived`, evidence);
  for (const [what, count] of Object.entries(evidence))
    if (count === 0 && rounds >= 10) throw new Error(`no evidence: ${what} is 0`);
}

async function round(root: string, shim: string, seed: number): Promise<void> {
  const random = new SeededRandom(seed);
  const data = join(root, 'data');
  const shadow = join(root, 'shadow');
  mkdirSync(data, { recursive: true });
  mkdirSync(shadow);
  let allowed: readonly string[] = ['0-0'];
  for (let life = 0; life < LIVES; life++) {
    const fails = random.chance(0.3);
    const child = spawn(
      process.execPath,
      ['--import=tsx', join(HERE, 'writer.ts'), join(data, 'log'), String(random.u32())],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: {
          ...process.env,
          LD_PRELOAD: shim,
          POWERCUT_ROOT: data,
          POWERCUT_SHADOW: shadow,
          POWERCUT_FAIL: fails ? String(3 + random.below(200)) : '0',
          UV_USE_IO_URING: '0',
        },
      },
    );
    const lived = await live(child, { allowed, fails, killAfterMs: random.below(250), dies: random.chance(0.15) });
    allowed = lived.allowed;
    evidence.lives++;
    evidence.acknowledged += lived.acknowledged;
    cutPower(join(data, 'log'), shadow, random);
  }
}

/** Follows a writer until its end. */
async function live(
  child: ChildProcess,
  plan: {
    readonly allowed: readonly string[];
    readonly fails: boolean;
    readonly killAfterMs: number;
    readonly dies: boolean;
  },
): Promise<Life> {
  let allowed = [...plan.allowed];
  let acknowledged = 0;
  const seen: { fatal: string | null; found: string | null } = { fatal: null, found: null };
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) =>
    child.once('exit', (code, signal) => resolve({ code, signal })),
  );
  if (child.stdout === null) throw new Error('the writer has no output');
  const lines = createInterface({ input: child.stdout });
  const closed = once(lines, 'close');
  // Some die while they still open the log.
  if (plan.dies) void delay(250 + plan.killAfterMs).then(() => child.kill('SIGKILL'));
  lines.on('line', (line) => {
    const [event, hash = ''] = line.split(' ');
    if (event === 'fatal') seen.fatal = line;
    if (event === 'open') {
      seen.found = hash;
      if (!plan.dies && !plan.fails) void delay(plan.killAfterMs).then(() => child.kill('SIGKILL'));
    }
    if (event === 'issue') allowed.push(hash);
    if (event === 'ack') {
      acknowledged++;
      allowed = [hash];
    }
    if (event === 'open') {
      const position = plan.allowed.indexOf(hash);
      if (plan.allowed.length > 1) evidence[position === 0 ? 'cut' : 'kept']++;
      allowed = [hash];
    }
  });
  const { code, signal } = await exited;
  const end = code === null ? String(signal) : `exit code ${code}`;
  await closed;
  const { fatal, found } = seen;
  if (found !== null && !plan.allowed.includes(found))
    throw new Error(`found ${found}, allowed were ${plan.allowed.join(', ')}`);
  if (fatal !== null && !plan.fails) throw new Error(`the writer ended itself: ${fatal}`);
  if (fatal !== null) {
    evidence.failedWrites++;
    // Whoever is to die may do so between its last words and its exit.
    const isOurs = plan.dies && signal === 'SIGKILL';
    if (code !== FATAL_EXIT_CODES.logWrite && !isOurs) throw new Error(`ended with ${end} after: ${fatal}`);
  }
  if (found === null && fatal === null && !plan.dies)
    throw new Error(`the writer ended with ${end} before it had opened its log`);
  return { allowed, acknowledged };
}

/** Makes of the directory what a power failure may have left, and of its shadow the same. */
function cutPower(directory: string, shadow: string, random: SeededRandom): void {
  if (!existsSync(directory)) return;
  const live = new Map<string, number>();
  for (const name of readdirSync(directory)) live.set(name, statSync(join(directory, name)).ino);
  const durable = durableNames(directory, shadow);
  const contents = new Map<string, Buffer>();
  for (const name of new Set([...live.keys(), ...durable.keys()])) {
    let inode = live.get(name);
    const durableInode = durable.get(name);
    if (inode !== durableInode) {
      evidence.tornNames++;
      if (random.chance(0.5)) inode = durableInode;
    }
    if (inode === undefined) continue;
    const isLive = live.get(name) === inode;
    contents.set(
      name,
      afterPowerCut(isLive ? readFileSync(join(directory, name)) : null, shadowOf(shadow, inode), random),
    );
  }
  for (const name of live.keys()) unlinkSync(join(directory, name));
  for (const file of readdirSync(shadow)) {
    if (file.startsWith('removed-')) evidence.removed++;
    unlinkSync(join(shadow, file));
  }
  let names = `D ${directory}\n`;
  for (const [name, content] of contents) {
    const path = join(directory, name);
    writeFileSync(path, content, { mode: 0o600 });
    writeFileSync(join(shadow, String(statSync(path).ino)), content);
    names += `N ${statSync(path).ino} ${name}\n`;
  }
  writeFileSync(join(shadow, 'names'), `${names}.\n`);
}

/** Names of the last sync of this directory. */
function durableNames(directory: string, shadow: string): Map<string, number> {
  const journal = existsSync(join(shadow, 'names')) ? readFileSync(join(shadow, 'names'), 'utf8') : '';
  let names = new Map<string, number>();
  let current = new Map<string, number>();
  let path = '';
  for (const line of journal.split('\n')) {
    const [kind, first = '', second = ''] = line.split(' ');
    if (kind === 'D') {
      path = first;
      current = new Map();
    }
    if (kind === 'N') current.set(second, Number(first));
    if (kind === '.' && path === directory) names = current;
  }
  return names;
}

function shadowOf(shadow: string, inode: number): Buffer {
  const path = join(shadow, String(inode));
  return existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
}

/** Each sector old or new; a file that is gone from the directory (null) comes back as it was last synced. */
function afterPowerCut(now: Buffer | null, durable: Buffer, random: SeededRandom): Buffer {
  if (now === null) return durable;
  const result = Buffer.alloc(
    now.length <= durable.length ? now.length : durable.length + random.below(now.length - durable.length + 1),
  );
  const odds = random.pick([0, 0.1, 0.5, 0.9, 1]);
  for (let at = 0; at < result.length; at += SECTOR_BYTES) {
    const fresh = now.subarray(at, at + SECTOR_BYTES);
    const old = Buffer.alloc(fresh.length);
    if (at < durable.length) durable.copy(old, 0, at, Math.min(at + SECTOR_BYTES, durable.length));
    const isTorn = !fresh.equals(old);
    if (isTorn) evidence.tornSectors++;
    (isTorn && !random.chance(odds) ? old : fresh).copy(result, at);
  }
  return result;
}

await main();
