/** Commands that nodes send each other and no client can name. */
import { timestampFromMs } from '../base/hlc.ts';
import { type DataCommand, defineCommand } from '../commands/define.ts';
import type { Reply } from '../resp/reply.ts';
import { scriptRows } from './script-catalog.ts';

/** Answers with the key count of the database in argument 1. */
export const keyCountRow: DataCommand = defineCommand({
  name: '%KEYCOUNT',
  group: 'generic',
  since: '0.1.0',
  summary: 'Keys of a database in one partition; internal',
  complexity: 'O(1)',
  flags: ['readonly', 'fast'],
  args: [],
  arity: -1,
  run: (view, args): Reply => view.keyCount(args.database),
});

/** Answers with a timestamp after everything that the partition has acknowledged. */
export const timestampRow: DataCommand = defineCommand({
  name: '%TIMESTAMP',
  group: 'kahuna',
  since: '0.1.0',
  summary: 'Timestamp of one partition; internal',
  complexity: 'O(1)',
  flags: ['readonly', 'fast'],
  args: [],
  arity: -1,
  run: (view): Reply => Math.max(view.timestamp, timestampFromMs(view.nowMs)),
});

export const internalRows: readonly DataCommand[] = [keyCountRow, timestampRow, ...Object.values(scriptRows)];
