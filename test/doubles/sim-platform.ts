/**
 * One simulated machine: what outlives its processes (disk, ordered store, clocks), and the platform that a process on it
 * gets. The real node runs on it unchanged.
 *
 * Everything that reaches a process goes through `enter` of its boot: nothing of a dead boot runs, what comes to a paused
 * one waits until it goes on (its timers then fire late, all at once, as after SIGSTOP), and what a process throws ends it
 * and is reported. The process's ways out (disk, store, network) are closed in the same way when it dies, so that code
 * which still runs in the turn of its death changes nothing.
 *
 * Each machine has clocks of its own: the monotonic one runs a little fast or slow and starts anywhere; the wall clock
 * is kept by others, is off by a constant, and may step.
 */
import { crc32 } from '../../src/base/checksum.ts';
import type {
  Clock,
  Connection,
  ConnectionHandler,
  Disk,
  FatalReason,
  Listener,
  Network,
  Platform,
  ProcessControl,
  TimerHandle,
  Timers,
  WritableFile,
} from '../../src/base/platform.ts';
import type { KeyValueStore } from '../../src/storage/data/key-value-store.ts';
import { type CrashMode, MemoryDisk } from './memory-disk.ts';
import type { MemoryNetwork } from './memory-network.ts';
import { ProcessEnded } from './memory-process.ts';
import { type CrashKind, MemoryDevice } from './memory-store.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimScheduler } from './sim-scheduler.ts';

export interface SimMachineOptions {
  readonly name: string;
  readonly scheduler: SimScheduler;
  readonly network: MemoryNetwork;
  readonly random: SeededRandom;
  /** Where the node keeps its ordered store: `openStore` of this directory opens the machine's. */
  readonly storeDirectory: string;
  readonly diskMs: () => number;
  readonly storeMs: () => number;
  /** From the first call of `endOfTurn` in a turn to the end of that turn. */
  readonly turnMs: () => number;
  /** Monotonic ms a simulated ms; 1 = exact. */
  readonly clockRate: number;
  /** What the wall clock is off at the beginning, ms. */
  readonly wallOffsetMs: number;
  /** A planted fault: writes report before they are durable. */
  readonly isDiskLying?: boolean;
  /** A planted fault: the files of the ordered store are not synced when that is asked for. */
  readonly isStoreLying?: boolean;
  /** A planted fault: the monotonic clock is the wall clock. */
  readonly hasOnlyWallClock?: boolean;
  /** A planted fault: every start of the machine has the same id. */
  readonly hasOneBootId?: boolean;
  /** A planted fault: every process draws the same numbers. */
  readonly hasOneBootRandom?: boolean;
  readonly onEvent: (machine: SimMachine, kind: number, payload: number) => void;
  /** A whole file was written on this machine, durably. */
  readonly onFile?: (machine: SimMachine, path: string) => void;
  /** What runs from now on is this machine's process, until `onLeave`; what its promises do comes after that. */
  readonly onEnter?: (machine: SimMachine) => void;
  readonly onLeave?: () => void;
  /** After each thing that the process did. */
  readonly onStep: (machine: SimMachine) => void;
  readonly onEnded: (machine: SimMachine, end: ProcessEnded) => void;
  readonly onThrown: (machine: SimMachine, error: unknown) => void;
}

/** Kinds of events in the trace. */
export const SIM_EVENTS = { received: 1, written: 2, stored: 3, boot: 4, death: 5, client: 6 } as const;

const WALL_START_MS = 1_700_000_000_000;
/** A write that the disk claims to have done is done this much later, ms. */
const LIE_MS = 40;

export class SimMachine {
  readonly name: string;
  readonly options: SimMachineOptions;
  disk: MemoryDisk;
  device: MemoryDevice;
  /** The running process, if there is one. */
  boot: SimBoot | null = null;
  bootCount = 0;
  /** Kernel starts: what a power failure changes. */
  #kernel = 1;
  wallOffsetMs: number;
  /** The monotonic clock showed `#monotonicMs` at `#rateSinceMs`, and has run at `#rate` since. */
  #monotonicMs: number;
  #rateSinceMs = 0;
  #rate: number;
  /** Disks that this machine has had. */
  #diskCount = 0;
  /** Operations of disk and store that still complete before `#onReached` is called instead. */
  #operationsLeft = 0;
  #onReached: (() => void) | null = null;

