/**
 * Whole nodes, as node/compose.ts builds them, in one virtual time: network, disks and ordered stores in memory, nothing fails
 * and nothing takes time unless the test says so. For tests of how the rooms work together; faults by seed are the
 * simulation's matter.
 */
import type { Connection, Disk, FatalReason, Platform } from '../../src/base/platform.ts';
import type { LogFields, Logger } from '../../src/base/log.ts';
import { defaultValues, Settings } from '../../src/config/live.ts';
import type { SettingValues } from '../../src/config/settings.ts';
import { type RunningNode, startNode } from '../../src/node/compose.ts';
import { ReplyDecoder } from '../../src/resp/decode.ts';
import type { Reply } from '../../src/resp/reply.ts';
import { createScriptHost, type ScriptHost } from '../../src/scripting/host.ts';
import type { ShutdownRequest } from '../../src/server/context.ts';
import { unknownProcess } from '../../src/server/facts.ts';
import { MemoryDisk } from '../doubles/memory-disk.ts';
import { MemoryNetwork } from '../doubles/memory-network.ts';
import { ProcessEnded } from '../doubles/memory-process.ts';
import { MemoryDevice } from '../doubles/memory-store.ts';
import { SeededRandom } from '../doubles/seeded-random.ts';
import { tellingLogger } from '../doubles/telling-logger.ts';
import { VirtualTime } from '../doubles/virtual-time.ts';

export const CLIENT_PORT = 6379;
export const CLUSTER_PORT = 7101;
export const SECRET = 'small secret';
const DIRECTORY = '/data';

let sharedHost: Promise<ScriptHost> | undefined;

/** Lua takes real time to load; it keeps nothing between two scripts. */
function scriptHost(): Promise<ScriptHost> {
  sharedHost ??= createScriptHost({ clock: { monotonicMs: () => 0, wallMs: () => 0 }, redisVersion: '7.2.5' });
  return sharedHost;
}

export interface SmallClusterOptions {
  /** Names of the members; those that are not started are absent, or played by the test. */
  readonly members?: readonly string[];
  readonly seed?: number;
  readonly values?: Partial<SettingValues>;
}

/** What outlives the process of a node. */
export class Machine {
  readonly name: string;
  readonly disk: MemoryDisk;
  readonly device: MemoryDevice;

  constructor(name: string, seed: number) {
    this.name = name;
    this.disk = new MemoryDisk({ random: new SeededRandom(seed) });
    this.device = new MemoryDevice({
      random: new SeededRandom(seed + 1),
      schedule: (callback) => queueMicrotask(callback),
    });
  }
}

export class SmallCluster {
  readonly time = new VirtualTime();
  readonly network: MemoryNetwork;
  readonly members: readonly string[];
  readonly shutdowns: ShutdownRequest[] = [];
  /** Error lines of nodes, and ends of their processes. */
  readonly failures: string[] = [];
  readonly events: string[] = [];
  readonly settings = new Map<string, Settings>();
  readonly #options: SmallClusterOptions;
  readonly #machines = new Map<string, Machine>();
  #bootCount = 0;

  constructor(options: SmallClusterOptions = {}) {
    this.#options = options;
    this.members = options.members ?? ['n1'];
    this.network = new MemoryNetwork({ timers: this.time, random: new SeededRandom(options.seed ?? 1) });
  }

