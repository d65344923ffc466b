/** GET /metrics: the node's counters in Prometheus's text format (version 0.0.4). A new metric is a new row. */
import { msOfTimestamp } from '../base/hlc.ts';
import { clusterHealth } from './cluster-view.ts';
import type { CommandEntry } from './command-table.ts';
import type { ServerContext } from './context.ts';
import { memoryReport } from './memory-report.ts';
import { HISTOGRAM_BUCKETS } from './stats.ts';

interface Sample {
  readonly labels?: Readonly<Record<string, string | number>>;
  readonly value: number;
}

interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly read: (context: ServerContext) => number | readonly Sample[];
}

const perCommand =
  (read: (entry: CommandEntry) => number) =>
  (context: ServerContext): Sample[] =>
    [...context.table.all()].flatMap((entry) => {
      const value = read(entry);
      return value === 0 ? [] : [{ labels: { command: entry.fullName }, value }];
    });

const perReplica =
  (read: (replica: ReturnType<ServerContext['cluster']['replicaStatus']>[number]) => number) =>
  (context: ServerContext): Sample[] =>
    context.cluster.replicaStatus().map((replica) => ({ labels: { partition: replica.group }, value: read(replica) }));

const METRICS: readonly Metric[] = [
  {
    name: 'kahuna_up_seconds',
    type: 'gauge',
    help: 'Time since the server was built.',
    read: ({ platform, startedMs }) => (platform.clock.monotonicMs() - startedMs) / 1000,
  },
  {
    name: 'kahuna_ready',
    type: 'gauge',
    help: '1 if every partition on this node knows a leader.',
    read: ({ cluster }) => (cluster.isReady ? 1 : 0),
  },
  {
    name: 'kahuna_info',
    type: 'gauge',
    help: 'Always 1; the labels tell versions and names.',
    read: ({ cluster, version }) => [
      { labels: { version, node: cluster.self.name, cluster: cluster.clusterId }, value: 1 },
    ],
  },
  { name: 'kahuna_clients', type: 'gauge', help: 'Open client connections.', read: ({ clients }) => clients.count },
  {
    name: 'kahuna_clients_blocked',
    type: 'gauge',
    help: 'Clients in a blocking command.',
    read: ({ clients }) => clients.blockedCount(),
  },
  {
    name: 'kahuna_connections_total',
    type: 'counter',
    help: 'Client connections accepted or refused.',
    read: ({ stats }) => stats.connectionsReceived,
  },
  {
    name: 'kahuna_connections_refused_total',
    type: 'counter',
    help: 'Refused by maxclients or protected mode.',
    read: ({ stats }) => stats.connectionsRejected,
  },
  {
    name: 'kahuna_disconnections_total',
    type: 'counter',
    help: 'Connections that the server closed, by reason.',
    read: ({ stats }) => [
      { labels: { reason: 'output-limit' }, value: stats.outputLimitDisconnects },
      { labels: { reason: 'idle' }, value: stats.idleDisconnects },
      { labels: { reason: 'protocol' }, value: stats.protocolErrors },
      { labels: { reason: 'failure' }, value: stats.sessionFailures },
    ],
  },
  {
    name: 'kahuna_authentication_failures_total',
    type: 'counter',
    help: 'Failed AUTH and HELLO AUTH.',
    read: ({ stats }) => stats.authFailures,
  },
  {
    name: 'kahuna_client_input_bytes_total',
    type: 'counter',
    help: 'Bytes received from clients.',
    read: ({ stats }) => stats.inputBytes,
  },
  {
    name: 'kahuna_client_output_bytes_total',
    type: 'counter',
    help: 'Bytes sent to clients.',
    read: ({ stats }) => stats.outputBytes,
  },
  {
    name: 'kahuna_commands_total',
    type: 'counter',
    help: 'Commands answered, by command.',
    read: perCommand((entry) => entry.stats.calls),
  },
  {
    name: 'kahuna_commands_failed_total',
    type: 'counter',
    help: 'Commands answered with an error, by command.',
    read: perCommand((entry) => entry.stats.failed),
  },
  {
    name: 'kahuna_commands_rejected_total',
    type: 'counter',
    help: 'Commands refused before they ran, by command.',
    read: perCommand((entry) => entry.stats.rejected),
  },
  {
    name: 'kahuna_errors_total',
    type: 'counter',
    help: 'Error replies, by the first word.',
    read: ({ stats }) => [...stats.errorsByPrefix].map(([prefix, value]) => ({ labels: { prefix }, value })),
  },
  {
    name: 'kahuna_memory_bytes',
    type: 'gauge',
    help: 'Memory, by kind.',
    read: (context) => {
      const report = memoryReport(context);
      return [
        { labels: { kind: 'process' }, value: report.processBytes },
        { labels: { kind: 'used' }, value: report.usedBytes },
        { labels: { kind: 'values' }, value: report.residentBytes },
        { labels: { kind: 'values-max' }, value: report.maxBytes },
        { labels: { kind: 'clients' }, value: report.clientBytes },
      ];
    },
  },
  {
    name: 'kahuna_cpu_seconds_total',
    type: 'counter',
    help: 'Processor time of the process.',
    read: ({ facts }) => {
      const { systemSeconds, userSeconds } = facts.cpu();
      return [
        { labels: { mode: 'user' }, value: userSeconds },
        { labels: { mode: 'system' }, value: systemSeconds },
      ];
    },
  },
  {
    name: 'kahuna_lookups_total',
    type: 'counter',
    help: 'Keys that commands looked up to read them, at leaders on this node, by result.',
    read: ({ cluster: { keyspaceStats } }) => [
      { labels: { result: 'hit' }, value: keyspaceStats.hits },
      { labels: { result: 'miss' }, value: keyspaceStats.misses },
    ],
  },
  {
    name: 'kahuna_expired_keys_total',
    type: 'counter',
    help: 'Keys deleted because their time had come, at leaders on this node.',
    read: ({ cluster }) => cluster.keyspaceStats.expiredKeys,
  },
  {
    name: 'kahuna_transactions_committed_total',
    type: 'counter',
    help: 'Transactions across partitions that this node has committed.',
    read: ({ cluster }) => cluster.transactionStats.committed,
  },
  {
    name: 'kahuna_transactions_conflicts_total',
    type: 'counter',
    help: 'Attempts at them that were given up because of other work.',
    read: ({ cluster }) => cluster.transactionStats.conflicts,
  },
  {
    name: 'kahuna_transactions_settled_total',
    type: 'counter',
    help: 'Transactions of silent coordinators that leaders on this node have settled.',
    read: ({ cluster }) => cluster.transactionStats.settled,
  },
  {
    name: 'kahuna_timestamps_refused_total',
    type: 'counter',
    help: 'Commit timestamps that were too far ahead of the time here: a clock is wrong.',
    read: ({ cluster }) => cluster.keyspaceStats.refusedTimestamps,
  },
  {
    name: 'kahuna_resident_evictions_total',
    type: 'counter',
    help: 'Values that left memory for others, at leaders on this node; they stay in the database.',
    read: ({ cluster }) => cluster.keyspaceStats.residentEvictions,
  },
  {
    name: 'kahuna_slots_unserved',
    type: 'gauge',
    help: 'Hash slots whose partition has no known leader.',
    read: ({ cluster }) => clusterHealth(cluster).slotsUnserved,
  },
  {
    name: 'kahuna_node_connected',
    type: 'gauge',
    help: '1 if this node has a link to the peer.',
    read: ({ cluster }) =>
      cluster
        .nodes()
        .flatMap((node) => (node.isSelf ? [] : [{ labels: { peer: node.name }, value: node.isConnected ? 1 : 0 }])),
  },
  {
    name: 'kahuna_replica_leader',
    type: 'gauge',
    help: '1 if the replica leads its partition.',
    read: perReplica((replica) => (replica.role === 'leader' ? 1 : 0)),
  },
  { name: 'kahuna_replica_term', type: 'gauge', help: 'Raft term.', read: perReplica((replica) => replica.term) },
  {
    name: 'kahuna_replica_commit_index',
    type: 'gauge',
    help: 'Last log index known to be committed.',
    read: perReplica((replica) => replica.commitIndex),
  },
  {
    name: 'kahuna_replica_applied_index',
    type: 'gauge',
    help: 'Last log index applied.',
    read: perReplica((replica) => replica.appliedIndex),
  },
  {
    name: 'kahuna_replica_last_index',
    type: 'gauge',
    help: 'Last log index.',
    read: perReplica((replica) => replica.lastIndex),
  },
  {
    name: 'kahuna_replica_log_bytes',
    type: 'gauge',
    help: 'Size of the log in memory.',
    read: perReplica((replica) => replica.logBytes),
  },
  {
    name: 'kahuna_replica_resident_keys',
    type: 'gauge',
    help: 'Keys in memory.',
    read: perReplica((replica) => replica.residentKeys),
  },
  {
    name: 'kahuna_replica_quarantined',
    type: 'gauge',
    help: '1 if the data of the replica is damaged and waits to be rebuilt.',
    read: perReplica((replica) => (replica.isQuarantined ? 1 : 0)),
  },
  {
    name: 'kahuna_history_kept',
    type: 'gauge',
    help: '1 if older versions of values are kept on this node.',
    read: ({ cluster }) => (cluster.historyReport.isKept ? 1 : 0),
  },
  {
    name: 'kahuna_history_floor_seconds',
    type: 'gauge',
    help: 'Oldest moment that the data of this node is whole of, in seconds since 1970.',
    read: ({ cluster }) => msOfTimestamp(cluster.historyReport.floor) / 1000,
  },
  {
    name: 'kahuna_history_held_floor_seconds',
    type: 'gauge',
    help: 'Oldest moment that is held (KAHUNA.HOLD), in seconds since 1970; 0 = none is.',
    read: ({ cluster }) => msOfTimestamp(cluster.historyReport.heldFloor) / 1000,
  },
  {
    name: 'kahuna_scrub_rounds_total',
    type: 'counter',
    help: 'Partitions led here that were compared with their other replicas from end to end.',
    read: ({ cluster }) => cluster.scrub.report.rounds,
  },
  {
    name: 'kahuna_scrub_ranges_total',
    type: 'counter',
    help: 'Ranges compared; incomplete ones lacked some replica.',
    read: ({ cluster: { scrub } }) => [
      { labels: { result: 'complete' }, value: scrub.report.ranges - scrub.report.incompleteRanges },
      { labels: { result: 'incomplete' }, value: scrub.report.incompleteRanges },
    ],
  },
  {
    name: 'kahuna_scrub_records_total',
    type: 'counter',
    help: 'Records compared.',
    read: ({ cluster }) => cluster.scrub.report.records,
  },
  {
    name: 'kahuna_scrub_mismatches_total',
    type: 'counter',
    help: 'Ranges in which replicas differed.',
    read: ({ cluster }) => cluster.scrub.report.mismatches,
  },
  {
    name: 'kahuna_scrub_undecided_total',
    type: 'counter',
    help: 'Ranges in which replicas differed and no majority could say which is right.',
    read: ({ cluster }) => cluster.scrub.report.undecided,
  },
  {
    name: 'kahuna_scrub_condemned_total',
    type: 'counter',
    help: 'Replicas that differed from most others and were told to rebuild themselves.',
    read: ({ cluster }) => cluster.scrub.report.condemned,
  },
  {
    name: 'kahuna_scrub_last_round_seconds',
    type: 'gauge',
    help: 'When the last round ended, in seconds since 1970; 0 = none has.',
    read: ({ cluster }) => cluster.scrub.report.lastRoundAtMs / 1000,
  },
];

