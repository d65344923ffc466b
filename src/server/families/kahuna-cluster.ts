/** Kahuna's own commands about the cluster: its time, its map, and where a command would run. */
import { slotOfKey } from '../../base/slots.ts';
import type { PartitionDescription } from '../../cluster/api.ts';
import { many, optional, text } from '../../commands/grammar.ts';
import { fail, unknownCommand, wrongArity } from '../../resp/errors.ts';
import { MapReply } from '../../resp/reply.ts';
import type { Reply } from '../../resp/reply.ts';
import { leaderOf } from '../cluster-view.ts';
import type { CommandEntry } from '../command-table.ts';
import type { ServerContext } from '../context.ts';
import { keyIndices } from '../../commands/key-indices.ts';
import { sessionCommand, sessionContainer } from '../session-command.ts';
import { helpReply } from './help.ts';

const time = sessionCommand({
  name: 'KAHUNA.TIME',
  group: 'kahuna',
  since: '0.1.0',
  summary:
    "The cluster's timestamp: what was acknowledged before is seen at it, and nothing that is asked for after the answer",
  complexity: 'O(N) where N is the number of partitions: two round trips, and a small write in each',
  flags: ['noscript', 'fast'],
  arity: 1,
  args: [],
  isAfterEarlier: true,
  run: (session) => session.context.cluster.timestamp(session.nowMs + session.commandTimeoutMs),
});

const explain = sessionCommand({
  name: 'KAHUNA.EXPLAIN',
  group: 'kahuna',
  since: '0.1.0',
  summary: 'Tells where a command would run, without running it',
  complexity: 'O(N) where N is the number of keys',
  flags: ['loading', 'stale'],
  arity: -2,
  args: [text('command'), optional(many(text('arg')))],
  run: ({ context }, argv) => {
    const request = argv.slice(1);
    const entry = context.table.resolve(request) ?? fail(unknownCommand(request));
    if (!entry.acceptsArgumentCount(request.length)) return fail(wrongArity(entry.fullName));
    return explanation(context, entry, request);
  },
});

function explanation(context: ServerContext, entry: CommandEntry, request: readonly Buffer[]): Reply {
  const { cluster } = context;
  const keys = keyIndices(entry.spec, request).flatMap((i) => request[i]?.toString('latin1') ?? []);
  const slots = [...new Set(keys.map(slotOfKey))];
  const partitions = [...new Set(slots.map((slot) => cluster.partitionOfSlot(slot)))];
  const first = partitions[0];
  return new MapReply([
    ['command', entry.fullName],
    ['type', typeOf(entry)],
    ['keys', keys.length],
    ['slot', slots[0] ?? null],
    ['partition', first?.id ?? null],
    ['leader', first === undefined ? null : (leaderOf(cluster, first)?.name ?? null)],
    ['path', pathOf(context, entry, partitions)],
    ['partitions', partitions.map((partition) => partition.id)],
  ]);
}

function typeOf(entry: CommandEntry): string {
  if (entry.data === null) return 'session';
  return entry.mayWrite ? 'write' : 'read';
}

/** 'local' and 'forward' as seen from this node; several partitions are 'several', a data command without keys 'all'. */
function pathOf(context: ServerContext, entry: CommandEntry, partitions: readonly PartitionDescription[]): string {
  if (entry.data === null) return 'session';
  const [first, second] = partitions;
  if (first === undefined) return 'all';
  if (second !== undefined) return 'several';
  if (first.leader === 0) return 'unknown';
  return first.leader === context.cluster.self.id ? 'local' : 'forward';
}

const nodes = sessionCommand({
  name: 'KAHUNA.CLUSTER|NODES',
  group: 'kahuna',
  since: '0.1.0',
  summary: 'The members of the cluster, as maps',
  complexity: 'O(N) where N is the number of nodes',
  flags: ['loading', 'stale'],
  arity: 2,
  args: [],
  run: ({ context: { cluster } }) =>
    cluster.nodes().map(
      (node) =>
        new MapReply([
          ['name', node.name],
          ['id', node.id],
          ['hex-id', node.hexId],
          ['client', `${node.clientHost}:${node.clientPort}`],
          ['cluster-port', node.clusterPort],
          ['self', node.isSelf ? 1 : 0],
          ['connected', node.isSelf || node.isConnected ? 1 : 0],
          ['leads', cluster.partitions().flatMap((partition) => (partition.leader === node.id ? [partition.id] : []))],
        ]),
    ),
});

const partitions = sessionCommand({
  name: 'KAHUNA.CLUSTER|PARTITIONS',
  group: 'kahuna',
  since: '0.1.0',
  summary: 'The partitions, their slots, replicas and leaders, as maps',
  complexity: 'O(N) where N is the number of partitions',
  flags: ['loading', 'stale'],
  arity: 2,
  args: [],
  run: ({ context: { cluster } }) => {
    const names = new Map(cluster.nodes().map((node) => [node.id, node.name]));
    return cluster.partitions().map(
      (partition) =>
        new MapReply([
          ['id', partition.id],
          ['first-slot', partition.firstSlot],
          ['last-slot', partition.lastSlot],
          ['replicas', partition.replicas.map((id) => names.get(id) ?? String(id))],
          ['leader', partition.leader === 0 ? null : (names.get(partition.leader) ?? String(partition.leader))],
          ['term', partition.term],
        ]),
    );
  },
});

const help = sessionCommand({
  name: 'KAHUNA.CLUSTER|HELP',
  group: 'kahuna',
  since: '0.1.0',
  summary: 'Show helpful text about the different subcommands',
  complexity: 'O(1)',
  flags: ['loading', 'stale'],
  arity: 2,
  args: [],
  run: () =>
    helpReply('KAHUNA.CLUSTER', [
      'NODES',
      '    The members of the cluster, as maps.',
      'PARTITIONS',
      '    The partitions, their slots, replicas and leaders, as maps.',
    ]),
});

export const kahunaClusterCommands = [
  explain,
  time,
  sessionContainer(
    { name: 'KAHUNA.CLUSTER', group: 'kahuna', since: '0.1.0', summary: 'A container for commands about the cluster' },
    [help, nodes, partitions],
  ),
] as const;