  machine(name: string): Machine {
    const present = this.#machines.get(name);
    if (present !== undefined) return present;
    const machine = new Machine(name, this.#machines.size * 10 + (this.#options.seed ?? 1));
    this.#machines.set(name, machine);
    return machine;
  }

  /** Starts a node; resolves when startNode has. `platform` replaces parts of the node's world. */
  async start(name: string, platform: Partial<Platform> = {}): Promise<RunningNode> {
    const machine = this.machine(name);
    const settings = new Settings(this.#values(name));
    this.settings.set(name, settings);
    this.#bootCount++;
    const host = await scriptHost();
    const starting = startNode({
      platform: {
        clock: this.time,
        timers: this.time,
        random: new SeededRandom((this.#options.seed ?? 1) * 1_000 + this.#bootCount),
        process: {
          machineBootId: 'boot',
          fatal: (reason, message, cause) => this.#fatal(name, reason, message, cause),
        },
        network: this.network.host(name),
        disk: joined(machine),
        ...platform,
      },
      settings,
      log: this.#logger(name),
      version: '0.0.0',
      facts: unknownProcess,
      configPath: '',
      openStore: () => Promise.resolve({ store: machine.device.open(), isTailTorn: false }),
      createScriptHost: () => Promise.resolve(host),
      onShutdown: (request) => this.shutdowns.push(request),
    });
    return this.finished(starting);
  }

  /** Lets time pass until the promise has settled. */
  async finished<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
    };
    promise.then(settle, settle);
    await this.time.until(() => isSettled);
    return promise;
  }

  async ready(...nodes: readonly RunningNode[]): Promise<void> {
    await this.time.until(() => nodes.every(({ cluster }) => cluster.isReady));
  }

  async client(node: string, from = 'client'): Promise<TestClient> {
    const connection = await this.finished(
      this.network.host(from).connect({ host: node, port: CLIENT_PORT, timeoutMs: 1_000 }),
    );
    return new TestClient(connection, this.time);
  }

  #values(name: string): SettingValues {
    return {
      ...defaultValues(),
      'node-id': name,
      port: CLIENT_PORT,
      bind: [name],
      dir: DIRECTORY,
      'protected-mode': false,
      'initial-cluster': this.members.map((member) => ({ name: member, host: member, port: CLUSTER_PORT })),
      'cluster-secret': SECRET,
      'log-segment-size': 256 * 1024,
      ...this.#options.values,
    };
  }

  #fatal(name: string, reason: FatalReason, message: string, cause: unknown): never {
    this.failures.push(`${name} ended: ${reason}: ${message}`);
    throw new ProcessEnded(reason, message, cause);
  }

  #logger(name: string): Logger {
    return tellingLogger((level, event, fields) => {
      this.events.push(`${name} ${level} ${event}`);
      if (level === 'error') this.failures.push(`${name} ${event}: ${JSON.stringify(fields ?? {})} ${stackIn(fields)}`);
    });
  }
}

function stackIn(fields: LogFields | undefined): string {
  const error = fields?.['error'];
  return error instanceof Error ? (error.stack ?? '') : '';
}

/** Files of the ordered store are the device's; all others are the disk's. */
export function joined({ disk, device }: Machine): Disk {
  const isStore = (path: string): boolean => `${path}/`.startsWith(`${DIRECTORY}/data/`);
  return {
    makeDirectory: (path) => disk.makeDirectory(path),
    list: (path) => (isStore(path) ? device.disk.list(path) : disk.list(path)),
    readFile: (path) => disk.readFile(path),
    writeFileAtomically: (path, content) => disk.writeFileAtomically(path, content),
    remove: (path) => disk.remove(path),
    openForWriting: (path, sizeBytes) => disk.openForWriting(path, sizeBytes),
    syncFile: (path) => (isStore(path) ? device.disk.syncFile(path) : disk.syncFile(path)),
    syncDirectory: (path) => (isStore(path) ? device.disk.syncDirectory(path) : disk.syncDirectory(path)),
    lock: (path) => disk.lock(path),
  };
}

export class TestClient {
  readonly connection: Connection;
  readonly #time: VirtualTime;
  readonly #decoder = new ReplyDecoder();
  readonly #replies: Reply[] = [];
  isClosed = false;

  constructor(connection: Connection, time: VirtualTime) {
    this.connection = connection;
    this.#time = time;
    connection.attach({
      onData: (chunk) => this.#replies.push(...this.#decoder.push(chunk)),
      onDrain: () => undefined,
      onClose: () => {
        this.isClosed = true;
      },
    });
  }

  /** Sends a request; the reply may be taken later. */
  send(...argv: readonly string[]): void {
    const parts = argv.map((word) => `$${Buffer.byteLength(word, 'latin1')}\r\n${word}\r\n`);
    this.connection.write(Buffer.from(`*${argv.length}\r\n${parts.join('')}`, 'latin1'));
  }

  async call(...argv: readonly string[]): Promise<Reply> {
    this.send(...argv);
    await this.#time.until(() => this.#replies.length > 0 || this.isClosed);
    const [reply] = this.#replies.splice(0, 1);
    if (reply === undefined) throw new Error(`no reply to ${argv.join(' ')}`);
    return reply;
  }

  get replies(): readonly Reply[] {
    return this.#replies;
  }
}