export function renderMetrics(context: ServerContext): string {
  let lines = '';
  for (const metric of METRICS) {
    const read = metric.read(context);
    const samples = typeof read === 'number' ? [{ value: read }] : read;
    if (samples.length === 0) continue;
    lines += header(metric.name, metric.type, metric.help);
    for (const sample of samples) lines += line(metric.name, sample);
  }
  return lines + commandLatencies(context);
}

/** A histogram needs several lines a command; only buckets that changed the count are written. */
function commandLatencies(context: ServerContext): string {
  const name = 'kahuna_command_seconds';
  let lines = '';
  for (const { fullName: command, stats } of context.table.all()) {
    if (stats.histogram === null) continue;
    let total = 0;
    for (let i = 0; i < HISTOGRAM_BUCKETS; i++) {
      const count = stats.histogram[i] ?? 0;
      if (count === 0) continue;
      total += count;
      lines += line(`${name}_bucket`, { labels: { command, le: 2 ** i / 1e6 }, value: total });
    }
    lines += line(`${name}_bucket`, { labels: { command, le: '+Inf' }, value: total });
    lines += line(`${name}_sum`, { labels: { command }, value: stats.usec / 1e6 });
    lines += line(`${name}_count`, { labels: { command }, value: total });
  }
  return lines === '' ? '' : header(name, 'histogram', 'Time from dispatch to answer, replication included.') + lines;
}

function header(name: string, type: string, help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

function line(name: string, { labels = {}, value }: Sample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(String(text))}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`;
}

function escapeLabel(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
}
