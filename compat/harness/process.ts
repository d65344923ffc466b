/**
 * Real processes under test. Each runs in a process group of its own, writes to a log file, and is killed with the
 * test, whatever way the test ends.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { waitFor } from './wait.ts';

export interface ProcessOptions {
  /** Short name for messages and for the log file. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Output is appended, so a restart continues the same file. */
  readonly logFile: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export function describeEnd({ code, signal }: ProcessEnd): string {
  return code === null ? `signal ${signal ?? 'unknown'}` : `code ${code}`;
}

/** Everything that runs now, for the clean-up at exit. */
const running = new Set<ServerProcess>();
const folders = new Set<string>();
let keepFolders = process.env['COMPAT_KEEP'] !== undefined;
let cleanUpInstalled = false;

export class ServerProcess {
  readonly name: string;
  readonly logFile: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<ProcessEnd>;
  #end: ProcessEnd | null = null;

  private constructor(options: ProcessOptions, child: ChildProcess) {
    this.name = options.name;
    this.logFile = options.logFile;
    this.#child = child;
    this.#ended = new Promise((resolve, reject) => {
      child.once('error', (error) => {
        running.delete(this);
        reject(new Error(`${options.command}: ${error.message}`));
      });
      child.once('exit', (code, signal) => {
        running.delete(this);
        this.#end = { code, signal };
        resolve(this.#end);
      });
    });
    this.#ended.catch(() => undefined); // reported to whoever awaits `ended`
  }

  static start(options: ProcessOptions): ServerProcess {
    installCleanUp();
    const log = openSync(options.logFile, 'a');
    const child = spawn(options.command, options.args, {
      detached: true,
      stdio: ['ignore', log, log],
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
    });
    closeSync(log);
    const started = new ServerProcess(options, child);
    running.add(started);
    return started;
  }

  /** 0 if the process could not be started. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#end === null && running.has(this);
  }

  /** How it ended; null while it runs. */
  get end(): ProcessEnd | null {
    return this.#end;
  }

  get ended(): Promise<ProcessEnd> {
    return this.#ended;
  }

  /** To the whole group; a process that is gone is no error. */
  signal(signal: NodeJS.Signals): void {
    if (this.pid === 0 || !this.isRunning) return;
    try {
      process.kill(-this.pid, signal);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  }

  /** kill -9; resolves when the process is gone. */
  async kill(): Promise<ProcessEnd> {
    this.signal('SIGKILL');
    return this.#ended;
  }

  /** SIGTERM, and kill -9 if it is not gone after `timeoutMs`; `wasForced` tells. */
  async terminate(timeoutMs = 15_000): Promise<ProcessEnd & { readonly wasForced: boolean }> {
    this.signal('SIGTERM');
    let wasForced = false;
    const timer = setTimeout(() => {
      wasForced = true;
      this.signal('SIGKILL');
    }, timeoutMs);
    const end = await this.#ended;
    clearTimeout(timer);
    return { ...end, wasForced };
  }

  /** SIGSTOP; resolves when the kernel reports it stopped. */
  async freeze(): Promise<void> {
    this.signal('SIGSTOP');
    await waitFor({ what: `${this.name} to stop`, timeoutMs: 5_000, everyMs: 1 }, () => this.#state() === 'T');
  }

  thaw(): void {
    this.signal('SIGCONT');
  }

  /** Resident memory in bytes now, and the highest so far. */
  memory(): { readonly resident: number; readonly peak: number } {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    const kilobytes = (field: string): number =>
      Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
    return { resident: kilobytes('VmRSS') * 1024, peak: kilobytes('VmHWM') * 1024 };
  }

  /** The last lines of its log. */
  logTail(lines = 15): string {
    if (!existsSync(this.logFile)) return '(no log)';
    return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  }

  #state(): string {
    const stat = readFileSync(`/proc/${this.pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
  }
}

/** A folder that disappears with the test, unless the test asks to keep it. On disk, not in memory: it is fsynced. */
export function temporaryFolder(name: string): string {
  installCleanUp();
  const parent = process.env['COMPAT_DIR'] ?? tmpdir();
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(parent, `kahuna-${name}-`));
  folders.add(folder);
  return folder;
}

export function removeFolder(folder: string): void {
  if (keepFolders) return;
  folders.delete(folder);
  rmSync(folder, { recursive: true, force: true });
}

/** Logs and data stay for the post-mortem; their places are printed at the end. */
export function keepEvidence(): void {
  keepFolders = true;
}

export function folderSize(folder: string): number {
  const result = spawnSync('du', ['-sb', folder], { encoding: 'utf8' });
  return Number(result.stdout.split('\t')[0] ?? 0);
}

export function fileSize(path: string): number {
  return statSync(path).size;
}

function installCleanUp(): void {
  if (cleanUpInstalled) return;
  cleanUpInstalled = true;
  process.on('exit', () => {
    for (const server of running) server.signal('SIGKILL');
    for (const folder of folders) {
      if (keepFolders) console.log(`kept: ${folder}`);
      else rmSync(folder, { recursive: true, force: true });
    }
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(130));
  }
}