  constructor(options: SimMachineOptions) {
    this.options = options;
    this.name = options.name;
    this.wallOffsetMs = options.wallOffsetMs;
    this.#monotonicMs = options.random.below(1_000_000_000);
    this.#rate = options.clockRate;
    this.disk = this.#newDisk();
    this.device = this.#newDevice();
  }

  #newDisk(): MemoryDisk {
    const { options } = this;
    return new MemoryDisk({
      random: options.random.fork(`disk ${this.#diskCount}`),
      schedule: (complete, { kind, path }) => {
        const delay = kind === 'writeAndSync' ? options.diskMs() : 0;
        const isFile = kind === 'writeFileAtomically' && options.onFile !== undefined;
        this.#schedule(delay, SIM_EVENTS.written, complete, isFile ? path : null);
      },
    });
  }

  #newDevice(): MemoryDevice {
    const { options } = this;
    return new MemoryDevice({
      random: options.random.fork(`store ${this.#diskCount}`),
      schedule: (callback) => {
        this.#schedule(options.storeMs(), SIM_EVENTS.stored, callback, null);
      },
      rotationBytes: 8 * 1024,
    });
  }

  /** New, empty disks take the place of the old ones. No process runs. */
  wipe(): void {
    if (this.boot !== null) throw new Error(`${this.name} runs`);
    this.#diskCount++;
    this.disk = this.#newDisk();
    this.device = this.#newDevice();
  }

  /** Calls back when this process's n-th operation of disk or store from now (0: the next) would complete, instead of that; null: never. */
  atOperation(n: number, reached: (() => void) | null): void {
    this.#operationsLeft = n;
    this.#onReached = reached;
  }

  /** It has lost a disk in its life, and what it had acknowledged with it. */
  get hasBeenWiped(): boolean {
    return this.#diskCount > 0;
  }

  /** Starts a process; the one before is dead. */
  start(): SimBoot {
    if (this.boot !== null) throw new Error(`${this.name} runs already`);
    this.bootCount++;
    const kernel = this.options.hasOneBootId === true ? 0 : this.#kernel;
    this.boot = new SimBoot(this, `kernel-${this.name}-${kernel}`);
    this.options.onEvent(this, SIM_EVENTS.boot, this.bootCount);
    return this.boot;
  }

  /** kill -9: the page cache lives on. */
  kill(): void {
    this.#end();
    this.options.network.resetHost(this.name);
    this.disk.kill();
    this.device.crash('process');
  }

  /** The power fails: of what was not synced, as much is lost as the doubles draw. Peers hear nothing. */
  powerOff(
    mode?: CrashMode,
    kind: CrashKind = this.options.random.pick(['machine', 'machine-rotation']),
  ): ReturnType<MemoryDevice['crash']> {
    this.#end();
    this.options.network.resetHost(this.name, true);
    this.disk.crash(mode);
    this.#kernel++;
    return this.device.crash(kind);
  }

  #end(): void {
    this.boot?.die();
    this.boot = null;
    this.#onReached = null;
    this.options.onEvent(this, SIM_EVENTS.death, this.bootCount);
  }

  monotonicMs(): number {
    if (this.options.hasOnlyWallClock === true) return this.wallMs();
    return this.#monotonicMs + (this.options.scheduler.nowMs - this.#rateSinceMs) * this.#rate;
  }

  /** From now on the monotonic clock runs so fast. Timers under way keep their time. */
  setClockRate(rate: number): void {
    this.#monotonicMs += (this.options.scheduler.nowMs - this.#rateSinceMs) * this.#rate;
    this.#rateSinceMs = this.options.scheduler.nowMs;
    this.#rate = rate;
  }

  get clockRate(): number {
    return this.#rate;
  }

  wallMs(): number {
    return Math.floor(WALL_START_MS + this.options.scheduler.nowMs + this.wallOffsetMs);
  }

  /** Whatever a process of this machine asked for is done for that process only. `path`: a file that is being written. */
  #schedule(delayMs: number, kind: number, complete: () => void, path: string | null): void {
    const { boot } = this;
    this.options.scheduler.after(delayMs, () => {
      this.options.onEvent(this, kind, 0);
      if (this.#onReached !== null && boot?.isAlive === true && this.#operationsLeft-- <= 0) {
        const reached = this.#onReached;
        this.#onReached = null;
        reached();
        return;
      }
      boot?.enter(complete);
      if (path !== null && boot?.isAlive === true && !boot.isPaused) this.options.onFile?.(this, path);
    });
  }
}

