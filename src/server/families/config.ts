/** CONFIG: settings of this node, as config/ knows them. */
import { block, many, text } from '../../commands/grammar.ts';
import { SettingError } from '../../config/live.ts';
import {
  CONFIG_NO_FILE,
  SYNTAX_ERROR,
  configRewriteFailed,
  configSetFailed,
  configUnknown,
  fail,
} from '../../resp/errors.ts';
import type { ErrorReply, Reply } from '../../resp/reply.ts';
import { MapReply, OK } from '../../resp/reply.ts';
import { matchesGlob } from '../../resp/glob.ts';
import { textAt } from '../arguments.ts';
import { sessionCommand, sessionContainer } from '../session-command.ts';
import { helpReply } from './help.ts';

const get = sessionCommand({
  name: 'CONFIG|GET',
  group: 'server',
  since: '2.0.0',
  summary: 'Get the values of configuration parameters',
  complexity: 'O(N) when N is the number of configuration parameters provided',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: -3,
  args: [many(block('parameter', text('parameter')))],
  run: (session, argv) => {
    const asked = argv.slice(2).map((_, i) => textAt(argv, i + 2));
    const shown = session.context.settings.shown((name) => asked.some((pattern) => isMatch(pattern, name)));
    return new MapReply(shown.map(([name, value]) => [utf8(spelling(asked, name)), utf8(value)]));
  },
});

const isMatch = (pattern: string, name: string): boolean => pattern === '*' || matchesGlob(pattern.toLowerCase(), name);

/** A name comes back as it was asked for, if a pattern before it has not met it (config.c configGetCommand). */
function spelling(asked: readonly string[], name: string): string {
  const first = asked.find((pattern) => isMatch(pattern, name));
  return first?.toLowerCase() === name ? first : name;
}

/** Settings are text; strings of replies are bytes. */
const utf8 = (value: string): Buffer => Buffer.from(value, 'utf8');

const set = sessionCommand({
  name: 'CONFIG|SET',
  group: 'server',
  since: '2.0.0',
  summary: 'Set configuration parameters to the given values',
  complexity: 'O(N) when N is the number of configuration parameters provided',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: -4,
  args: [many(block('parameter_value', text('parameter'), text('value')))],
  secretsOf: (argv) => argv.flatMap((_, i) => (isSecretValue(argv, i) ? [i] : [])),
  run: (session, argv) => {
    if (argv.length % 2 !== 0) return fail(SYNTAX_ERROR);
    const changes: [string, string][] = [];
    for (let i = 2; i < argv.length; i += 2) {
      changes.push([textAt(argv, i), argv[i + 1]?.toString('utf8') ?? '']);
    }
    try {
      session.context.settings.set(changes);
    } catch (error) {
      if (error instanceof SettingError) return fail(refusal(error));
      throw error;
    }
    return OK;
  },
});

function refusal(error: SettingError): ErrorReply {
  if (error.code === 'unknown') return configUnknown(error.setting ?? '');
  return configSetFailed(error.setting ?? '', error.reason);
}

/** Values of settings whose names speak of secrets are not logged, whether they exist or not. */
function isSecretValue(argv: readonly Buffer[], index: number): boolean {
  return index >= 3 && index % 2 === 1 && /pass|secret|auth/i.test(textAt(argv, index - 1));
}

const resetStat = sessionCommand({
  name: 'CONFIG|RESETSTAT',
  group: 'server',
  since: '2.0.0',
  summary: 'Reset the stats returned by INFO',
  complexity: 'O(1)',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: 2,
  args: [],
  run: (session) => {
    const { cluster, stats, table } = session.context;
    stats.reset();
    cluster.keyspaceStats.reset();
    cluster.transactionStats.reset();
    for (const entry of table.all()) entry.stats.reset();
    return OK;
  },
});

const rewrite = sessionCommand({
  name: 'CONFIG|REWRITE',
  group: 'server',
  since: '2.8.0',
  summary: 'Rewrite the configuration file with the in memory configuration',
  complexity: 'O(1)',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: 2,
  args: [],
  run: async (session): Promise<Reply> => {
    const { rewriteConfiguration } = session.context;
    if (rewriteConfiguration === null) return CONFIG_NO_FILE;
    try {
      await rewriteConfiguration();
    } catch (error) {
      return configRewriteFailed(error instanceof Error ? error.message : String(error));
    }
    return OK;
  },
});

const help = sessionCommand({
  name: 'CONFIG|HELP',
  group: 'server',
  since: '5.0.0',
  summary: 'Show helpful text about the different subcommands',
  complexity: 'O(1)',
  flags: ['loading', 'stale'],
  arity: 2,
  args: [],
  run: () =>
    helpReply('CONFIG', [
      'GET <pattern>',
      '    Return parameters matching the glob-like <pattern> and their values.',
      'SET <directive> <value>',
      '    Set the configuration <directive> to <value>.',
      'RESETSTAT',
      '    Reset statistics reported by the INFO command.',
      'REWRITE',
      '    Rewrite the configuration file.',
    ]),
});

export const configCommands = [
  sessionContainer(
    { name: 'CONFIG', group: 'server', since: '2.0.0', summary: 'A container for server configuration commands' },
    [get, help, resetStat, rewrite, set],
  ),
] as const;
