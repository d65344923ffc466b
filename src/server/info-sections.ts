/**
 * The sections of INFO: the fields that clients and tools read, with what is true of this node. Fields of Redis that
 * have no counterpart (forks, the replication backlog) hold what an idle Redis shows.
 */
import { clusterHealth } from './cluster-view.ts';
import { DATABASES } from './arguments.ts';
import { REDIS_VERSION } from './context.ts';
import type { ServerContext } from './context.ts';
import { memoryReport } from './memory-report.ts';
import { isClusterMode } from './mode.ts';

export type InfoFields = readonly (readonly [name: string, value: string | number])[];

export interface InfoSection {
  readonly title: string;
  /** Shown by a plain INFO; the others by `INFO all` or by name. */
  readonly isDefault: boolean;
  readonly fields: (context: ServerContext) => InfoFields | Promise<InfoFields>;
}

const SECONDS_A_DAY = 86_400;

function server(context: ServerContext): InfoFields {
  const { facts, platform, settings } = context;
  const uptime = Math.floor((platform.clock.monotonicMs() - context.startedMs) / 1000);
  const wallMs = platform.clock.wallMs();
  return [
    ['redis_version', REDIS_VERSION],
    ['redis_git_sha1', '00000000'],
    ['redis_git_dirty', 0],
    ['redis_build_id', '0'],
    ['redis_mode', isClusterMode(context) ? 'cluster' : 'standalone'],
    ['kahuna_version', context.version],
    ['os', facts.os],
    ['arch_bits', facts.archBits],
    ['monotonic_clock', 'POSIX clock_gettime'],
    ['multiplexing_api', 'libuv'],
    ['process_id', facts.pid],
    ['process_supervised', 'no'],
    ['run_id', facts.runId],
    ['tcp_port', context.port()],
    ['server_time_usec', Math.floor(wallMs * 1000)],
    ['uptime_in_seconds', uptime],
    ['uptime_in_days', Math.floor(uptime / SECONDS_A_DAY)],
    ['hz', settings.values.hz],
    ['configured_hz', settings.values.hz],
    ['lru_clock', Math.floor(wallMs / 1000) % (1 << 24)],
    ['executable', facts.executable],
    ['config_file', context.configPath],
    ['io_threads_active', 0],
    ['node_version', facts.runtimeVersion],
  ];
}

function clients({ clients: open, settings }: ServerContext): InfoFields {
  let inputMax = 0;
  let outputMax = 0;
  for (const session of open.all()) {
    inputMax = Math.max(inputMax, session.inputBytes);
    outputMax = Math.max(outputMax, session.outputBytes);
  }
  return [
    ['connected_clients', open.count],
    ['cluster_connections', 0],
    ['maxclients', settings.values.maxclients],
    ['client_recent_max_input_buffer', inputMax],
    ['client_recent_max_output_buffer', outputMax],
    ['blocked_clients', open.blockedCount()],
    ['tracking_clients', 0],
    ['clients_in_timeout_table', 0],
    ['total_blocking_keys', 0],
  ];
}

function memory(context: ServerContext): InfoFields {
  const report = memoryReport(context);
  const total = context.facts.totalMemoryBytes;
  const { maxmemory } = context.settings.values;
  return [
    ['used_memory', report.usedBytes],
    ['used_memory_human', humanBytes(report.usedBytes)],
    ['used_memory_rss', report.processBytes],
    ['used_memory_rss_human', humanBytes(report.processBytes)],
    ['used_memory_peak', report.peakBytes],
    ['used_memory_peak_human', humanBytes(report.peakBytes)],
    ['used_memory_peak_perc', percent(report.usedBytes, report.peakBytes)],
    ['used_memory_overhead', Math.max(0, report.usedBytes - report.residentBytes)],
    ['used_memory_startup', report.startupBytes],
    ['used_memory_dataset', report.residentBytes],
    ['used_memory_dataset_perc', percent(report.residentBytes, report.usedBytes)],
    ['total_system_memory', total],
    ['total_system_memory_human', humanBytes(total)],
    ['used_memory_lua', 0],
    ['used_memory_lua_human', '0B'],
    ['maxmemory', maxmemory],
    ['maxmemory_human', humanBytes(maxmemory)],
    ['maxmemory_policy', context.settings.values['maxmemory-policy']],
    ['mem_fragmentation_ratio', ratio(report.processBytes, report.usedBytes)],
    ['mem_fragmentation_bytes', report.processBytes - report.usedBytes],
    ['mem_clients_normal', report.clientBytes],
    ['mem_clients_slaves', 0],
    ['mem_cluster_links', 0],
    ['mem_aof_buffer', 0],
    ['mem_allocator', 'v8'],
    ['active_defrag_running', 0],
    ['lazyfree_pending_objects', 0],
    ['resident_keys', report.residentKeys],
  ];
}