/** A process on a machine. */
export class SimBoot implements Platform {
  readonly machine: SimMachine;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: SeededRandom;
  readonly process: ProcessControl;
  readonly network: Network;
  readonly disk: Disk;
  isAlive = true;
  #isPaused = false;
  #waiting: (() => void)[] = [];
  #dueAtEnd: (() => void)[] = [];

  constructor(machine: SimMachine, machineBootId: string) {
    this.machine = machine;
    const { scheduler, random, hasOneBootRandom } = machine.options;
    this.random = random.fork(`boot ${hasOneBootRandom === true ? 1 : machine.bootCount}`);
    this.clock = { monotonicMs: () => machine.monotonicMs(), wallMs: () => machine.wallMs() };
    this.timers = {
      after: (delayMs, callback): TimerHandle => {
        if (!this.isAlive || delayMs === Number.POSITIVE_INFINITY) return { cancel: () => undefined };
        return new BootTimer(this, delayMs / machine.clockRate, callback);
      },
      endOfTurn: (callback) => {
        this.#dueAtEnd.push(callback);
        if (this.#dueAtEnd.length === 1) scheduler.after(machine.options.turnMs(), this.#enterEndTurn);
      },
    };
    this.process = {
      machineBootId,
      fatal: (reason, message, cause) => this.#fatal(reason, message, cause),
    };
    this.network = new BootNetwork(this, machine.options.network.host(machine.name));
    this.disk = new BootDisk(this);
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Things that wait for this process to go on. */
  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** Runs something of this process, now or when it goes on; never if it is dead. */
  enter(work: () => void): void {
    if (!this.isAlive) return;
    if (this.#isPaused) {
      this.#waiting.push(work);
      return;
    }
    this.#run(work);
  }

  #run(work: () => void): void {
    const { options } = this.machine;
    options.onEnter?.(this.machine);
    try {
      work();
    } catch (error) {
      if (!(error instanceof ProcessEnded)) options.onThrown(this.machine, error);
    }
    options.onLeave?.();
    if (this.isAlive) options.onStep(this.machine);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    // One after the other, as the event loop would, each with what its promises do.
    for (const work of waiting) this.machine.options.scheduler.after(0, () => this.enter(work));
  }

  die(): void {
    this.isAlive = false;
    this.#waiting = [];
    this.#dueAtEnd = [];
  }

  openStore(): KeyValueStore {
    return mortal(this, this.machine.device.open());
  }

  readonly #enterEndTurn = (): void => {
    this.enter(this.#endTurn);
  };

  readonly #endTurn = (): void => {
    const due = this.#dueAtEnd;
    this.#dueAtEnd = [];
    for (const callback of due) callback();
  };

  #fatal(reason: FatalReason, message: string, cause: unknown): never {
    const end = new ProcessEnded(reason, message, cause);
    if (this.isAlive) {
      this.die();
      this.machine.options.onEnded(this.machine, end);
    }
    throw end;
  }
}

/** A timer of a process: comes when the process goes on, if it stands still, unless it was cancelled by then. */
class BootTimer implements TimerHandle {
  readonly #boot: SimBoot;
  readonly #handle: TimerHandle;
  #callback: (() => void) | null;

