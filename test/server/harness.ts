/** A server over the doubles: virtual time, a network in memory, a cluster of one map, and a few data commands. */
import { silentLogger } from '../../src/base/log.ts';
import type { Logger, LogFields } from '../../src/base/log.ts';
import type { Connection, Platform } from '../../src/base/platform.ts';
import { type CommandDefinition, defineCommand } from '../../src/commands/define.ts';
import { INSPECTS, REPLACES } from '../../src/commands/key-uses.ts';
import { block, integer, key, many, optional, text } from '../../src/commands/grammar.ts';
import { Settings } from '../../src/config/live.ts';
import { NO_SCRIPT, NOT_AN_INTEGER } from '../../src/resp/errors.ts';
import { ErrorReply, NullArray, OK, type Reply } from '../../src/resp/reply.ts';
import { decodeReplies } from '../../src/resp/decode.ts';
import type { ShutdownRequest } from '../../src/server/context.ts';
import { createServer, type Server, type ServerOptions } from '../../src/server/server.ts';
import { MemoryCluster, type MemoryCommand } from '../doubles/memory-cluster.ts';
import { MemoryNetwork } from '../doubles/memory-network.ts';
import { SeededRandom } from '../doubles/seeded-random.ts';
import { VirtualTime } from '../doubles/virtual-time.ts';

type OnMap = MemoryCommand['onMap'];

function row(definition: Omit<CommandDefinition, 'since' | 'summary' | 'complexity'>, onMap: OnMap): MemoryCommand {
  const command = defineCommand({
    since: '1.0.0',
    summary: 'A command of the double.',
    complexity: 'O(1)',
    ...definition,
    run: () => {
      throw new Error('commands of the double run on the map');
    },
  });
  return { ...command, onMap };
}

const GET: OnMap = (keys, [, name = ''], database) => keys.get(database, name) ?? null;

const manyPairs = [integer('numkeys'), many(block('data', key(), text('value')))];
const scriptFlags = ['noscript', 'skip_monitor', 'no_mandatory_keys'] as const;
const scriptArgs = [text('script'), integer('numkeys'), optional(many(key()))];

export const memoryCommands: readonly MemoryCommand[] = [
  row({ name: 'GET', group: 'string', flags: ['readonly', 'fast'], args: [key()] }, GET),
  row({ name: 'SET', group: 'string', flags: ['write', 'denyoom'], args: [key(), text('value')] }, (keys, argv, db) => {
    keys.set(db, argv[1] ?? '', argv[2] ?? '');
    return OK;
  }),
  row({ name: 'DEL', group: 'generic', flags: ['write'], args: [many(key())] }, (keys, argv, database) => {
    let count = 0;
    for (const name of argv.slice(1)) if (keys.remove(database, name)) count++;
    return count;
  }),
  row({ name: 'INCR', group: 'string', flags: ['write', 'fast'], args: [key()] }, (keys, [, name = ''], database) => {
    const value = keys.get(database, name) ?? '0';
    if (!/^-?\d+$/.test(value)) return NOT_AN_INTEGER;
    keys.set(database, name, String(Number(value) + 1));
    return Number(value) + 1;
  }),
  row(
    {
      name: 'COPY',
      group: 'generic',
      flags: ['write'],
      args: [key('source'), key('destination')],
      keyUses: [['RO', 'access', 'variable_flags'], REPLACES],
      keyUseOf: () => INSPECTS,
      keyNotes: 'a remark',
    },
    () => 1,
  ),
  row({ name: 'MSETEX', group: 'string', flags: ['write'], args: manyPairs }, () => 1),
  row(
    { name: 'FAIL', group: 'generic', flags: ['write'], args: [text('text')] },
    (_, argv) => new ErrorReply(argv[1] ?? ''),
  ),
  {
    ...row(
      {
        name: 'BLPOP',
        group: 'list',
        flags: ['write', 'blocking'],
        args: [many(key()), text('timeout')],
        keys: { first: 1, last: -2, step: 1 },
        arity: -3,
      },
      () => null,
    ),
    parks: true,
  },
  row(
    { name: 'EVAL', group: 'scripting', flags: scriptFlags, args: scriptArgs, arity: -3 },
    (_, argv) => `ran ${argv[1] ?? ''}`,
  ),
  row({ name: 'EVALSHA', group: 'scripting', flags: scriptFlags, args: scriptArgs, arity: -3 }, (_, argv) =>
    (argv[1] ?? '').length === 40 ? `ran ${argv[1] ?? ''}` : NO_SCRIPT,
  ),
  row({ name: 'MEMORY|USAGE', group: 'server', flags: ['readonly'], args: [key()] }, () => 64),
];

const watchVersions = row(
  { name: '%WATCH', group: 'transactions', flags: ['readonly', 'fast'], args: [many(key())] },
  (keys, argv, database) => argv.slice(1).map((name) => keys.version(database, name)),
);

interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly fields: LogFields;
}

export interface World {
  readonly time: VirtualTime;
  readonly network: MemoryNetwork;
  readonly cluster: MemoryCluster;
  readonly settings: Settings;
  readonly server: Server;
  readonly log: LogLine[];
  readonly shutdowns: ShutdownRequest[];
  readonly files: Map<string, string>;
  connect(host?: string): Promise<Client>;
  admin(): Promise<Client>;
}

export interface WorldOptions {
  readonly settings?: readonly (readonly [name: string, text: string])[];
  readonly seed?: number;
  readonly pieceBytesMax?: number;
  readonly isReady?: boolean;
  /** The leader is another node: its replies arrive encoded. */
  readonly isRemote?: boolean;
  readonly options?: Partial<ServerOptions>;
  readonly values?: Partial<Settings['values']>;
}

const HOST = '127.0.0.1';

