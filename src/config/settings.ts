/**
 * Every setting, once: from these rows follow the command line, the environment, the configuration file, CONFIG
 * GET/SET/REWRITE, `--help` and docs/configuration.md. A new setting is a new row.
 *
 * Names that Redis has keep Redis's name, unit and meaning. Times of Kahuna's own settings are milliseconds.
 */
import {
  addressList,
  duration,
  fixed,
  hostPortList,
  integer,
  memberList,
  memory,
  NODE_NAME,
  oneOf,
  outputLimits,
  text,
  type ValueKind,
  yesNo,
} from './kinds.ts';

export type SettingGroup = 'network' | 'memory' | 'cluster' | 'storage' | 'scripts' | 'monitoring' | 'fixed';

export interface SettingRow<T> {
  readonly kind: ValueKind<T>;
  readonly default: T;
  readonly group: SettingGroup;
  /** CONFIG SET may change it while the node runs. */
  readonly isLive: boolean;
  /** Redis has a setting of this name. */
  readonly isRedis: boolean;
  /** Other names of the same setting. */
  readonly aliases: readonly string[];
  /** Never shown: CONFIG GET prints stars, logs and errors leave it out. */
  readonly isSecret: boolean;
  /** One or two sentences. */
  readonly doc: string;
}

type Row<T> = Pick<SettingRow<T>, 'kind' | 'default' | 'doc'> & Partial<SettingRow<T>>;

const row = <T>(group: SettingGroup, isRedis: boolean, isLive: boolean, given: Row<T>): SettingRow<T> => ({
  aliases: [],
  isSecret: false,
  ...given,
  group,
  isRedis,
  isLive,
});

const redis = <T>(group: SettingGroup, given: Row<T>): SettingRow<T> => row(group, true, false, given);
const redisLive = <T>(group: SettingGroup, given: Row<T>): SettingRow<T> => row(group, true, true, given);
const own = <T>(group: SettingGroup, given: Row<T>): SettingRow<T> => row(group, false, false, given);
const ownLive = <T>(group: SettingGroup, given: Row<T>): SettingRow<T> => row(group, false, true, given);
const fact = (value: string, doc: string): SettingRow<string> =>
  row('fixed', true, true, { kind: fixed(value), default: value, doc });
/** A fact that CONFIG SET does not change in Redis either: it refuses the same value too. */
const immutableFact = (value: string, doc: string): SettingRow<string> =>
  row('fixed', true, false, { kind: fixed(value), default: value, doc });

const KB = 1024;
const MB = 1024 * KB;
const GB = 1024 * MB;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const INT32_MAX = 2 ** 31 - 1;