/** Every acknowledged write is in the synced log of a majority: nothing is ever unsaved. */
function persistence(context: ServerContext): InfoFields {
  return [
    ['loading', context.dispatcher.isLoading ? 1 : 0],
    ['async_loading', 0],
    ['current_cow_peak', 0],
    ['current_cow_size', 0],
    ['current_cow_size_age', 0],
    ['current_fork_perc', '0.00'],
    ['current_save_keys_processed', 0],
    ['current_save_keys_total', 0],
    ['rdb_changes_since_last_save', 0],
    ['rdb_bgsave_in_progress', 0],
    ['rdb_last_save_time', Math.floor(context.platform.clock.wallMs() / 1000)],
    ['rdb_last_bgsave_status', 'ok'],
    ['rdb_last_bgsave_time_sec', 0],
    ['rdb_current_bgsave_time_sec', -1],
    ['rdb_saves', 0],
    ['rdb_last_cow_size', 0],
    ['aof_enabled', 1],
    ['aof_rewrite_in_progress', 0],
    ['aof_rewrite_scheduled', 0],
    ['aof_last_rewrite_time_sec', -1],
    ['aof_current_rewrite_time_sec', -1],
    ['aof_last_bgrewrite_status', 'ok'],
    ['aof_last_write_status', 'ok'],
    ['aof_last_cow_size', 0],
    ['module_fork_in_progress', 0],
    ['module_fork_last_cow_size', 0],
    ['aof_current_size', memoryReport(context).logBytes],
    ['aof_pending_rewrite', 0],
  ];
}

function stats({ cluster: { keyspaceStats, transactionStats }, stats: counters }: ServerContext): InfoFields {
  const rates = counters.rates();
  return [
    ['total_connections_received', counters.connectionsReceived],
    ['total_commands_processed', counters.commandsProcessed],
    ['instantaneous_ops_per_sec', rates.opsPerSecond],
    ['total_net_input_bytes', counters.inputBytes],
    ['total_net_output_bytes', counters.outputBytes],
    ['total_net_repl_input_bytes', 0],
    ['total_net_repl_output_bytes', 0],
    ['instantaneous_input_kbps', rates.inputKbps.toFixed(2)],
    ['instantaneous_output_kbps', rates.outputKbps.toFixed(2)],
    ['rejected_connections', counters.connectionsRejected],
    ['sync_full', 0],
    ['sync_partial_ok', 0],
    ['sync_partial_err', 0],
    ['expired_keys', keyspaceStats.expiredKeys],
    ['expired_stale_perc', '0.00'],
    ['expired_time_cap_reached_count', 0],
    ['evicted_keys', 0],
    ['evicted_clients', 0],
    ['total_eviction_exceeded_time', 0],
    ['current_eviction_exceeded_time', 0],
    ['keyspace_hits', keyspaceStats.hits],
    ['keyspace_misses', keyspaceStats.misses],
    ['pubsub_channels', 0],
    ['pubsub_patterns', 0],
    ['pubsubshard_channels', 0],
    ['latest_fork_usec', 0],
    ['total_forks', 0],
    ['migrate_cached_sockets', 0],
    ['tracking_total_keys', 0],
    ['tracking_total_items', 0],
    ['tracking_total_prefixes', 0],
    ['unexpected_error_replies', 0],
    ['total_error_replies', counters.errorReplies],
    ['acl_access_denied_auth', counters.authFailures],
    ['client_output_buffer_limit_disconnections', counters.outputLimitDisconnects],
    ['protocol_errors', counters.protocolErrors],
    ['idle_disconnections', counters.idleDisconnects],
    ['clients_peak', counters.clientsPeak],
    ['resident_evictions', keyspaceStats.residentEvictions],
    ['transactions_committed', transactionStats.committed],
    ['transactions_conflicts', transactionStats.conflicts],
    ['transactions_uncertain', transactionStats.uncertain],
    ['transactions_settled', transactionStats.settled],
    ['timestamps_refused', keyspaceStats.refusedTimestamps],
  ];
}

