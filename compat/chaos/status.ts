/** What a node says about its replicas in INFO. */
import { RespClient } from '../harness/client.ts';
import type { Endpoint } from '../harness/deployment.ts';
import { textOf } from '../harness/resp.ts';

/** The partition that holds the data, or of several the first; 0 is the metadata. */
export const DATA_GROUP = 1;

export interface ReplicaStatus {
  readonly group: number;
  readonly role: string;
  /** The number of the leader's node; 0 if unknown. */
  readonly leader: number;
  readonly term: number;
  readonly last: number;
  readonly commit: number;
  readonly applied: number;
}

/** @throws if the node does not answer */
export async function replicasOf(endpoint: Endpoint): Promise<readonly ReplicaStatus[]> {
  const client = await RespClient.connect({ ...endpoint, connectTimeoutMs: 1_000 });
  try {
    const info = textOf(await client.must('INFO', 'kahuna')) ?? '';
    return [...info.matchAll(/^replica(\d+):(.*?)\r?$/gm)].map(([, group, text]) => {
      const fields = new Map((text ?? '').split(',').map((field) => field.split('=', 2) as [string, string]));
      const number = (name: string): number => Number(fields.get(name) ?? 0);
      return {
        group: Number(group),
        role: fields.get('role') ?? '',
        leader: number('leader'),
        term: number('term'),
        last: number('last'),
        commit: number('commit'),
        applied: number('applied'),
      };
    });
  } finally {
    client.close();
  }
}