export const SETTINGS = {
  // Network
  port: redis('network', {
    kind: integer({ min: 0, max: 65_535 }),
    default: 6379,
    doc: 'Port for clients. 0 takes any free port, and the log says which.',
  }),
  bind: redis('network', {
    kind: addressList,
    default: ['*', '-::*'],
    doc: 'Addresses on which clients are accepted.',
  }),
  'protected-mode': redisLive('network', {
    kind: yesNo,
    default: true,
    doc: 'Without a password, only clients on this machine are served.',
  }),
  requirepass: redisLive('network', {
    kind: text(),
    default: '',
    isSecret: true,
    doc: 'Password of the default user; empty = none is needed.',
  }),
  maxclients: redisLive('network', {
    kind: integer({ min: 1, max: 1_000_000 }),
    default: 10_000,
    doc: 'Clients connected at the same time; one more is told so and closed.',
  }),
  timeout: redisLive('network', {
    kind: integer({ min: 0, max: INT32_MAX }, 's'),
    default: 0,
    doc: 'A client that is idle for this long is closed; 0 = never.',
  }),
  'proto-max-bulk-len': redisLive('network', {
    kind: memory({ min: MB, max: 512 * MB }),
    default: 512 * MB,
    doc: 'Largest argument of a request, and largest string value.',
  }),
  'client-query-buffer-limit': redisLive('network', {
    kind: memory({ min: MB, max: 4 * GB }),
    default: GB,
    doc: 'A client with more unhandled input than this is closed.',
  }),
  'client-output-buffer-limit': redisLive('network', {
    kind: outputLimits,
    default: {
      normal: { hardBytes: 0, softBytes: 0, softSeconds: 0 },
      replica: { hardBytes: 256 * MB, softBytes: 64 * MB, softSeconds: 60 },
      pubsub: { hardBytes: 32 * MB, softBytes: 8 * MB, softSeconds: 60 },
    },
    doc:
      'A client whose unread output passes the hard limit, or the soft limit for so many seconds, is closed. Whatever ' +
      'the limits, no more requests are read from a client that does not read its replies.',
  }),
  'shutdown-timeout': redisLive('network', {
    kind: integer({ min: 0, max: 3600 }, 's'),
    default: 10,
    doc: 'SIGTERM waits at most this long for leaderships to be handed over and replies to leave.',
  }),

  // Memory
  maxmemory: redisLive('memory', {
    kind: memory({ min: 0, max: 64 * GB }),
    default: 256 * MB,
    doc:
      'Memory for resident values; what is used least leaves memory first, and stays on disk. 0 = the default. ' +
      'Data may be larger than memory: nothing is ever evicted from the database.',
  }),
  'maxmemory-samples': redisLive('memory', {
    kind: integer({ min: 1, max: 64 }),
    default: 5,
    doc: 'Read by clients; without effect, since eviction from memory is exact.',
  }),

  // Cluster
  'node-id': own('cluster', {
    kind: text({
      description: 'name',
      pattern: NODE_NAME,
      reason: 'argument must be 1 to 64 letters, digits, points, dashes or underscores',
    }),
    default: 'n1',
    doc: 'Name of this node, unique in its cluster. The data directory remembers it.',
  }),
  'cluster-port': own('cluster', {
    kind: integer({ min: 0, max: 65_535 }),
    default: 0,
    doc: 'Port for the other nodes; 0 = the one in initial-cluster, else port + 10000.',
  }),
  'cluster-host': own('cluster', {
    kind: text({ description: 'address' }),
    default: '',
    doc: 'Address on which other nodes are accepted; empty = the one in initial-cluster, else as bind.',
  }),
  'cluster-announce-ip': redis('cluster', {
    kind: text({ description: 'address' }),
    default: '',
    doc: 'Address that CLUSTER SLOTS and its like tell clients for this node; empty = the one that peers use.',
  }),
  'cluster-announce-port': redis('cluster', {
    kind: integer({ min: 0, max: 65_535 }),
    default: 0,
    doc: 'Client port that CLUSTER SLOTS and its like tell; 0 = port.',
  }),
  'initial-cluster': own('cluster', {
    kind: memberList,
    default: [],
    doc:
      'All members of the cluster, this node among them, as name=address:cluster-port; the same names on all of them, at ' +
      'every start. Empty = a cluster of this node alone.',
  }),
  join: own('cluster', {
    kind: hostPortList,
    default: [],
    doc: 'Cluster addresses of members of an existing cluster to join. Not part of this version, which has static clusters.',
  }),
  'cluster-secret': own('cluster', {
    kind: text({ max: 256 }),
    default: '',
    isSecret: true,
    doc: 'Secret that nodes prove to each other; the same on all of them.',
  }),
  'cluster-secret-file': own('cluster', {
    kind: text({ description: 'path' }),
    default: '',
    doc: 'File whose first line is cluster-secret.',
  }),
  'cluster-enabled': redis('cluster', {
    kind: yesNo,
    default: false,
    doc: 'What INFO says about cluster mode. CLUSTER commands work either way, and any node serves any key.',
  }),
  partitions: own('cluster', {
    kind: integer({ min: 1, max: 1024 }),
    default: 1,
    doc: 'Partitions of the cluster; the same on all nodes, and fixed once data exists.',
  }),
  'replication-factor': own('cluster', {
    kind: integer({ min: 1, max: 9 }),
    default: 3,
    doc: 'Replicas of each partition, as far as there are nodes; the same on all nodes, and fixed once data exists.',
  }),
  'read-consistency': own('cluster', {
    kind: oneOf(['quorum', 'lease']),
    default: 'quorum',
    doc:
      'How a leader makes sure that it still leads before it answers a read: by asking a majority, or by a lease on ' +
      'the monotonic clock. Both are linearizable; the lease trusts clocks not to run apart too fast.',
  }),
  'command-timeout': ownLive('cluster', {
    kind: duration({ min: 100, max: 10 * MINUTE }),
    default: 5 * SECOND,
    doc: 'Longest time that a command is retried inside the cluster before its client gets an error.',
  }),
  'election-timeout': own('cluster', {
    kind: duration({ min: 50, max: MINUTE }),
    default: 1_000,
    doc: 'Silence of a leader after which the others vote (each waits this long, and up to twice as long).',
  }),
  'heartbeat-interval': own('cluster', {
    kind: duration({ min: 10, max: 10 * SECOND }),
    default: 100,
    doc: 'Interval of a leader’s signs of life; at most a third of election-timeout.',
  }),

  // Storage
  dir: redis('storage', {
    kind: text({ description: 'path' }),
    default: './data',
    doc: 'Data directory; created if absent.',
  }),
  'log-segment-size': own('storage', {
    kind: memory({ min: MB, max: GB }),
    default: 64 * MB,
    doc: 'Size of one file of the log.',
  }),
  'log-memory-size': own('storage', {
    kind: memory({ min: MB, max: 16 * GB }),
    default: 64 * MB,
    doc: 'Log of a partition that is kept, in memory and on disk, for nodes that come back; one that missed more gets a snapshot.',
  }),
  'checkpoint-interval': own('storage', {
    kind: duration({ min: SECOND, max: HOUR }),
    default: MINUTE,
    doc: 'Longest time between checkpoints: what the log must replay after a power cut.',
  }),
  'data-cache-size': own('storage', {
    kind: memory({ min: MB, max: 64 * GB }),
    default: 32 * MB,
    doc: 'Cache of the database for blocks of its files.',
  }),
  'data-write-buffer-size': own('storage', {
    kind: memory({ min: MB, max: GB }),
    default: 16 * MB,
    doc: 'Size at which the database writes its memory table to a file.',
  }),
  'version-retention': ownLive('storage', {
    kind: duration({ min: 0, max: 365 * DAY }),
    default: 0,
    doc:
      'How long older versions of a value are kept after it changed, for KAHUNA.ASOF and the like; 0 = none are, besides ' +
      'what is held (KAHUNA.HOLD). To be the same on all nodes.',
  }),
  'version-retention-count': ownLive('storage', {
    kind: integer({ min: 0, max: 1_000_000 }),
    default: 0,
    doc:
      'Older versions that are kept of each key at most, besides what is held; 0 = no bound. Old pages of strings longer than ' +
      '16 KiB go with the versions that they belong to.',
  }),

  'scrub-rate': ownLive('storage', {
    kind: memory({ min: 0, max: GB }),
    default: 256 * KB,
    doc:
      'How fast replicas are compared: bytes a second that a node reads as leader of its partitions; the other replicas read ' +
      'as much for it. A replica that differs from most is rebuilt. 0 = nothing is compared.',
  }),
  'scrub-interval': ownLive('storage', {
    kind: duration({ min: SECOND, max: 365 * DAY }),
    default: DAY,
    doc: 'Pause after a partition was compared from end to end, before it is compared again.',
  }),

  // Scripts
  'lua-time-limit': redis('scripts', {
    kind: integer({ min: 0, max: INT32_MAX }, 'ms'),
    default: 5000,
    aliases: ['busy-reply-threshold'],
    doc:
      'A script that runs longer is stopped, and nothing of it is applied; 0 = no limit. In a cluster of several nodes a ' +
      'third of election-timeout is the limit if that is less: a node that runs a script does nothing else.',
  }),
  'lua-memory-limit': own('scripts', {
    kind: memory({ min: MB, max: GB }),
    default: 64 * MB,
    doc: 'Memory of one script; beyond it the script fails, and nothing of it is applied.',
  }),

  // Monitoring
  loglevel: redisLive('monitoring', {
    kind: oneOf(['debug', 'verbose', 'notice', 'warning', 'nothing'], {
      trace: 'debug',
      info: 'notice',
      warn: 'warning',
      silent: 'nothing',
    }),
    default: 'notice',
    aliases: ['log-level'],
    doc: 'What goes to the log; info and warn are understood as notice and warning.',
  }),
  'admin-port': own('monitoring', {
    kind: integer({ min: 0, max: 65_535 }),
    default: 0,
    doc: 'Port of the HTTP service for metrics and health; 0 = none.',
  }),
  'admin-bind': own('monitoring', {
    kind: addressList,
    default: ['127.0.0.1'],
    doc: 'Addresses of the HTTP service.',
  }),
  'slowlog-log-slower-than': redisLive('monitoring', {
    kind: integer({ min: -1, max: Number.MAX_SAFE_INTEGER }, 'µs'),
    default: 10_000,
    doc: 'Commands that take longer are kept for SLOWLOG; 0 = all, -1 = none.',
  }),
  'slowlog-max-len': redisLive('monitoring', {
    kind: integer({ min: 0, max: 100_000 }),
    default: 128,
    doc: 'Entries that SLOWLOG keeps.',
  }),
  'latency-monitor-threshold': redisLive('monitoring', {
    kind: integer({ min: 0, max: Number.MAX_SAFE_INTEGER }, 'ms'),
    default: 0,
    doc: 'Events that take longer are kept for LATENCY; 0 = none.',
  }),

  // What clients read, and Kahuna fixes
  databases: immutableFact('16', 'Databases of SELECT.'),
  save: fact('', 'Nothing is saved at intervals: every acknowledged write is durable.'),
  appendonly: fact('yes', 'Every write goes through the log.'),
  appendfsync: fact('always', 'Every acknowledged write was synced, on a majority of its replicas.'),
  'maxmemory-policy': fact('noeviction', 'Values leave memory, never the database.'),
  'stop-writes-on-bgsave-error': fact('yes', 'A disk that fails stops the node.'),
  rdbcompression: fact('no', 'There are no RDB files.'),
  rdbchecksum: immutableFact('yes', 'There are no RDB files; all stored records carry checksums.'),
  'replica-read-only': fact('yes', 'All nodes accept writes and route them.'),
  'replica-serve-stale-data': fact('no', 'No read is stale unless it asks for the past.'),
  'min-replicas-to-write': fact('0', 'A write always needs a majority.'),
  'lazyfree-lazy-eviction': fact('yes', 'Deleting is O(1) for the client.'),
  'lazyfree-lazy-expire': fact('yes', 'Deleting is O(1) for the client.'),
  'lazyfree-lazy-server-del': fact('yes', 'Deleting is O(1) for the client.'),
  'lazyfree-lazy-user-del': fact('yes', 'Deleting is O(1) for the client.'),
  'lazyfree-lazy-user-flush': fact('yes', 'Flushing is O(1) for the client.'),
  'cluster-require-full-coverage': fact('no', 'Partitions that have a majority serve.'),
  'cluster-allow-reads-when-down': fact('no', 'A partition without a majority does not serve.'),
  'hash-max-listpack-entries': fact('128', 'Read by clients; without effect on how values are stored.'),
  'hash-max-listpack-value': fact('64', 'Read by clients; without effect on how values are stored.'),
  'list-max-listpack-size': fact('-2', 'Read by clients; without effect on how values are stored.'),
  'set-max-intset-entries': fact('512', 'Read by clients; without effect on how values are stored.'),
  'set-max-listpack-entries': fact('128', 'Read by clients; without effect on how values are stored.'),
  'set-max-listpack-value': fact('64', 'Read by clients; without effect on how values are stored.'),
  'zset-max-listpack-entries': fact('128', 'Read by clients; without effect on how values are stored.'),
  'zset-max-listpack-value': fact('64', 'Read by clients; without effect on how values are stored.'),
  'stream-node-max-bytes': fact('4096', 'Read by clients; without effect on how values are stored.'),
  'stream-node-max-entries': fact('100', 'Read by clients; without effect on how values are stored.'),
  activedefrag: fact('no', 'There is nothing to defragment by hand.'),
  'io-threads': immutableFact('1', 'One thread handles commands.'),
  hz: fact('10', 'Read by clients; without effect.'),
  daemonize: immutableFact('no', 'The server stays in the foreground; a supervisor starts it.'),
  unixsocket: immutableFact('', 'There is no socket file.'),
  replicaof: immutableFact('', 'Replication follows the cluster, not REPLICAOF.'),
  'tls-port': fact('0', 'Connections of clients are not encrypted.'),
} as const satisfies Readonly<Record<string, { readonly kind: object; readonly doc: string }>>;

