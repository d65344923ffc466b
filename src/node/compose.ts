/**
 * Builds a node from its settings and a platform: the only place where the rooms are put together, for production and
 * for the simulator alike.
 */
import { KahunaError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Platform } from '../base/platform.ts';
import type { ScriptCatalog } from '../cluster/api.ts';
import { ClusterNode } from '../cluster/cluster-node.ts';
import { buildTopology, type Member, type Topology } from '../cluster/topology.ts';
import type { DataCommand } from '../commands/define.ts';
import { dataCommands } from '../commands/index.ts';
import { createScriptCommands } from '../commands/scripts.ts';
import { watchVersions } from '../commands/versions.ts';
import type { Settings } from '../config/live.ts';
import { listenAddresses, residentBytesMax, scriptTimeMsMax, type SettingValues } from '../config/settings.ts';
import { MemoryBudget } from '../partition/resident.ts';
import { createScriptHost, type ScriptHost, type ScriptHostOptions } from '../scripting/host.ts';
import { REDIS_VERSION, type ShutdownRequest } from '../server/context.ts';
import type { ProcessFacts } from '../server/facts.ts';
import { createServer, type Server } from '../server/server.ts';
import { ScriptLog } from './script-log.ts';
import type { KeyValueStore } from '../storage/data/key-value-store.ts';
import { openDataStore } from '../storage/data/state.ts';
import type { DataStore } from '../storage/data/types.ts';
import { openRaftLog } from '../storage/log/open.ts';
import type { RaftLog } from '../storage/log/types.ts';

export interface NodeOptions {
  readonly platform: Platform;
  readonly settings: Settings;
  readonly log: Logger;
  readonly version: string;
  readonly facts: ProcessFacts;
  /** Path of the configuration file; empty if there is none. */
  readonly configPath: string;
  /** Opens the ordered store in a directory, after its files were checked. */
  readonly openStore: (directory: string) => Promise<{ readonly store: KeyValueStore; readonly isTailTorn: boolean }>;
  /** Lua for this node; absent = an engine of its own. It loads in real time, so a simulation hands in one that is loaded. */
  readonly createScriptHost?: (options: ScriptHostOptions) => Promise<ScriptHost>;
  readonly onShutdown: (request: ShutdownRequest) => void;
}

export interface RunningNode {
  readonly cluster: ClusterNode;
  readonly server: Server;
  /** Hands leaderships over, lets clients take their replies, closes everything. */
  close(handOverMs: number): Promise<void>;
}

/** Rejects with a KahunaError that says what is wrong; ends the process if the data cannot be trusted. */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const { platform, settings, log, version } = options;
  const { values } = settings;
  refuseUnsupported(values);
  const topology = topologyOf(values);
  const directory = values.dir;
  const lock = await lockDirectory(platform, directory);
  log.info('starting', {
    node: topology.self.name,
    members: topology.nodes.map(({ name, host, port }) => `${name}=${host}:${port}`),
    partitions: topology.partitions.length,
    directory,
    version,
  });
  const { raftLog, data } = await openStores(options, topology, directory);
  const host = await (options.createScriptHost ?? createScriptHost)({
    clock: platform.clock,
    memoryBytesMax: values['lua-memory-limit'],
    timeLimitMs: scriptTimeMsMax(values, topology.nodes.length),
    redisVersion: REDIS_VERSION,
  });
  const budget = new MemoryBudget(residentBytesMax(values));
  const cluster = createCluster(options, { topology, directory, raftLog, data, host, budget });
  settings.onChange('maxmemory', (changed) => {
    budget.limitBytes = residentBytesMax(changed);
    // What exceeds it now goes without anybody's request.
    cluster.engine.lookAt(0);
  });
  for (const name of ['version-retention', 'version-retention-count'] as const) {
    settings.onChange(name, () => {
      cluster.engine.historyChanged();
    });
  }
  await listening(cluster.start());
  const server = createServer({
    platform,
    settings,
    cluster,
    dataCommands: cluster.dataCommands,
    watchVersions,
    compileScript: (sha, body) => host.compile(sha, body),
    log,
    version,
    facts: options.facts,
    configPath: options.configPath,
    onShutdown: options.onShutdown,
  });
  await server.start();
  cluster.announceClientPort(values['cluster-announce-port'] || server.port);
  return {
    cluster,
    server,
    close: async (handOverMs) => {
      await cluster.leaderships.handOver(handOverMs);
      await server.close();
      await cluster.close();
      await raftLog.close();
      await data.close();
      await lock.release();
    },
  };
}

async function lockDirectory(platform: Platform, directory: string): Promise<{ release(): Promise<void> }> {
  try {
    await platform.disk.makeDirectory(directory);
    return await platform.disk.lock(`${directory}/lock`);
  } catch (error) {
    if (error instanceof KahunaError) throw error;
    throw new KahunaError('DIRECTORY', `dir: ${directory} cannot be used as data directory: ${textOf(error)}`, error);
  }
}

