/**
 * A lock file: at most one live process holds it, and one that was killed holds it no longer.
 *
 * Node has no flock, so the file names its holder: machine boot, process id, start time of the process. A holder that is not
 * running any more (another boot, no such process, or a process with that id that started at another time) has lost it.
 *
 * - To acquire: write the own name to a private file and `link` it to the lock's name, which either creates the lock whole or fails.
 * - To take over from a dead holder: first acquire `<lock>.takeover` in that same manner, so that takeovers are one at a
 *   time; look again; then `rename` the private file over the lock. Without that, the slower of two could throw out the faster,
 *   having judged the file that was there before. A process that is killed during a takeover (some microseconds) leaves
 *   the takeover file, and a person must remove it: the message says so. That errs on the safe side.
 *
 * Not seen: a holder in another container that shares the volume, because process ids mean nothing across. The lock that
 * LevelDB keeps in its own directory (fcntl) holds there.
 */
import { randomBytes } from 'node:crypto';
import { link, open, readFile, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import process from 'node:process';
import { KahunaError } from '../base/errors.ts';

interface Holder {
  readonly host: string;
  /** Of the machine; empty where the system does not tell. */
  readonly bootId: string;
  readonly pid: number;
  /** In clock ticks since boot; empty where the system does not tell. */
  readonly startTime: string;
}

/** Rejects with KahunaError 'LOCKED' if another live process holds the lock, or this one does already. */
export async function lockFile(path: string): Promise<{ release(): Promise<void> }> {
  const content = JSON.stringify(await describe(process.pid));
  const mine = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  await writePrivate(mine, content);
  try {
    if (!(await maybeLink(mine, path))) await takeOver(path, mine);
  } finally {
    await rm(mine, { force: true });
  }
  return {
    release: async () => {
      if ((await maybeRead(path)) === content) await rm(path, { force: true });
    },
  };
}

async function takeOver(path: string, mine: string): Promise<void> {
  await mustBeDead(path);
  const takeover = `${path}.takeover`;
  if (!(await maybeLink(mine, takeover))) {
    throw new KahunaError('LOCKED', `another process is taking over ${path}; if none is, remove ${takeover}`);
  }
  try {
    // The holder may have changed between the look and the takeover: from here on nobody else changes it.
    await mustBeDead(path);
    await rename(mine, path);
  } finally {
    await rm(takeover, { force: true });
  }
}

async function mustBeDead(path: string): Promise<void> {
  const text = await maybeRead(path);
  const holder = text === null ? null : parse(text);
  if (holder === null || !(await isAlive(holder))) return;
  throw new KahunaError(
    'LOCKED',
    `${path} is held by process ${holder.pid} on ${holder.host}: is another node running here?`,
  );
}

async function isAlive(holder: Holder): Promise<boolean> {
  const now = await describe(holder.pid);
  if (holder.bootId !== now.bootId) return false;
  if (now.bootId !== '') return now.startTime !== '' && now.startTime === holder.startTime;
  try {
    process.kill(holder.pid, 0);
    return true;
  } catch (error) {
    // Not ours to signal, but running.
    return codeOf(error) === 'EPERM';
  }
}

/** What tells this process from every other one that ever had its id. */
async function describe(pid: number): Promise<Holder> {
  const bootId = (await maybeRead('/proc/sys/kernel/random/boot_id'))?.trim() ?? '';
  return { host: hostname(), bootId, pid, startTime: bootId === '' ? '' : await startTimeOf(pid) };
}

/** Field 22 of /proc/<pid>/stat (proc(5)); the name in field 2 may hold anything, so count from its closing bracket. */
async function startTimeOf(pid: number): Promise<string> {
  const stat = await maybeRead(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function parse(text: string): Holder | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return null;
    if (!('pid' in value && 'bootId' in value && 'startTime' in value && 'host' in value)) return null;
    const { pid, bootId, startTime, host } = value;
    if (typeof pid !== 'number' || typeof bootId !== 'string' || typeof startTime !== 'string') return null;
    return { pid, bootId, startTime, host: String(host) };
  } catch {
    // Not what this program writes, or cut by a power failure: nobody holds it.
    return null;
  }
}

async function writePrivate(path: string, content: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(content);
  } finally {
    await file.close();
  }
}

/** False if `to` is there already. */
async function maybeLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

async function maybeRead(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH') return null;
    throw error;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