/** Every node takes writes; its peers are no replicas in Redis's sense, and are shown in the section `kahuna`. */
function replication({ facts }: ServerContext): InfoFields {
  return [
    ['role', 'master'],
    ['connected_slaves', 0],
    ['master_failover_state', 'no-failover'],
    ['master_replid', facts.runId],
    ['master_replid2', '0'.repeat(40)],
    ['master_repl_offset', 0],
    ['second_repl_offset', -1],
    ['repl_backlog_active', 0],
    ['repl_backlog_size', 0],
    ['repl_backlog_first_byte_offset', 0],
    ['repl_backlog_histlen', 0],
  ];
}

function cpu({ facts }: ServerContext): InfoFields {
  const { systemSeconds, userSeconds } = facts.cpu();
  return [
    ['used_cpu_sys', systemSeconds.toFixed(6)],
    ['used_cpu_user', userSeconds.toFixed(6)],
    ['used_cpu_sys_children', '0.000000'],
    ['used_cpu_user_children', '0.000000'],
    ['used_cpu_sys_main_thread', systemSeconds.toFixed(6)],
    ['used_cpu_user_main_thread', userSeconds.toFixed(6)],
  ];
}

function commandStats({ table }: ServerContext): InfoFields {
  return [...table.all()].flatMap(({ fullName, stats: counters }) => {
    const { calls, rejected, failed } = counters;
    if (calls === 0 && rejected === 0) return [];
    const usec = Math.round(counters.usec);
    const perCall = (calls === 0 ? 0 : counters.usec / calls).toFixed(2);
    return [
      [
        `cmdstat_${fullName}`,
        `calls=${calls},usec=${usec},usec_per_call=${perCall},rejected_calls=${rejected},failed_calls=${failed}`,
      ] as const,
    ];
  });
}

function latencyStats({ table }: ServerContext): InfoFields {
  return [...table.all()].flatMap(({ fullName, stats: counters }) => {
    if (counters.histogram === null) return [];
    const at = (share: number): string => counters.percentileUsec(share).toFixed(3);
    return [[`latency_percentiles_usec_${fullName}`, `p50=${at(0.5)},p99=${at(0.99)},p99.9=${at(0.999)}`] as const];
  });
}

function errorStats({ stats: counters }: ServerContext): InfoFields {
  return [...counters.errorsByPrefix].map(([prefix, count]) => [`errorstat_${prefix}`, `count=${count}`]);
}

function cluster(context: ServerContext): InfoFields {
  return [['cluster_enabled', isClusterMode(context) ? 1 : 0]];
}

/** A partition without a leader must not hold up INFO: what is not counted in time is left out. Milliseconds. */
const KEYSPACE_TIMEOUT_MS = 500;

async function keyspace({ cluster: view, dispatcher, platform }: ServerContext): Promise<InfoFields> {
  if (dispatcher.isLoading) return [];
  const deadlineMs = platform.clock.monotonicMs() + KEYSPACE_TIMEOUT_MS;
  const databases = Array.from({ length: DATABASES }, (_, database) => database);
  const counting = Promise.allSettled(databases.map((database) => view.keyspaceCounts(database, deadlineMs)));
  const counts = await new Promise<Awaited<typeof counting>>((resolve, reject) => {
    const timer = platform.timers.after(KEYSPACE_TIMEOUT_MS, () => {
      resolve([]);
    });
    counting.then((settled) => {
      timer.cancel();
      resolve(settled);
    }, reject);
  });
  return counts.flatMap((count, database) => {
    if (count.status !== 'fulfilled' || count.value.keys === 0) return [];
    const { keys, expiring, averageTtlMs } = count.value;
    return [[`db${database}`, `keys=${keys},expires=${expiring},avg_ttl=${averageTtlMs}`] as const];
  });
}

