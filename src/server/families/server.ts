/** The node as a Redis server: time, saving (everything acknowledged is durable already), roles, end. */
import { block, integer, many, oneOf, optional, text, token, after } from '../../commands/grammar.ts';
import {
  DB_OUT_OF_RANGE,
  INVALID_FIRST_DB,
  INVALID_SECOND_DB,
  SYNTAX_ERROR,
  fail,
  genericError,
} from '../../resp/errors.ts';
import { OK, Status, VerbatimReply } from '../../resp/reply.ts';
import type { Reply } from '../../resp/reply.ts';
import { DATABASES, isKeyword, mustIntAt, mustIntegerAt, upperAt } from '../arguments.ts';
import { REDIS_VERSION } from '../context.ts';
import { NO_REPLY, sessionCommand, sessionContainer } from '../session-command.ts';
import { helpReply } from './help.ts';

const time = sessionCommand({
  name: 'TIME',
  group: 'server',
  since: '2.6.0',
  summary: 'Return the current server time',
  complexity: 'O(1)',
  flags: ['loading', 'stale', 'fast'],
  arity: 1,
  args: [],
  run: (session) => {
    const wallMs = session.context.platform.clock.wallMs();
    const seconds = Math.floor(wallMs / 1000);
    return [String(seconds), String(Math.floor((wallMs - seconds * 1000) * 1000))];
  },
});

const lastSave = sessionCommand({
  name: 'LASTSAVE',
  group: 'server',
  since: '1.0.0',
  summary: 'Get the UNIX time stamp of the last successful save to disk',
  complexity: 'O(1)',
  flags: ['loading', 'stale', 'fast'],
  arity: 1,
  categories: ['admin', 'dangerous'],
  args: [],
  run: (session) => Math.floor(session.context.platform.clock.wallMs() / 1000),
});

const save = sessionCommand({
  name: 'SAVE',
  group: 'server',
  since: '1.0.0',
  summary: 'Synchronously save the dataset to disk',
  complexity: 'O(N) where N is the total number of keys in all databases',
  flags: ['admin', 'noscript', 'no_multi'],
  arity: 1,
  args: [],
  run: () => OK,
});

const BGSAVE_STARTED = new Status('Background saving started');
const BGSAVE_SCHEDULED = new Status('Background saving scheduled');

const backgroundSave = sessionCommand({
  name: 'BGSAVE',
  group: 'server',
  since: '1.0.0',
  summary: 'Asynchronously save the dataset to disk',
  complexity: 'O(1)',
  flags: ['admin', 'noscript'],
  arity: -1,
  args: [optional(token('SCHEDULE'))],
  run: (_session, argv) => {
    const [, option] = argv;
    if (argv.length > 2) return fail(SYNTAX_ERROR);
    if (option === undefined) return BGSAVE_STARTED;
    return isKeyword(option, 'SCHEDULE') ? BGSAVE_SCHEDULED : fail(SYNTAX_ERROR);
  },
});

const backgroundRewrite = sessionCommand({
  name: 'BGREWRITEAOF',
  group: 'server',
  since: '1.0.0',
  summary: 'Asynchronously rewrite the append-only file',
  complexity: 'O(1)',
  flags: ['admin', 'noscript'],
  arity: 1,
  args: [],
  run: () => new Status('Background append only file rewriting started'),
});

/** Every node takes writes; replication is the cluster's own and not visible as Redis replicas. */
const role = sessionCommand({
  name: 'ROLE',
  group: 'server',
  since: '2.8.12',
  summary: 'Return the role of the instance in the context of replication',
  complexity: 'O(1)',
  flags: ['noscript', 'loading', 'stale', 'fast'],
  arity: 1,
  categories: ['admin', 'dangerous'],
  args: [],
  run: () => ['master', 0, []],
});

const NO_REPLICAOF = genericError(
  'replication is built in: start nodes with initial-cluster or join instead of making this one a replica',
);
const NO_SYNC = genericError('replicas of Redis cannot follow this server; its nodes replicate among themselves');

const replicaOf = sessionCommand({
  name: 'REPLICAOF',
  group: 'server',
  since: '5.0.0',
  summary: 'Make the server a replica of another instance, or promote it as master.',
  complexity: 'O(1)',
  flags: ['admin', 'noscript', 'stale'],
  arity: 3,
  args: [oneOf('args', block('host-port', text('host'), integer('port')), block('no-one', token('NO'), token('ONE')))],
  run: (_session, argv) => refuseReplication(argv),
});

const slaveOf = sessionCommand({
  name: 'SLAVEOF',
  group: 'server',
  since: '1.0.0',
  summary: 'Make the server a replica of another instance, or promote it as master.',
  complexity: 'O(1)',
  flags: ['admin', 'noscript', 'stale'],
  arity: 3,
  args: [oneOf('args', block('host-port', text('host'), integer('port')), block('no-one', token('NO'), token('ONE')))],
  run: (_session, argv) => refuseReplication(argv),
});

