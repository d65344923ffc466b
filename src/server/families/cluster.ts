/** CLUSTER, in the words of Redis Cluster (cluster-view.ts says how our partitions are shown in them). */
import { createHash } from 'node:crypto';
import { SLOT_COUNT } from '../../base/ids.ts';
import { slotOfKey } from '../../base/slots.ts';
import type { NodeDescription } from '../../cluster/api.ts';
import { after, block, integer, many, oneOf, optional, text, token } from '../../commands/grammar.ts';
import { fail, genericError } from '../../resp/errors.ts';
import { MapReply, OK, VerbatimReply } from '../../resp/reply.ts';
import type { Reply } from '../../resp/reply.ts';
import { textAt } from '../arguments.ts';
import { clusterHealth, masterOf, nodeLine, shownPartitions } from '../cluster-view.ts';
import type { ServerContext } from '../context.ts';
import { sessionCommand, sessionContainer } from '../session-command.ts';
import type { SessionRun } from '../session-command.ts';
import { helpReply } from './help.ts';

const slots = sessionCommand({
  name: 'CLUSTER|SLOTS',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Get array of Cluster slot to node mappings',
  complexity: 'O(N) where N is the total number of Cluster nodes',
  flags: ['stale'],
  arity: 2,
  args: [],
  run: ({ context }) =>
    shownPartitions(context.cluster).map(({ partition, nodes }) => [
      partition.firstSlot,
      partition.lastSlot,
      ...nodes.map((node): Reply => [node.clientHost, node.clientPort, node.hexId, []]),
    ]),
});

const shards = sessionCommand({
  name: 'CLUSTER|SHARDS',
  group: 'cluster',
  since: '7.0.0',
  summary: 'Get array of cluster slots to node mappings',
  complexity: 'O(N) where N is the total number of cluster nodes',
  flags: ['stale'],
  arity: 2,
  args: [],
  run: ({ context }) =>
    shownPartitions(context.cluster).map(
      ({ partition, nodes }) =>
        new MapReply([
          ['slots', [partition.firstSlot, partition.lastSlot]],
          ['nodes', nodes.map((node) => shardNode(node, node.id === partition.leader))],
        ]),
    ),
});

function shardNode(node: NodeDescription, isLeader: boolean): Reply {
  return new MapReply([
    ['id', node.hexId],
    ['port', node.clientPort],
    ['ip', node.clientHost],
    ['endpoint', node.clientHost],
    ['role', isLeader ? 'master' : 'replica'],
    ['replication-offset', 0],
    ['health', node.isSelf || node.isConnected ? 'online' : 'fail'],
  ]);
}

const nodes = sessionCommand({
  name: 'CLUSTER|NODES',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Get Cluster config for the node',
  complexity: 'O(N) where N is the total number of Cluster nodes',
  flags: ['stale'],
  arity: 2,
  args: [],
  run: ({ context: { cluster } }) =>
    new VerbatimReply(
      'txt',
      cluster
        .nodes()
        .map((node) => `${nodeLine(cluster, node)}\n`)
        .join(''),
    ),
});

const info = sessionCommand({
  name: 'CLUSTER|INFO',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Provides info about Redis Cluster node state',
  complexity: 'O(1)',
  flags: ['stale'],
  arity: 2,
  args: [],
  run: ({ context: { cluster } }) => {
    const health = clusterHealth(cluster);
    const lines = [
      `cluster_state:${health.slotsUnserved === 0 ? 'ok' : 'fail'}`,
      `cluster_slots_assigned:${health.slotsServed + health.slotsUnserved}`,
      `cluster_slots_ok:${health.slotsServed}`,
      'cluster_slots_pfail:0',
      `cluster_slots_fail:${health.slotsUnserved}`,
      `cluster_known_nodes:${cluster.nodes().length}`,
      `cluster_size:${health.leaders}`,
      `cluster_current_epoch:${health.epoch}`,
      `cluster_my_epoch:${health.epoch}`,
      'cluster_stats_messages_sent:0',
      'cluster_stats_messages_received:0',
      'total_cluster_links_buffer_limit_exceeded:0',
    ];
    return new VerbatimReply('txt', `${lines.join('\r\n')}\r\n`);
  },
});

const keySlot = sessionCommand({
  name: 'CLUSTER|KEYSLOT',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Returns the hash slot of the specified key',
  complexity: 'O(N) where N is the number of bytes in the key',
  flags: ['stale'],
  arity: 3,
  args: [text('key')],
  run: (_session, argv) => slotOfKey(textAt(argv, 2)),
});

