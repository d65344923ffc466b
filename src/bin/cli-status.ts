/** `kahuna-cli status`: nodes and partitions as two tables. */
import type { CommandClient } from '../node/command-client.ts';
import { ErrorReply, MapReply, type Reply } from '../resp/reply.ts';
import { formatRaw } from './cli-format.ts';

/** Throws an Error if the server does not know the commands. */
export async function clusterStatus(connection: CommandClient): Promise<string> {
  const nodes = rowsOf(await connection.call(['KAHUNA.CLUSTER', 'NODES']));
  const partitions = rowsOf(await connection.call(['KAHUNA.CLUSTER', 'PARTITIONS']));
  const nodeTable = table(
    ['node', 'client', 'link', 'leads'],
    nodes.map((node) => [
      `${cell(node, 'name')}${cell(node, 'self') === '1' ? ' (this)' : ''}`,
      cell(node, 'client'),
      cell(node, 'connected') === '1' ? 'up' : 'down',
      cell(node, 'leads') || '-',
    ]),
  );
  const partitionTable = table(
    ['partition', 'slots', 'leader', 'term', 'replicas'],
    partitions.map((partition) => [
      cell(partition, 'id'),
      `${cell(partition, 'first-slot')}-${cell(partition, 'last-slot')}`,
      cell(partition, 'leader') || 'none',
      cell(partition, 'term'),
      cell(partition, 'replicas'),
    ]),
  );
  return `${nodeTable}\n${partitionTable}`;
}

type Row = ReadonlyMap<string, Reply>;

/** An array of maps, of RESP3 or flattened. */
function rowsOf(reply: Reply): Row[] {
  if (reply instanceof ErrorReply) throw new Error(reply.text);
  if (!Array.isArray(reply)) throw new Error('the server answered in an unknown form');
  return reply.map((item: Reply) => {
    if (item instanceof MapReply) return new Map(item.entries.map(([name, value]) => [textOf(name), value]));
    const flat: readonly Reply[] = Array.isArray(item) ? item : [];
    const row = new Map<string, Reply>();
    for (let i = 0; i + 1 < flat.length; i += 2) row.set(textOf(flat[i] ?? null), flat[i + 1] ?? null);
    return row;
  });
}

const textOf = (reply: Reply): string => formatRaw(reply).trimEnd().replaceAll('\n', ' ');

const cell = (row: Row, name: string): string => textOf(row.get(name) ?? null);

/** Columns as wide as their longest cell. */
function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [heads, ...rows];
  const widths = heads.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  return lines
    .map(
      (line) =>
        `${line
          .map((text, column) => text.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