/** NO ONE is what this node is. */
function refuseReplication(argv: readonly Buffer[]): Reply {
  return upperAt(argv, 1) === 'NO' && upperAt(argv, 2) === 'ONE' ? OK : fail(NO_REPLICAOF);
}

const psync = sessionCommand({
  name: 'PSYNC',
  group: 'server',
  since: '2.8.0',
  summary: 'Internal command used for replication',
  complexity: 'O(1)',
  flags: ['admin', 'noscript', 'no_multi'],
  arity: -3,
  args: [text('replicationid'), integer('offset')],
  run: () => fail(NO_SYNC),
});

const sync = sessionCommand({
  name: 'SYNC',
  group: 'server',
  since: '1.0.0',
  summary: 'Internal command used for replication',
  complexity: 'O(1)',
  flags: ['admin', 'noscript', 'no_multi'],
  arity: 1,
  args: [],
  run: () => fail(NO_SYNC),
});

const failover = sessionCommand({
  name: 'FAILOVER',
  group: 'server',
  since: '6.2.0',
  summary: 'Start a coordinated failover between this server and one of its replicas.',
  complexity: 'O(1)',
  flags: ['admin', 'noscript', 'stale'],
  arity: -1,
  args: [
    optional(after('TO', block('target', text('host'), integer('port'), optional(token('FORCE'))))),
    optional(token('ABORT')),
    optional(after('TIMEOUT', integer('milliseconds'))),
  ],
  run: (_session, argv) => {
    if (argv.length === 2 && upperAt(argv, 1) === 'ABORT') return fail(genericError('No failover in progress.'));
    checkFailoverOptions(argv);
    return fail(genericError('FAILOVER requires connected replicas.'));
  },
});

const FAILOVER_TIMEOUT = genericError('FAILOVER timeout must be greater than 0');

/** As replication.c failoverCommand: each option once. */
function checkFailoverOptions(argv: readonly Buffer[]): void {
  let [hasTarget, hasTimeout] = [false, false];
  for (let i = 1; i < argv.length; i++) {
    const word = upperAt(argv, i);
    if (word === 'TIMEOUT' && i + 1 < argv.length && !hasTimeout) {
      i += 1;
      if (mustIntegerAt(argv, i) < 1) fail(FAILOVER_TIMEOUT);
      hasTimeout = true;
    } else if (word === 'TO' && i + 2 < argv.length && !hasTarget) {
      i += 2;
      mustIntegerAt(argv, i);
      hasTarget = true;
    } else if (word !== 'FORCE') {
      fail(SYNTAX_ERROR);
    }
  }
}

const shutdown = sessionCommand({
  name: 'SHUTDOWN',
  group: 'server',
  since: '1.0.0',
  summary: 'Synchronously save the dataset to disk and then shut down the server',
  complexity: 'O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)',
  flags: ['admin', 'noscript', 'loading', 'stale', 'no_multi', 'allow_busy'],
  arity: -1,
  args: [
    optional(oneOf('nosave_save', token('NOSAVE'), token('SAVE'))),
    optional(token('NOW')),
    optional(token('FORCE')),
    optional(token('ABORT')),
  ],
  run: (session, argv) => {
    const words = new Set(argv.slice(1).map((_, i) => upperAt(argv, i + 1)));
    const isKnown = [...words].every((word) => SHUTDOWN_WORDS.has(word));
    const isContradictory = (words.has('SAVE') && words.has('NOSAVE')) || (words.has('ABORT') && words.size > 1);
    if (!isKnown || isContradictory) return fail(SYNTAX_ERROR);
    if (words.has('ABORT')) return fail(genericError('No shutdown in progress.'));
    session.context.log.warn('SHUTDOWN was asked for by a client', {
      client: session.id,
      address: session.connection.remoteAddress,
    });
    session.context.onShutdown({ isImmediate: words.has('NOW') });
    return NO_REPLY;
  },
});

const SHUTDOWN_WORDS: ReadonlySet<string> = new Set(['NOSAVE', 'SAVE', 'NOW', 'FORCE', 'ABORT']);

const NO_SWAP = genericError('SWAPDB is not supported: databases share partitions and cannot be exchanged in one step');