const myId = sessionCommand({
  name: 'CLUSTER|MYID',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Return the node id',
  complexity: 'O(1)',
  flags: ['stale'],
  arity: 2,
  args: [],
  run: ({ context }) => context.cluster.self.hexId,
});

const myShardId = sessionCommand({
  name: 'CLUSTER|MYSHARDID',
  group: 'cluster',
  since: '7.2.0',
  summary: 'Returns the shard ID of a node.',
  complexity: 'O(1)',
  flags: ['stale'],
  arity: 2,
  args: [],
  run: ({ context: { cluster } }) =>
    createHash('sha1')
      .update(`${cluster.clusterId}/${masterOf(cluster, cluster.self).hexId}`)
      .digest('hex'),
});

/** What is not known of a link (its age, its buffers) is 0. */
const links = sessionCommand({
  name: 'CLUSTER|LINKS',
  group: 'cluster',
  since: '7.0.0',
  summary: 'Returns a list of all TCP links to and from peer nodes in cluster',
  complexity: 'O(N) where N is the total number of Cluster nodes',
  flags: ['stale'],
  arity: 2,
  args: [],
  run: ({ context: { cluster } }) =>
    cluster
      .nodes()
      .filter((node) => !node.isSelf && node.isConnected)
      .map(
        (node) =>
          new MapReply([
            ['direction', 'to'],
            ['node', node.hexId],
            ['create-time', 0],
            ['events', 'rw'],
            ['send-buffer-allocated', 0],
            ['send-buffer-used', 0],
          ]),
      ),
});

function replicasOf(context: ServerContext, hexId: string): Reply {
  const { cluster } = context;
  const known = cluster.nodes();
  const master = known.find((node) => node.hexId === hexId) ?? fail(genericError(`Unknown node ${hexId}`));
  if (masterOf(cluster, master) !== master) return fail(genericError('The specified node is not a master'));
  return known
    .filter((node) => node !== master && masterOf(cluster, node) === master)
    .map((node) => nodeLine(cluster, node));
}

const replicas = sessionCommand({
  name: 'CLUSTER|REPLICAS',
  group: 'cluster',
  since: '5.0.0',
  summary: 'List replica nodes of the specified master node',
  complexity: 'O(1)',
  flags: ['admin', 'stale'],
  arity: 3,
  args: [text('node-id')],
  run: ({ context }, argv) => replicasOf(context, textAt(argv, 2)),
});

const slaves = sessionCommand({
  name: 'CLUSTER|SLAVES',
  group: 'cluster',
  since: '3.0.0',
  summary: 'List replica nodes of the specified master node',
  complexity: 'O(1)',
  flags: ['admin', 'stale'],
  arity: 3,
  args: [text('node-id')],
  run: ({ context }, argv) => replicasOf(context, textAt(argv, 2)),
});

const countFailureReports = sessionCommand({
  name: 'CLUSTER|COUNT-FAILURE-REPORTS',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Return the number of failure reports active for a given node',
  complexity: 'O(N) where N is the number of failure reports',
  flags: ['admin', 'stale'],
  arity: 3,
  args: [text('node-id')],
  run: ({ context }, argv) => {
    const hexId = textAt(argv, 2);
    if (!context.cluster.nodes().some((node) => node.hexId === hexId))
      return fail(genericError(`Unknown node ${hexId}`));
    return 0;
  },
});

/** The map is durable as soon as it is known. */
const saveConfig = sessionCommand({
  name: 'CLUSTER|SAVECONFIG',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Forces the node to save cluster state on disk',
  complexity: 'O(1)',
  flags: ['admin', 'stale'],
  arity: 2,
  args: [],
  run: () => OK,
});

const refuse =
  (what: string, instead: string): SessionRun =>
  () =>
    fail(genericError(`CLUSTER ${what} is not supported: ${instead}`));

const BY_CLUSTER = 'slots and nodes are managed by the cluster itself, see KAHUNA.CLUSTER';
const BY_SLOT = 'keys are not indexed by slot';

const countKeysInSlot = sessionCommand({
  name: 'CLUSTER|COUNTKEYSINSLOT',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Return the number of local keys in the specified hash slot',
  complexity: 'O(1)',
  flags: ['stale'],
  arity: 3,
  args: [integer('slot')],
  run: refuse('COUNTKEYSINSLOT', BY_SLOT),
});