export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const time = new VirtualTime();
  const random = new SeededRandom(options.seed ?? 1);
  const network = new MemoryNetwork({
    timers: time,
    random,
    ...(options.pieceBytesMax === undefined ? {} : { pieceBytesMax: options.pieceBytesMax }),
  });
  const cluster = new MemoryCluster();
  cluster.isReady = options.isReady ?? true;
  cluster.isRemote = options.isRemote ?? false;
  const settings = new Settings({ ...new Settings().values, bind: [HOST], ...options.values });
  settings.set(options.settings ?? []);
  const log: LogLine[] = [];
  const shutdowns: ShutdownRequest[] = [];
  const files = new Map<string, string>();
  const server = createServer({
    platform: {
      clock: time,
      timers: time,
      random,
      network: network.host(HOST),
      process: unreachableProcess,
      disk: diskOf(files),
    },
    settings,
    cluster,
    dataCommands: memoryCommands,
    watchVersions,
    log: recordingLog(log),
    version: '0.1.0',
    onShutdown: (request) => shutdowns.push(request),
    ...options.options,
  });
  await server.start();
  const connectTo = async (host: string, port: number): Promise<Client> => {
    const connecting = network.host(host).connect({ host: HOST, port, timeoutMs: 1000 });
    // Rejected within settle(): handled below, a moment later.
    connecting.catch(() => undefined);
    await time.settle();
    return new Client(await connecting, time);
  };
  return {
    time,
    network,
    cluster,
    settings,
    server,
    log,
    shutdowns,
    files,
    connect: (host = HOST) => connectTo(host, server.port),
    admin: () => connectTo(HOST, server.adminPort),
  };
}

/** One client; what it receives is text, one character a byte. */
export class Client {
  readonly connection: Connection;
  readonly #time: VirtualTime;
  received = '';
  isClosed = false;

  constructor(connection: Connection, time: VirtualTime) {
    this.connection = connection;
    this.#time = time;
    connection.attach({
      onData: (chunk) => {
        this.received += chunk.toString('latin1');
      },
      onDrain: () => undefined,
      onClose: () => {
        this.isClosed = true;
      },
    });
  }

  /** Where the server sees it come from. */
  get address(): string {
    return this.connection.localAddress;
  }

  /** Sends bytes as they are, and lets everything happen that does not need time. */
  async raw(bytes: string): Promise<string> {
    this.connection.write(Buffer.from(bytes, 'latin1'));
    await this.#time.settle();
    return this.take();
  }

  /** Sends inline requests, and returns everything that was received since. */
  send(...lines: readonly string[]): Promise<string> {
    return this.raw(lines.map((line) => `${line}\r\n`).join(''));
  }

  /** Sends one request and decodes its reply. */
  async call(...argv: readonly string[]): Promise<Reply> {
    const [reply] = await this.pipeline([argv]);
    if (reply === undefined) throw new Error(`no reply to ${argv.join(' ')}`);
    return reply;
  }

  /** As `call`, for an error reply: its text. */
  async error(...argv: readonly string[]): Promise<string> {
    const reply = await this.call(...argv);
    if (!(reply instanceof ErrorReply)) throw new Error(`${argv.join(' ')} was answered: ${JSON.stringify(reply)}`);
    return reply.text;
  }

  async pipeline(requests: readonly (readonly string[])[]): Promise<Reply[]> {
    const received = await this.raw(requests.map(encode).join(''));
    return decodeReplies(Buffer.from(received, 'latin1'));
  }

  take(): string {
    const { received } = this;
    this.received = '';
    return received;
  }
}

export function encode(argv: readonly string[]): string {
  return `*${argv.length}\r\n${argv.map((argument) => `$${argument.length}\r\n${argument}\r\n`).join('')}`;
}

/** A reply as plain values: bulk strings as text, statuses and errors by their text. */
export function plain(reply: Reply): unknown {
  if (reply instanceof Uint8Array) return Buffer.from(reply).toString('latin1');
  if (reply instanceof NullArray) return null;
  if (Array.isArray(reply)) return reply.map((item: Reply) => plain(item));
  if (reply !== null && typeof reply === 'object' && 'text' in reply) return reply.text;
  if (reply !== null && typeof reply === 'object' && 'entries' in reply && Array.isArray(reply.entries)) {
    return reply.entries.map(([name, value]: readonly [Reply, Reply]) => [plain(name), plain(value)]);
  }
  if (reply !== null && typeof reply === 'object' && 'items' in reply && Array.isArray(reply.items)) {
    return reply.items.map((item: Reply) => plain(item));
  }
  return reply;
}

function recordingLog(lines: LogLine[]): Logger {
  const at =
    (level: string) =>
    (event: string, fields: LogFields = {}): void => {
      lines.push({ level, event, fields });
    };
  return { ...silentLogger, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

const unreachableProcess: Platform['process'] = {
  machineBootId: '',
  fatal: (reason) => {
    throw new Error(`the process would have ended: ${reason}`);
  },
};

/** Enough of a disk for CONFIG REWRITE. */
function diskOf(files: Map<string, string>): Platform['disk'] {
  const refuse = (): never => {
    throw new Error('the server writes no such file');
  };
  return {
    makeDirectory: refuse,
    list: refuse,
    readFile: (path) => {
      const content = files.get(path);
      return content === undefined
        ? Promise.reject(new Error('No such file or directory'))
        : Promise.resolve(Buffer.from(content));
    },
    writeFileAtomically: (path, content) => {
      files.set(path, Buffer.from(content).toString('utf8'));
      return Promise.resolve();
    },
    remove: refuse,
    openForWriting: refuse,
    syncFile: refuse,
    syncDirectory: refuse,
    lock: refuse,
  };
}