  constructor(boot: SimBoot, delayMs: number, callback: () => void) {
    this.#boot = boot;
    this.#callback = callback;
    this.#handle = boot.machine.options.scheduler.after(delayMs, () => this.#boot.enter(this.#run));
  }

  readonly #run = (): void => {
    this.#callback?.();
  };

  cancel(): void {
    this.#callback = null;
    this.#handle.cancel();
  }
}

/** What a dead process asks for never comes. */
function never<T>(): Promise<T> {
  return new Promise<T>(() => undefined);
}

class BootDisk implements Disk {
  readonly #boot: SimBoot;

  constructor(boot: SimBoot) {
    this.#boot = boot;
  }

  #ask<T>(
    path: string,
    onDisk: (disk: MemoryDisk) => Promise<T>,
    onStore?: (disk: StoreDisk) => Promise<T>,
  ): Promise<T> {
    if (!this.#boot.isAlive) return never();
    const { machine } = this.#boot;
    const isStore = onStore !== undefined && (path + '/').startsWith(`${machine.options.storeDirectory}/`);
    return isStore ? onStore(machine.device.disk) : onDisk(machine.disk);
  }

  makeDirectory(path: string): Promise<void> {
    return this.#ask(path, (disk) => disk.makeDirectory(path));
  }

  list(path: string): Promise<string[]> {
    return this.#ask(
      path,
      (disk) => disk.list(path),
      (store) => store.list(path),
    );
  }

  readFile(path: string): Promise<Buffer> {
    return this.#ask(path, (disk) => disk.readFile(path));
  }

  writeFileAtomically(path: string, content: Uint8Array): Promise<void> {
    return this.#ask(path, (disk) => disk.writeFileAtomically(path, content));
  }

  remove(path: string): Promise<void> {
    return this.#ask(path, (disk) => disk.remove(path));
  }

  syncFile(path: string): Promise<void> {
    const isLying = this.#boot.machine.options.isStoreLying === true;
    return this.#ask(
      path,
      (disk) => disk.syncFile(path),
      async (store) => {
        if (!isLying) await store.syncFile(path);
      },
    );
  }

  syncDirectory(path: string): Promise<void> {
    return this.#ask(
      path,
      (disk) => disk.syncDirectory(path),
      (store) => store.syncDirectory(path),
    );
  }

  lock(path: string): Promise<{ release(): Promise<void> }> {
    return this.#ask(path, (disk) => disk.lock(path));
  }

  async openForWriting(path: string, sizeBytes: number): Promise<WritableFile> {
    const boot = this.#boot;
    const { options } = boot.machine;
    const file = await this.#ask(path, (disk) => disk.openForWriting(path, sizeBytes));
    return {
      writeAndSync: (chunk, position, done) => {
        if (!boot.isAlive) return;
        options.onEvent(boot.machine, SIM_EVENTS.written, crc32(chunk));
        if (options.isDiskLying !== true) file.writeAndSync(chunk, position, done);
        else this.#lie(() => file.writeAndSync(Uint8Array.from(chunk), position, () => undefined), done);
      },
      close: () => (boot.isAlive ? file.close() : never()),
    };
  }

  #lieQueue: Promise<void> = Promise.resolve();

  /** Reports at once, writes later. */
  #lie(write: () => void, done: (error: Error | null) => void): void {
    const boot = this.#boot;
    const { scheduler } = boot.machine.options;
    scheduler.after(0, () => boot.enter(() => done(null)));
    this.#lieQueue = this.#lieQueue.then(async () => {
      await scheduler.sleep(LIE_MS);
      boot.enter(write);
      await scheduler.sleep(LIE_MS);
    });
  }
}

type StoreDisk = MemoryDevice['disk'];