const getKeysInSlot = sessionCommand({
  name: 'CLUSTER|GETKEYSINSLOT',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Return local key names in the specified hash slot',
  complexity: 'O(log(N)) where N is the number of requested keys',
  flags: ['stale'],
  arity: 4,
  args: [integer('slot'), integer('count')],
  run: refuse('GETKEYSINSLOT', BY_SLOT),
});

const addSlots = sessionCommand({
  name: 'CLUSTER|ADDSLOTS',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Assign new hash slots to receiving node',
  complexity: 'O(N) where N is the total number of hash slot arguments',
  flags: ['admin', 'stale'],
  arity: -3,
  args: [many(integer('slot'))],
  run: refuse('ADDSLOTS', BY_CLUSTER),
});

const addSlotsRange = sessionCommand({
  name: 'CLUSTER|ADDSLOTSRANGE',
  group: 'cluster',
  since: '7.0.0',
  summary: 'Assign new hash slots to receiving node',
  complexity: 'O(N) where N is the total number of the slots between the start slot and end slot arguments.',
  flags: ['admin', 'stale'],
  arity: -4,
  args: [many(block('start-slot_end-slot', integer('start-slot'), integer('end-slot')))],
  run: refuse('ADDSLOTSRANGE', BY_CLUSTER),
});

const bumpEpoch = sessionCommand({
  name: 'CLUSTER|BUMPEPOCH',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Advance the cluster config epoch',
  complexity: 'O(1)',
  flags: ['admin', 'stale'],
  arity: 2,
  args: [],
  run: refuse('BUMPEPOCH', BY_CLUSTER),
});

const deleteSlots = sessionCommand({
  name: 'CLUSTER|DELSLOTS',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Set hash slots as unbound in receiving node',
  complexity: 'O(N) where N is the total number of hash slot arguments',
  flags: ['admin', 'stale'],
  arity: -3,
  args: [many(integer('slot'))],
  run: refuse('DELSLOTS', BY_CLUSTER),
});

const deleteSlotsRange = sessionCommand({
  name: 'CLUSTER|DELSLOTSRANGE',
  group: 'cluster',
  since: '7.0.0',
  summary: 'Set hash slots as unbound in receiving node',
  complexity: 'O(N) where N is the total number of the slots between the start slot and end slot arguments.',
  flags: ['admin', 'stale'],
  arity: -4,
  args: [many(block('start-slot_end-slot', integer('start-slot'), integer('end-slot')))],
  run: refuse('DELSLOTSRANGE', BY_CLUSTER),
});

const failover = sessionCommand({
  name: 'CLUSTER|FAILOVER',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Forces a replica to perform a manual failover of its master.',
  complexity: 'O(1)',
  flags: ['admin', 'stale'],
  arity: -2,
  args: [optional(oneOf('options', token('FORCE'), token('TAKEOVER')))],
  run: refuse('FAILOVER', BY_CLUSTER),
});

const flushSlots = sessionCommand({
  name: 'CLUSTER|FLUSHSLOTS',
  group: 'cluster',
  since: '3.0.0',
  summary: "Delete a node's own slots information",
  complexity: 'O(1)',
  flags: ['admin', 'stale'],
  arity: 2,
  args: [],
  run: refuse('FLUSHSLOTS', BY_CLUSTER),
});

const forget = sessionCommand({
  name: 'CLUSTER|FORGET',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Remove a node from the nodes table',
  complexity: 'O(1)',
  flags: ['admin', 'stale'],
  arity: 3,
  args: [text('node-id')],
  run: refuse('FORGET', BY_CLUSTER),
});

const meet = sessionCommand({
  name: 'CLUSTER|MEET',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Force a node cluster to handshake with another node',
  complexity: 'O(1)',
  flags: ['admin', 'stale'],
  arity: -4,
  args: [text('ip'), integer('port'), optional(integer('cluster_bus_port'))],
  run: refuse('MEET', BY_CLUSTER),
});

const replicate = sessionCommand({
  name: 'CLUSTER|REPLICATE',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Reconfigure a node as a replica of the specified master node',
  complexity: 'O(1)',
  flags: ['admin', 'stale'],
  arity: 3,
  args: [text('node-id')],
  run: refuse('REPLICATE', BY_CLUSTER),
});