/** The port for other nodes could not be had: the setting's name tells what to change. */
async function listening(start: Promise<void>): Promise<void> {
  try {
    await start;
  } catch (error) {
    if (!(error instanceof Error) || !('syscall' in error) || error.syscall !== 'listen') throw error;
    throw new KahunaError('LISTEN', `cannot accept other nodes (cluster-port, cluster-host): ${error.message}`, error);
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function openStores(
  options: NodeOptions,
  topology: Topology,
  directory: string,
): Promise<{ readonly raftLog: RaftLog; readonly data: DataStore }> {
  const { platform, log, settings } = options;
  const identity = { clusterId: topology.clusterId, nodeId: topology.self.id };
  const raftLog = await openRaftLog({
    disk: platform.disk,
    directory: `${directory}/log`,
    identity,
    process: platform.process,
    log,
    random: platform.random,
    segmentBytes: settings.values['log-segment-size'],
  });
  const dataDirectory = `${directory}/data`;
  const { store, isTailTorn } = await options.openStore(dataDirectory);
  const data = await openDataStore({
    store,
    isTailTorn,
    identity,
    machineBootId: platform.process.machineBootId,
    process: platform.process,
    disk: platform.disk,
    directory: dataDirectory,
    log,
    // The engine knows what is held (partition/history-keeper.ts).
    history: null,
    checkpoints: new Map([...raftLog.recovered].map(([group, { checkpoint }]) => [group, checkpoint])),
  });
  return { raftLog, data };
}

interface ClusterParts {
  readonly topology: Topology;
  readonly directory: string;
  readonly raftLog: RaftLog;
  readonly data: DataStore;
  readonly host: ScriptHost;
  readonly budget: MemoryBudget;
}

function createCluster(options: NodeOptions, parts: ClusterParts): ClusterNode {
  const { platform, log } = options;
  const { values } = options.settings;
  const { topology } = parts;
  const { random } = platform;
  return new ClusterNode({
    platform,
    topology,
    // Never the same twice: part of the ids of requests.
    identity: {
      clusterId: topology.clusterId,
      node: topology.self.id,
      bootEpoch: random.u32() * 2 ** 20 + (random.u32() >>> 12),
    },
    secret: values['cluster-secret'],
    raftLog: parts.raftLog,
    data: parts.data,
    dataDirectory: parts.directory,
    log,
    listen: { host: values['cluster-host'] || topology.self.host, port: topology.self.port },
    clientAddress: {
      host: values['cluster-announce-ip'] || topology.self.host,
      port: values['cluster-announce-port'] || values.port,
    },
    dataCommands: (scripts) => withScripts(scripts, parts, options),
    budget: parts.budget,
    readConsistency: values['read-consistency'] === 'lease' ? 'lease' : 'quorum',
    electionTimeoutMs: values['election-timeout'],
    heartbeatMs: values['heartbeat-interval'],
    commandTimeoutMs: values['command-timeout'],
    logMemoryBytes: values['log-memory-size'],
    checkpointIntervalMs: values['checkpoint-interval'],
    history: {
      retentionMs: () => options.settings.values['version-retention'],
      versionsMax: () => options.settings.values['version-retention-count'],
    },
    scrub: {
      bytesPerSecond: () => options.settings.values['scrub-rate'],
      intervalMs: () => options.settings.values['scrub-interval'],
    },
  });
}

function withScripts(
  scripts: ScriptCatalog,
  { host, topology }: ClusterParts,
  { log, platform, settings }: NodeOptions,
): readonly DataCommand[] {
  const { clock } = platform;
  const scriptLog = new ScriptLog(log, clock);
  const all: DataCommand[] = [...dataCommands];
  const byName = new Map<string, DataCommand>();
  const scriptCommands = createScriptCommands({
    host,
    bodyOf: (sha) => scripts.get(sha),
    commandOf: (name) => byName.get(name),
    execLimit: { clock, timeLimitMs: scriptTimeMsMax(settings.values, topology.nodes.length) },
    log: (level, message) => {
      scriptLog.write(level, message);
    },
  });
  all.push(...scriptCommands);
  for (const row of all) {
    byName.set(row.name, row);
    for (const sub of row.subcommands) byName.set(sub.name, sub);
  }
  return all;
}

/** A node that is given no members is a cluster of one. */
function topologyOf(values: SettingValues): Topology {
  const selfName = values['node-id'];
  const listed: readonly Member[] = values['initial-cluster'];
  const alone: Member = {
    name: selfName,
    host: values['cluster-host'] || '127.0.0.1',
    port: values['cluster-port'] || (values.port === 0 ? 0 : values.port + 10_000),
  };
  const members = listed.length > 0 ? listed : [alone];
  return buildTopology({
    members: members.map((member) =>
      member.name === selfName && values['cluster-port'] !== 0 ? { ...member, port: values['cluster-port'] } : member,
    ),
    selfName,
    partitions: values.partitions,
    replicationFactor: values['replication-factor'],
  });
}

function refuseUnsupported(values: SettingValues): void {
  if (values.join.length > 0) {
    throw new KahunaError(
      'UNSUPPORTED',
      'join: this version has static clusters only; list all nodes in initial-cluster',
    );
  }
  if (listenAddresses(values.bind).length === 0) {
    throw new KahunaError('UNSUPPORTED', 'bind: no address is left to accept clients on');
  }
}