/** The store of a process; a dead one's refuses everything. */
function mortal(boot: SimBoot, store: KeyValueStore): KeyValueStore {
  const alive = (): KeyValueStore => {
    if (!boot.isAlive) throw new ProcessEnded('dataWrite', 'the process is dead', undefined);
    return store;
  };
  return {
    getSync: (key, snapshot) => alive().getSync(key, snapshot),
    batch: () => {
      const batch = alive().batch();
      return {
        put: (key, value) => batch.put(key, value),
        delete: (key) => batch.delete(key),
        write: (done) => {
          if (boot.isAlive) batch.write(done);
        },
      };
    },
    snapshot: () => alive().snapshot(),
    iterator: (options) => alive().iterator(options),
    clear: (range) => alive().clear(range),
    compactRange: (range) => alive().compactRange(range),
    close: () => alive().close(),
  };
}

class BootNetwork implements Network {
  readonly #boot: SimBoot;
  readonly #inner: Network;

  constructor(boot: SimBoot, inner: Network) {
    this.#boot = boot;
    this.#inner = inner;
  }

  listen(
    options: { readonly host: string; readonly port: number },
    onConnection: (connection: Connection) => void,
  ): Promise<Listener> {
    if (!this.#boot.isAlive) return never();
    return this.#inner.listen(options, (connection) => {
      this.#boot.enter(() => {
        onConnection(new BootConnection(this.#boot, connection));
      });
    });
  }

  connect(options: { readonly host: string; readonly port: number; readonly timeoutMs: number }): Promise<Connection> {
    const boot = this.#boot;
    if (!boot.isAlive) return never();
    return new Promise((resolve, reject) => {
      this.#inner.connect(options).then(
        (connection) => {
          if (!boot.isAlive) connection.destroy();
          boot.enter(() => {
            resolve(new BootConnection(boot, connection));
          });
        },
        (error: unknown) => {
          boot.enter(() => {
            reject(error instanceof Error ? error : new Error(String(error)));
          });
        },
      );
    });
  }
}

/** A connection as its process sees it: nothing reaches a paused process. */
class BootConnection implements Connection {
  readonly #boot: SimBoot;
  readonly #inner: Connection;
  /** What the process wants; a pause of the process comes on top. */
  #isPaused = false;

  constructor(boot: SimBoot, inner: Connection) {
    this.#boot = boot;
    this.#inner = inner;
  }

  get remoteAddress(): string {
    return this.#inner.remoteAddress;
  }

  get localAddress(): string {
    return this.#inner.localAddress;
  }

  get bufferedBytes(): number {
    return this.#inner.bufferedBytes;
  }

  write(chunk: Uint8Array): void {
    if (this.#boot.isAlive) this.#inner.write(chunk);
  }

  cork(): void {
    this.#inner.cork();
  }

  uncork(): void {
    this.#inner.uncork();
  }

  pause(): void {
    this.#isPaused = true;
    this.#inner.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#inner.resume();
  }

  end(): void {
    if (this.#boot.isAlive) this.#inner.end();
  }

  destroy(): void {
    if (this.#boot.isAlive) this.#inner.destroy();
  }

  attach(handler: ConnectionHandler): void {
    const boot = this.#boot;
    const { machine } = boot;
    const { onEnd } = handler;
    this.#inner.attach({
      onData: (chunk) => {
        if (!boot.isAlive) return;
        machine.options.onEvent(machine, SIM_EVENTS.received, crc32(chunk));
        if (!boot.isPaused) {
          boot.enter(() => {
            handler.onData(chunk);
          });
          return;
        }
        // The kernel takes what is on its way, and no more until somebody reads.
        const copy = Buffer.from(chunk);
        this.#inner.pause();
        boot.enter(() => {
          handler.onData(copy);
          if (!this.#isPaused) this.#inner.resume();
        });
      },
      onDrain: () => {
        boot.enter(() => {
          handler.onDrain();
        });
      },
      ...(onEnd === undefined
        ? {}
        : {
            onEnd: () => {
              boot.enter(() => {
                onEnd.call(handler);
              });
            },
          }),
      onClose: (error) => {
        boot.enter(() => {
          handler.onClose(error);
        });
      },
    });
  }
}