const reset = sessionCommand({
  name: 'CLUSTER|RESET',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Reset a Redis Cluster node',
  complexity: 'O(N) where N is the number of known nodes. The command may execute a FLUSHALL as a side effect.',
  flags: ['admin', 'noscript', 'stale'],
  arity: -2,
  args: [optional(oneOf('hard_soft', token('HARD'), token('SOFT')))],
  run: refuse('RESET', BY_CLUSTER),
});

const setConfigEpoch = sessionCommand({
  name: 'CLUSTER|SET-CONFIG-EPOCH',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Set the configuration epoch in a new node',
  complexity: 'O(1)',
  flags: ['admin', 'stale'],
  arity: 3,
  args: [integer('config-epoch')],
  run: refuse('SET-CONFIG-EPOCH', BY_CLUSTER),
});

const setSlot = sessionCommand({
  name: 'CLUSTER|SETSLOT',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Bind a hash slot to a specific node',
  complexity: 'O(1)',
  flags: ['admin', 'stale'],
  arity: -4,
  args: [
    integer('slot'),
    oneOf(
      'subcommand',
      after('IMPORTING', text('node-id')),
      after('MIGRATING', text('node-id')),
      after('NODE', text('node-id')),
      token('STABLE'),
    ),
  ],
  run: refuse('SETSLOT', BY_CLUSTER),
});

const help = sessionCommand({
  name: 'CLUSTER|HELP',
  group: 'cluster',
  since: '5.0.0',
  summary: 'Show helpful text about the different subcommands',
  complexity: 'O(1)',
  flags: ['loading', 'stale'],
  arity: 2,
  args: [],
  run: () =>
    helpReply('CLUSTER', [
      'COUNT-FAILURE-REPORTS <node-id>',
      '    Return number of failure reports for <node-id>.',
      'INFO',
      '    Return information about the cluster.',
      'KEYSLOT <key>',
      '    Return the hash slot for <key>.',
      'LINKS',
      '    Return information about all network links between this node and its peers.',
      'MYID',
      '    Return the node id.',
      'MYSHARDID',
      "    Return the node's shard id.",
      'NODES',
      '    Return cluster configuration seen by node. Output format:',
      '    <id> <ip:port@bus-port> <flags> <master> <pings> <pongs> <epoch> <link> <slot> ...',
      'REPLICAS <node-id>',
      '    Return <node-id> replicas.',
      'SHARDS',
      '    Return information about slot range mappings and the nodes associated with them.',
      'SLOTS',
      `    Return information about slots range mappings (0 to ${SLOT_COUNT - 1}). Each range is made of:`,
      '    start, end, master and replicas IP addresses, ports and ids',
    ]),
});

/** Sent by cluster clients: any node serves any key, so nothing changes but what CLIENT LIST shows. */
const readOnly = sessionCommand({
  name: 'READONLY',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Enables read queries for a connection to a cluster replica node',
  complexity: 'O(1)',
  flags: ['loading', 'stale', 'fast'],
  arity: 1,
  categories: ['connection'],
  args: [],
  run: (session) => {
    session.isReadOnly = true;
    return OK;
  },
});

const readWrite = sessionCommand({
  name: 'READWRITE',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Disables read queries for a connection to a cluster replica node',
  complexity: 'O(1)',
  flags: ['loading', 'stale', 'fast'],
  arity: 1,
  categories: ['connection'],
  args: [],
  run: (session) => {
    session.isReadOnly = false;
    return OK;
  },
});

const asking = sessionCommand({
  name: 'ASKING',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Sent by cluster clients after an -ASK redirect',
  complexity: 'O(1)',
  flags: ['fast'],
  arity: 1,
  categories: ['connection'],
  args: [],
  run: () => OK,
});

export const clusterCommands = [
  asking,
  readOnly,
  readWrite,
  sessionContainer({ name: 'CLUSTER', group: 'cluster', since: '3.0.0', summary: 'A container for cluster commands' }, [
    addSlots,
    addSlotsRange,
    bumpEpoch,
    countFailureReports,
    countKeysInSlot,
    deleteSlots,
    deleteSlotsRange,
    failover,
    flushSlots,
    forget,
    getKeysInSlot,
    help,
    info,
    keySlot,
    links,
    meet,
    myId,
    myShardId,
    nodes,
    replicas,
    replicate,
    reset,
    saveConfig,
    setConfigEpoch,
    setSlot,
    shards,
    slaves,
    slots,
  ]),
] as const;
