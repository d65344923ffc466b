/**
 * Do all replicas hold the same? Nodes answer from their leaders, so no question through a client can tell. This reads the
 * databases themselves, when their nodes have ended: every newest record of every node, byte by byte. Older versions and
 * what a node keeps for itself are left out, since each replica lets them go at its own pace.
 */
import { join } from 'node:path';

import { Level } from 'level';

import { allRecords, decodeRecordKey, recordKeyLength } from '../../src/storage/data/keys.ts';
import { RespClient } from '../harness/client.ts';
import type { Endpoint } from '../harness/deployment.ts';
import type { KahunaCluster, KahunaNode } from '../harness/kahuna.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { type ReplicaStatus, replicasOf } from './status.ts';

const LEVEL_TIMEOUT_MS = 20_000;
/** Nothing may change for this long before the nodes are ended. */
const QUIET_MS = 300;
const SHOWN_MAX = 5;

export interface ContentVerdict {
  /** Differences in words; empty if there is none. */
  readonly differences: readonly string[];
  readonly recordCount: number;
}

/**
 * Ends all nodes, with kill -9, once every replica has applied the same entries. Old versions are given up for that, because nodes
 * that keep them write the time into logs in which nothing else happens. @throws if it does not come
 */
export async function compareReplicas(cluster: KahunaCluster): Promise<ContentVerdict> {
  await Promise.all(cluster.endpoints.map(forgetThePast));
  await waitFor({ what: 'all replicas level', timeoutMs: LEVEL_TIMEOUT_MS, everyMs: 50 }, async () => {
    const before = await appliedBy(cluster);
    if (before === null) return false;
    await pause(QUIET_MS);
    return (await appliedBy(cluster)) === before;
  });
  await Promise.all(cluster.nodes.map((node) => node.kill()));
  const [first, ...others] = cluster.nodes;
  if (first === undefined) throw new Error('a cluster without nodes');
  const expected = await recordsOf(first);
  const differences: string[] = [];
  for (const node of others)
    differences.push(...differencesOf(`${first.name} and ${node.name}`, expected, await recordsOf(node)));
  return { differences, recordCount: expected.size };
}

async function forgetThePast(endpoint: Endpoint): Promise<void> {
  const client = await RespClient.connect(endpoint);
  try {
    await client.call('CONFIG', 'SET', 'version-retention', '0');
  } finally {
    client.close();
  }
}

/** What all have applied, as text; null while they differ. */
async function appliedBy(cluster: KahunaCluster): Promise<string | null> {
  const [first, ...others] = await Promise.all(
    cluster.endpoints.map(async (endpoint) => (await replicasOf(endpoint)).map(told).join(' ')),
  );
  return first !== undefined && others.every((text) => text === first) ? first : null;
}

/** Differs from every other replica's as long as something is under way. */
function told({ group, term, last, commit, applied }: ReplicaStatus): string {
  return `${group}: ${term} ${last}${commit < last || applied < last ? ` under way ${commit} ${applied}` : ''}`;
}

async function recordsOf(node: KahunaNode): Promise<Map<string, string>> {
  const database = new Level<Uint8Array, Uint8Array>(join(node.dataFolder, 'data'), {
    keyEncoding: 'view',
    valueEncoding: 'view',
  });
  const { start, end } = allRecords();
  const records = new Map<string, string>();
  try {
    for await (const [key, sealed] of database.iterator({ gte: start, lt: end })) {
      if (key.length > recordKeyLength(key)) continue; // an older version
      records.set(Buffer.from(key).toString('hex'), Buffer.from(sealed).toString('hex'));
    }
  } finally {
    await database.close();
  }
  return records;
}

/** Keys and values in hex. In words, with the first few; empty if there is no difference. */
export function differencesOf(
  names: string,
  one: ReadonlyMap<string, string>,
  other: ReadonlyMap<string, string>,
): readonly string[] {
  const differing = [...new Set([...one.keys(), ...other.keys()])].filter((key) => one.get(key) !== other.get(key));
  if (differing.length === 0) return [];
  const shown = differing.slice(0, SHOWN_MAX).map((key) => {
    const { slot, space, key: name } = decodeRecordKey(Buffer.from(key, 'hex'));
    return `\n    slot ${slot} database ${space} ${JSON.stringify(name)}: ${cut(one.get(key))} | ${cut(other.get(key))}`;
  });
  return [`${names} differ in ${differing.length} of ${one.size} records:${shown.join('')}`];
}

function cut(hex: string | undefined): string {
  return hex === undefined ? 'absent' : hex.length > 80 ? `${hex.slice(0, 80)}…` : hex;
}
