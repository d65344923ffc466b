/**
 * Who is in the cluster and which partition holds which slots, as given at the first start: nodes are numbered in the
 * order of their names, partitions take equal contiguous slot ranges, and their replicas and preferred leaders go round
 * the nodes. Every node computes the same from the same settings; the cluster id, derived from them, keeps nodes with
 * other settings out.
 */
import { createHash } from 'node:crypto';
import { mustExist } from '../base/assert.ts';
import { KahunaError } from '../base/errors.ts';
import { type GroupId, METADATA_GROUP, type NodeId, SLOT_COUNT, type Slot } from '../base/ids.ts';

export interface Member {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export interface TopologyNode extends Member {
  readonly id: NodeId;
  /** 40 hex digits, stable for the name within the cluster. */
  readonly hexId: string;
}

export interface TopologyPartition {
  readonly id: GroupId;
  readonly firstSlot: Slot;
  /** Inclusive. */
  readonly lastSlot: Slot;
  /** The preferred leader first. */
  readonly replicas: readonly NodeId[];
}

export interface Topology {
  readonly clusterId: string;
  readonly self: TopologyNode;
  readonly nodes: readonly TopologyNode[];
  readonly partitions: readonly TopologyPartition[];
  readonly metadata: TopologyPartition;
}

export interface TopologyOptions {
  readonly members: readonly Member[];
  readonly selfName: string;
  readonly partitions: number;
  /** At most this many replicas a partition; fewer if there are fewer nodes. */
  readonly replicationFactor: number;
}

export function buildTopology(options: TopologyOptions): Topology {
  const members = [...options.members].sort((a, b) => (a.name < b.name ? -1 : 1));
  const clusterId = hexOf(
    JSON.stringify([members.map(({ name }) => name), options.partitions, options.replicationFactor]),
  );
  const nodes = members.map((member, i) => ({ ...member, id: i + 1, hexId: hexOf(`${clusterId} ${member.name}`) }));
  const self = nodes.find(({ name }) => name === options.selfName);
  if (self === undefined) {
    throw new KahunaError('TOPOLOGY', `node-id ${options.selfName} is not one of initial-cluster`);
  }
  const ids = nodes.map(({ id }) => id);
  const partitions = Array.from({ length: options.partitions }, (_, i) => ({
    id: i + 1,
    firstSlot: Math.floor((SLOT_COUNT * i) / options.partitions),
    lastSlot: Math.floor((SLOT_COUNT * (i + 1)) / options.partitions) - 1,
    replicas: replicasFrom(ids, i, options.replicationFactor),
  }));
  const metadata = { id: METADATA_GROUP, firstSlot: SLOT_COUNT, lastSlot: SLOT_COUNT, replicas: ids };
  return { clusterId, self, nodes, partitions, metadata };
}

/** The partition that holds a slot, by binary search. */
export function partitionOfSlot(partitions: readonly TopologyPartition[], slot: Slot): TopologyPartition {
  let low = 0;
  let high = partitions.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((partitions[middle]?.lastSlot ?? 0) < slot) low = middle + 1;
    else high = middle;
  }
  return mustExist(partitions[low], 'the partitions cover all slots');
}

function replicasFrom(ids: readonly NodeId[], start: number, count: number): readonly NodeId[] {
  return Array.from({ length: Math.min(count, ids.length) }, (_, i) =>
    mustExist(ids[(start + i) % ids.length], 'a cluster has nodes'),
  );
}

function hexOf(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}