export type SettingName = keyof typeof SETTINGS;

type ValueOf<R> = R extends SettingRow<infer T> ? T : never;

/** All values in force, by name; replaced as a whole when one changes. */
export type SettingValues = { readonly [Name in SettingName]: ValueOf<(typeof SETTINGS)[Name]> };

/** The smallest `maxmemory` that a node works with. */
const RESIDENT_BYTES_MIN = 8 * MB;

/** The bound for resident values that `maxmemory` stands for, bytes. */
export function residentBytesMax(values: SettingValues): number {
  const { maxmemory } = values;
  return maxmemory === 0 ? SETTINGS.maxmemory.default : Math.max(maxmemory, RESIDENT_BYTES_MIN);
}

/**
 * How long a script may take, in ms; Infinity = no limit. It holds the whole node: in a cluster it must end well before the
 * others take the node for dead. An EXEC may come to twice the limit, which is still less than `election-timeout`.
 */
export function scriptTimeMsMax(values: SettingValues, nodeCount: number): number {
  const limitMs = values['lua-time-limit'] === 0 ? Number.POSITIVE_INFINITY : values['lua-time-limit'];
  return nodeCount === 1 ? limitMs : Math.min(limitMs, Math.floor(values['election-timeout'] / 3));
}

export interface ListenAddress {
  /** What the system understands: `*` has become 0.0.0.0, `::*` has become ::. */
  readonly host: string;
  /** The node starts even if this address is not there. */
  readonly isOptional: boolean;
}

export function listenAddresses(bind: readonly string[]): ListenAddress[] {
  return bind.map((word) => {
    const isOptional = word.startsWith('-');
    const address = isOptional ? word.slice(1) : word;
    return { host: address === '*' ? '0.0.0.0' : address === '::*' ? '::' : address, isOptional };
  });
}
