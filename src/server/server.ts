/** Builds the server above the sockets: everything that clients see, over a Cluster that somebody else built. */
import { mustExist } from '../base/assert.ts';
import type { Logger } from '../base/log.ts';
import type { Platform } from '../base/platform.ts';
import type { Cluster } from '../cluster/api.ts';
import type { DataCommand } from '../commands/define.ts';
import { rewriteConfigFile } from '../config/file.ts';
import type { Settings } from '../config/live.ts';
import { AclLog } from './acl-log.ts';
import { AdminService } from './admin-http.ts';
import { Clients } from './clients.ts';
import { CommandTable } from './command-table.ts';
import type { CompileScript, ServerContext, ShutdownRequest } from './context.ts';
import { Credentials } from './credentials.ts';
import { Dispatcher } from './dispatch.ts';
import { unknownProcess } from './facts.ts';
import type { ProcessFacts } from './facts.ts';
import { sessionCommands } from './families/all.ts';
import { Housekeeping } from './housekeeping.ts';
import { LatencyMonitor } from './latency.ts';
import { ClientListener } from './listener.ts';
import { LiveSettings } from './live-settings.ts';
import { MemoryMarks } from './memory-report.ts';
import { Monitors } from './monitor.ts';
import { Pause } from './pause.ts';
import { ScriptDigests } from './script-bodies.ts';
import { SlowLog } from './slowlog.ts';
import { ServerStats } from './stats.ts';
import { TurnQueue } from './turn.ts';

export interface ServerOptions {
  readonly platform: Platform;
  readonly settings: Settings;
  readonly cluster: Cluster;
  readonly dataCommands: readonly DataCommand[];
  /** Answers the versions of the keys in argv[1…]: what WATCH remembers. Not callable by clients. */
  readonly watchVersions?: DataCommand;
  /** Judges a script before the catalogue takes it; absent = whatever runs scripts judges alone. */
  readonly compileScript?: CompileScript;
  readonly log: Logger;
  /** Of Kahuna. */
  readonly version: string;
  readonly facts?: ProcessFacts;
  /** Of the configuration file, for CONFIG REWRITE; absent or empty without one. */
  readonly configPath?: string;
  /** SHUTDOWN was called; whoever owns the process ends it. */
  readonly onShutdown: (request: ShutdownRequest) => void;
}

export interface Server {
  /** Binds the addresses of clients and of the admin service. Rejects with KahunaError 'LISTEN'. */
  start(): Promise<void>;
  /**
   * Accepts nobody any more, lets each client take the replies that are ready, and closes. Resolves when nothing of
   * the server is left; work that was pending is cancelled.
   */
  close(): Promise<void>;
  /** Of clients; 0 before `start`. */
  readonly port: number;
  /** Of the admin service; 0 if there is none. */
  readonly adminPort: number;
  readonly context: ServerContext;
}

export function createServer(options: ServerOptions): Server {
  const context = buildContext(options, () => listener.port);
  const listener = new ClientListener(context);
  const admin = new AdminService(context);
  const housekeeping = new Housekeeping(context);
  return {
    context,
    get port() {
      return listener.port;
    },
    get adminPort() {
      return admin.port;
    },
    start: async () => {
      // Health is asked for before clients are served.
      await admin.start();
      try {
        await listener.start();
      } catch (error) {
        await admin.close();
        throw error;
      }
      housekeeping.start();
    },
    close: async () => {
      housekeeping.stop();
      context.pause.end();
      const accepting = listener.close();
      await context.clients.closeAll();
      await accepting;
      await admin.close();
    },
  };
}

function buildContext(options: ServerOptions, port: () => number): ServerContext {
  const { platform, settings } = options;
  const clients = new Clients();
  const dispatcher = new Dispatcher();
  const pause = new Pause(platform.clock, platform.timers, () => {
    dispatcher.updateGate();
    clients.endPause();
  });
  const credentials = new Credentials();
  credentials.setPassword(settings.values.requirepass);
  settings.onChange('requirepass', (values) => {
    credentials.setPassword(values.requirepass);
    clients.passwordChanged(credentials.isRequired);
  });
  const context: ServerContext = {
    platform,
    settings,
    live: new LiveSettings(settings),
    cluster: options.cluster,
    table: new CommandTable(options.dataCommands, sessionCommands),
    watchVersions: options.watchVersions ?? null,
    dispatcher,
    clients,
    turn: new TurnQueue(platform.timers),
    pause,
    monitors: new Monitors(),
    slowLog: new SlowLog(),
    latency: new LatencyMonitor(),
    stats: new ServerStats(),
    credentials,
    aclLog: new AclLog(),
    scriptDigests: new ScriptDigests(),
    compileScript: options.compileScript ?? acceptAnyScript,
    facts: options.facts ?? unknownProcess,
    memoryMarks: new MemoryMarks(),
    configPath: options.configPath ?? '',
    rewriteConfiguration: rewriterOf(options),
    log: options.log,
    version: options.version,
    startedMs: platform.clock.monotonicMs(),
    startedWallMs: platform.clock.wallMs(),
    port,
    onShutdown: options.onShutdown,
  };
  dispatcher.attach(context);
  clients.attach(context);
  return context;
}

const acceptAnyScript: CompileScript = () => null;

/** CONFIG REWRITE: the file as it is now, with the settings in force. */
function rewriterOf({ configPath, platform, settings }: ServerOptions): (() => Promise<void>) | null {
  if (configPath === undefined || configPath === '') return null;
  const path = mustExist(configPath, 'a configuration file has a path');
  return async () => {
    const content = (await platform.disk.readFile(path)).toString('utf8');
    await platform.disk.writeFileAtomically(path, Buffer.from(rewriteConfigFile(content, settings.values), 'utf8'));
  };
}
