/**
 * Where a partition keeps what it has promised to transactions across partitions, and how a new leader learns of it.
 *
 * The records lie in TRANSACTION_SPACE under the first slot of the partition, because their keys carry a hash tag of it. So
 * they split, move and travel in snapshots like all records, and reading them is one scan of a range that is nearly always empty.
 */
import { assert } from '../base/assert.ts';
import type { Slot } from '../base/ids.ts';
import { spaceRange } from '../storage/data/keys.ts';
import type { DataStore } from '../storage/data/types.ts';
import { isStringValue, toBytes } from '../values/string.ts';
import { DATABASE_COUNT, type Space, TRANSACTION_SPACE } from '../values/value.ts';
import { type TransactionId, transactionName } from './key-locks.ts';
import { keyNameOf, type RecordReader } from './record-reader.ts';
import { type Decision, decodeDecision, decodeIntent, type Intent } from './transaction-codec.ts';

/** A commit that some participant may not know of. */
export interface OpenDecision extends Decision {
  readonly id: TransactionId;
  /** Partition time in ms at which this leader learned of it. */
  readonly sinceMs: number;
}

export interface StoredTransactions {
  readonly intents: readonly Intent[];
  readonly decisions: readonly (Decision & { readonly id: TransactionId })[];
}

export const NO_TRANSACTIONS: StoredTransactions = { intents: [], decisions: [] };

interface Tagged {
  readonly transactionTag: string;
}

export function preparedKey({ transactionTag }: Tagged, id: TransactionId): string {
  return `{${transactionTag}}p${transactionName(id)}`;
}

export function decisionKey({ transactionTag }: Tagged, id: TransactionId): string {
  return `{${transactionTag}}d${transactionName(id)}`;
}

/** What a transaction writes to flush a database of the partition whose hash tag this is, or all of them: a lock on the whole. */
export function flushKey(transactionTag: string, what: Space | 'all'): string {
  return `{${transactionTag}}*${what}`;
}

/** What `flushKey` was told; null if the key is none of those. */
export function flushedBy(key: string): Space | 'all' | null {
  const what = /^\{[^{}]+\}\*(all|\d+)$/.exec(key)?.[1];
  if (what === 'all' || what === undefined) return what ?? null;
  return Number(what) < DATABASE_COUNT ? Number(what) : null;
}

const RECORDS_PER_READ = 1_000;
const BYTES_PER_READ = 1024 * 1024;

/** Everything that the store holds of open transactions of the partition that begins with `firstSlot`. */
export async function readOpenTransactions(
  data: DataStore,
  reader: RecordReader,
  firstSlot: Slot,
): Promise<StoredTransactions> {
  const names = await keysIn(data, firstSlot);
  const intents: Intent[] = [];
  const decisions: (Decision & { readonly id: TransactionId })[] = [];
  for (const name of names) {
    const record = (await reader.readLongKey(TRANSACTION_SPACE, name))?.value;
    assert(record !== undefined && isStringValue(record), 'the record of a transaction is there, and is bytes');
    const { kind, id } = parseName(name);
    if (kind === 'p') intents.push(decodeIntent(toBytes(record)));
    else decisions.push({ ...decodeDecision(toBytes(record)), id });
  }
  return { intents, decisions: decisions.filter(({ timestamp }) => timestamp !== 0) };
}

async function keysIn(data: DataStore, slot: Slot): Promise<readonly string[]> {
  const snapshot = data.snapshot();
  const iterator = snapshot.iterate(spaceRange(slot, TRANSACTION_SPACE), { keysOnly: true });
  const names: string[] = [];
  try {
    for (;;) {
      const records = await iterator.next(RECORDS_PER_READ, BYTES_PER_READ);
      if (records.length === 0) return names;
      for (const record of records) {
        const name = keyNameOf(record);
        if (name !== undefined) names.push(name);
      }
    }
  } finally {
    await iterator.close();
    snapshot.release();
  }
}

/** Takes the name of a record apart: what `preparedKey` and `decisionKey` built. */
function parseName(name: string): { readonly kind: 'p' | 'd'; readonly id: TransactionId } {
  const match = /^\{\d+\}([pd])(\d+)\.(\d+)\.(\d+)$/.exec(name);
  assert(match !== null, `${name} names no transaction`);
  const [, kind, node, epoch, counter] = match;
  return { kind: kind === 'p' ? 'p' : 'd', id: { node: Number(node), epoch: Number(epoch), counter: Number(counter) } };
}
