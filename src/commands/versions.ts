/**
 * What WATCH remembers: the versions of keys. Sessions ask for them through a row of their own, which no client can call
 * (its name cannot be written in the table of COMMAND: rows whose names start with '%' are hidden).
 */
import type { Reply } from '../resp/reply.ts';
import { defineCommand } from './define.ts';
import { key, many } from './grammar.ts';

/** Answers with the version of each key, absent ones too. */
export const watchVersions = defineCommand({
  name: '%WATCH',
  group: 'transactions',
  since: '1.0.0',
  summary: 'Returns the versions of keys.',
  complexity: 'O(N) where N is the number of keys.',
  flags: ['readonly', 'fast'],
  args: [many(key())],
  run: (view, args): Reply => {
    const versions: number[] = [];
    while (args.remaining > 0) versions.push(view.version(args.database, args.key()));
    return versions;
  },
});

export const versionCommands = [watchVersions];