const swapDb = sessionCommand({
  name: 'SWAPDB',
  group: 'server',
  since: '4.0.0',
  summary: 'Swaps two Redis databases',
  complexity: 'O(N) where N is the count of clients watching or blocking on keys from both databases.',
  flags: ['write', 'fast'],
  arity: 3,
  categories: ['keyspace', 'dangerous'],
  args: [integer('index1'), integer('index2')],
  run: (_session, argv) => {
    const first = mustIntAt(argv, 1, INVALID_FIRST_DB);
    const second = mustIntAt(argv, 2, INVALID_SECOND_DB);
    const isDatabase = (index: number): boolean => index >= 0 && index < DATABASES;
    if (!isDatabase(first) || !isDatabase(second)) return fail(DB_OUT_OF_RANGE);
    return first === second ? OK : fail(NO_SWAP);
  },
});

const ART = [
  '        .---.',
  '   ____/ o o \\_____      the wave that comes back',
  '  /  ~ ~  ^  ~ ~   \\     is the one that was committed',
  ' /_~_~_~_~_~_~_~_~__\\',
];

/** How many numbers each version's drawing takes (lolwut5.c, lolwut6.c). */
const LOLWUT_NUMBERS: Readonly<Record<number, number>> = { 5: 3, 6: 2 };

const lolwut = sessionCommand({
  name: 'LOLWUT',
  group: 'server',
  since: '5.0.0',
  summary: 'Display some computer art and the Redis version',
  complexity: 'O(1)',
  flags: ['readonly', 'fast'],
  arity: -1,
  args: [optional(after('VERSION', integer('version')))],
  run: (session, argv) => {
    if (argv.length > 2 && upperAt(argv, 1) === 'VERSION') {
      // Numbers behind the version shape Redis's drawings; ours has one shape, and checks them all the same.
      const shape = argv.slice(3, 3 + (LOLWUT_NUMBERS[mustIntegerAt(argv, 2)] ?? 0));
      shape.forEach((_, i) => mustIntegerAt(argv, 3 + i));
    }
    const versions = `Redis ver. ${REDIS_VERSION} (Kahuna ${session.context.version})`;
    return new VerbatimReply('txt', `${ART.join('\n')}\n${versions}\n`);
  },
});

const NO_MODULES = genericError('modules cannot be loaded into this server');

const moduleList = sessionCommand({
  name: 'MODULE|LIST',
  group: 'server',
  since: '4.0.0',
  summary: 'List all modules loaded by the server',
  complexity: 'O(N) where N is the number of loaded modules.',
  flags: ['admin', 'noscript'],
  arity: 2,
  args: [],
  run: () => [],
});

const moduleLoad = sessionCommand({
  name: 'MODULE|LOAD',
  group: 'server',
  since: '4.0.0',
  summary: 'Load a module',
  complexity: 'O(1)',
  flags: ['admin', 'noscript'],
  arity: -3,
  args: [text('path'), optional(many(text('arg')))],
  run: () => fail(NO_MODULES),
});

const moduleLoadEx = sessionCommand({
  name: 'MODULE|LOADEX',
  group: 'server',
  since: '7.0.0',
  summary: 'Load a module with extended parameters',
  complexity: 'O(1)',
  flags: ['admin', 'noscript'],
  arity: -3,
  args: [
    text('path'),
    optional(many(after('CONFIG', block('configs', text('name'), text('value'))))),
    optional(many(after('ARGS', block('args', text('arg'))))),
  ],
  run: () => fail(NO_MODULES),
});

const moduleUnload = sessionCommand({
  name: 'MODULE|UNLOAD',
  group: 'server',
  since: '4.0.0',
  summary: 'Unload a module',
  complexity: 'O(1)',
  flags: ['admin', 'noscript'],
  arity: 3,
  args: [text('name')],
  run: () => fail(genericError('Error unloading module: no such module with that name')),
});

const moduleHelp = sessionCommand({
  name: 'MODULE|HELP',
  group: 'server',
  since: '5.0.0',
  summary: 'Show helpful text about the different subcommands',
  complexity: 'O(1)',
  flags: ['loading', 'stale'],
  arity: 2,
  args: [],
  run: () =>
    helpReply('MODULE', [
      'LIST',
      '    Return a list of loaded modules.',
      'LOAD <path> [<arg> ...]',
      '    Load a module library from <path>, passing to it any optional arguments.',
      'LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]',
      '    Load a module library from <path>, while passing it module configurations and optional arguments.',
      'UNLOAD <name>',
      '    Unload a module.',
    ]),
});

export const serverCommands = [
  backgroundRewrite,
  backgroundSave,
  failover,
  lastSave,
  lolwut,
  psync,
  replicaOf,
  role,
  save,
  shutdown,
  slaveOf,
  swapDb,
  sync,
  time,
  sessionContainer({ name: 'MODULE', group: 'server', since: '4.0.0', summary: 'A container for module commands' }, [
    moduleHelp,
    moduleList,
    moduleLoad,
    moduleLoadEx,
    moduleUnload,
  ]),
] as const;