function kahuna(context: ServerContext): InfoFields {
  const { cluster: view } = context;
  const health = clusterHealth(view);
  const replicas = view.replicaStatus();
  const scrub = view.scrub.report;
  const history = view.historyReport;
  return [
    ['kahuna_version', context.version],
    ['cluster_id', view.clusterId],
    ['node_name', view.self.name],
    ['node_id', view.self.id],
    ['node_hex_id', view.self.hexId],
    ['nodes', view.nodes().length],
    ['nodes_connected', view.nodes().filter((node) => node.isSelf || node.isConnected).length],
    ['partitions', view.partitions().length],
    ['slots_served', health.slotsServed],
    ['slots_unserved', health.slotsUnserved],
    ['replicas', replicas.length],
    ['replicas_leading', replicas.filter((replica) => replica.role === 'leader').length],
    ['replicas_quarantined', replicas.filter((replica) => replica.isQuarantined).length],
    ['history_kept', history.isKept ? 1 : 0],
    ['history_floor', history.floor],
    ['history_held_floor', history.heldFloor],
    ['scrub_rounds', scrub.rounds],
    ['scrub_ranges', scrub.ranges],
    ['scrub_records', scrub.records],
    ['scrub_incomplete_ranges', scrub.incompleteRanges],
    ['scrub_mismatches', scrub.mismatches],
    ['scrub_undecided', scrub.undecided],
    ['scrub_condemned', scrub.condemned],
    ['scrub_last_round_time', Math.floor(scrub.lastRoundAtMs / 1000)],
    ...replicas.map(
      (replica) =>
        [
          `replica${replica.group}`,
          `role=${replica.role},leader=${replica.leader},term=${replica.term},last=${replica.lastIndex},` +
            `commit=${replica.commitIndex},applied=${replica.appliedIndex},log_bytes=${replica.logBytes},` +
            `resident_keys=${replica.residentKeys},resident_bytes=${replica.residentBytes}`,
        ] as const,
    ),
  ];
}

/** In the order of their output. */
export const INFO_SECTIONS: Readonly<Record<string, InfoSection>> = {
  server: { title: 'Server', isDefault: true, fields: server },
  clients: { title: 'Clients', isDefault: true, fields: clients },
  memory: { title: 'Memory', isDefault: true, fields: memory },
  persistence: { title: 'Persistence', isDefault: true, fields: persistence },
  stats: { title: 'Stats', isDefault: true, fields: stats },
  replication: { title: 'Replication', isDefault: true, fields: replication },
  cpu: { title: 'CPU', isDefault: true, fields: cpu },
  modules: { title: 'Modules', isDefault: true, fields: () => [] },
  commandstats: { title: 'Commandstats', isDefault: false, fields: commandStats },
  errorstats: { title: 'Errorstats', isDefault: true, fields: errorStats },
  latencystats: { title: 'Latencystats', isDefault: false, fields: latencyStats },
  cluster: { title: 'Cluster', isDefault: true, fields: cluster },
  keyspace: { title: 'Keyspace', isDefault: true, fields: keyspace },
  kahuna: { title: 'Kahuna', isDefault: true, fields: kahuna },
};

const UNITS = ['B', 'K', 'M', 'G', 'T'] as const;

/** As bytesToHuman of Redis: 1.20M. */
function humanBytes(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount >= 1024 && unit < UNITS.length - 1) {
    amount /= 1024;
    unit++;
  }
  return unit === 0 ? `${bytes}B` : `${amount.toFixed(2)}${UNITS[unit] ?? ''}`;
}

function percent(part: number, whole: number): string {
  return `${(whole === 0 ? 0 : (part / whole) * 100).toFixed(2)}%`;
}

function ratio(part: number, whole: number): string {
  return (whole === 0 ? 1 : part / whole).toFixed(2);
}
