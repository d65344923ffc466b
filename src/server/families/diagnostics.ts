/** What an operator looks at: SLOWLOG, LATENCY, MEMORY (of the node), MONITOR, DEBUG (its harmless part). */
import { integer, many, optional, text } from '../../commands/grammar.ts';
import { SLOWLOG_COUNT, fail, genericError, unknownSubcommandOrArity } from '../../resp/errors.ts';
import {
  BigNumberReply,
  DoubleReply,
  EncodedReply,
  ErrorReply,
  MapReply,
  OK,
  PushReply,
  SetReply,
  VerbatimReply,
} from '../../resp/reply.ts';
import type { Reply } from '../../resp/reply.ts';
import { encodeReply } from '../../resp/encode.ts';
import { mustIntegerAt, textAt, upperAt } from '../arguments.ts';
import type { CommandEntry } from '../command-table.ts';
import type { ServerContext } from '../context.ts';
import type { LatencyEvent } from '../latency.ts';
import { DEBUG_SLEEP_MS_MAX } from '../limits.ts';
import { memoryReport } from '../memory-report.ts';
import { NO_REPLY, sessionCommand, sessionContainer } from '../session-command.ts';
import type { Session } from '../session.ts';
import { helpReply } from './help.ts';

// ---------------------------------------------------------------------------------------------------------------
// SLOWLOG

const SLOWLOG_DEFAULT_COUNT = 10;

const slowLogGet = sessionCommand({
  name: 'SLOWLOG|GET',
  group: 'server',
  since: '2.2.12',
  summary: "Get the slow log's entries",
  complexity: 'O(N) where N is the number of entries returned',
  flags: ['admin', 'loading', 'stale'],
  arity: -2,
  args: [optional(integer('count'))],
  run: (session, argv) => {
    if (argv.length > 3) return fail(unknownSubcommandOrArity('SLOWLOG', argv[1] ?? Buffer.alloc(0)));
    if (argv.length === 2) return session.context.slowLog.reply(SLOWLOG_DEFAULT_COUNT);
    const count = mustIntegerAt(argv, 2, SLOWLOG_COUNT);
    if (count < -1) return fail(SLOWLOG_COUNT);
    return session.context.slowLog.reply(count);
  },
});

const slowLogLen = sessionCommand({
  name: 'SLOWLOG|LEN',
  group: 'server',
  since: '2.2.12',
  summary: "Get the slow log's length",
  complexity: 'O(1)',
  flags: ['admin', 'loading', 'stale'],
  arity: 2,
  args: [],
  run: (session) => session.context.slowLog.length,
});

const slowLogReset = sessionCommand({
  name: 'SLOWLOG|RESET',
  group: 'server',
  since: '2.2.12',
  summary: 'Clear all entries from the slow log',
  complexity: 'O(N) where N is the number of entries in the slowlog',
  flags: ['admin', 'loading', 'stale'],
  arity: 2,
  args: [],
  run: (session) => {
    session.context.slowLog.reset();
    return OK;
  },
});

const slowLogHelp = sessionCommand({
  name: 'SLOWLOG|HELP',
  group: 'server',
  since: '6.2.0',
  summary: 'Show helpful text about the different subcommands',
  complexity: 'O(1)',
  flags: ['loading', 'stale'],
  arity: 2,
  args: [],
  run: () =>
    helpReply('SLOWLOG', [
      'GET [<count>]',
      '    Return top <count> entries from the slowlog (default: 10, -1 mean all).',
      '    Entries are made of:',
      '    id, timestamp, time in microseconds, arguments array, client IP and port,',
      '    client name',
      'LEN',
      '    Return the length of the slowlog.',
      'RESET',
      '    Reset the slowlog.',
    ]),
});

// ---------------------------------------------------------------------------------------------------------------
// LATENCY

const latencyLatest = sessionCommand({
  name: 'LATENCY|LATEST',
  group: 'server',
  since: '2.8.13',
  summary: 'Return the latest latency samples for all events.',
  complexity: 'O(1)',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: 2,
  args: [],
  run: (session) =>
    session.context.latency.events().map((event) => {
      const last = event.samples.at(-1);
      return [event.name, last?.wallSeconds ?? 0, last?.latencyMs ?? 0, event.maxMs];
    }),
});

const latencyHistory = sessionCommand({
  name: 'LATENCY|HISTORY',
  group: 'server',
  since: '2.8.13',
  summary: 'Return timestamp-latency samples for the event.',
  complexity: 'O(1)',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: 3,
  args: [text('event')],
  run: (session, argv) => {
    const event = session.context.latency.event(textAt(argv, 2));
    return event === undefined ? [] : event.samples.map((sample) => [sample.wallSeconds, sample.latencyMs]);
  },
});

const latencyReset = sessionCommand({
  name: 'LATENCY|RESET',
  group: 'server',
  since: '2.8.13',
  summary: 'Reset latency data for one or more events.',
  complexity: 'O(1)',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: -2,
  args: [optional(many(text('event')))],
  run: (session, argv) => session.context.latency.reset(argv.slice(2).map((_, i) => textAt(argv, i + 2))),
});

const latencyGraph = sessionCommand({
  name: 'LATENCY|GRAPH',
  group: 'server',
  since: '2.8.13',
  summary: 'Return a latency graph for the event.',
  complexity: 'O(1)',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: 3,
  args: [text('event')],
  run: (session, argv) => {
    const name = textAt(argv, 2);
    const event = session.context.latency.event(name);
    if (event === undefined) return fail(genericError(`No samples available for event '${name}'`));
    return new VerbatimReply('txt', latencyBars(event));
  },
});

const GRAPH_COLUMNS = 60;

/** The samples as lines of bars: the numbers of LATENCY HISTORY, for eyes. */
function latencyBars(event: LatencyEvent): string {
  const lowest = Math.min(...event.samples.map((sample) => sample.latencyMs));
  let lines = `${event.name} - high ${event.maxMs} ms, low ${lowest} ms (all time high ${event.maxMs} ms)\n`;
  lines += `${'-'.repeat(80)}\n`;
  for (const sample of event.samples) {
    const bar = '#'.repeat(Math.max(1, Math.round((sample.latencyMs / Math.max(1, event.maxMs)) * GRAPH_COLUMNS)));
    lines += `${sample.wallSeconds} ${String(sample.latencyMs).padStart(6)} ms ${bar}\n`;
  }
  return lines;
}

const latencyDoctor = sessionCommand({
  name: 'LATENCY|DOCTOR',
  group: 'server',
  since: '2.8.13',
  summary: 'Return a human readable latency analysis report.',
  complexity: 'O(1)',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: 2,
  args: [],
  run: (session) => {
    const { latency, live } = session.context;
    if (live.latencyThresholdMs === 0) {
      return new VerbatimReply(
        'txt',
        'Latency monitoring is disabled in this instance. You may use "CONFIG SET latency-monitor-threshold ' +
          '<milliseconds>." in order to enable it.\n',
      );
    }
    const events = latency.events();
    if (events.length === 0) {
      return new VerbatimReply('txt', 'No latency spike was observed during the lifetime of this instance.\n');
    }
    const lines = events.map((event, i) => {
      const average = event.samples.reduce((sum, sample) => sum + sample.latencyMs, 0) / event.samples.length;
      return (
        `${i + 1}. ${event.name}: ${event.samples.length} latency spikes (average ${average.toFixed(0)}ms, ` +
        `worst all time event ${event.maxMs}ms). A write waits for the disks of a majority: look at their latency and ` +
        'at the network between the nodes first, then at SLOWLOG.'
      );
    });
    return new VerbatimReply('txt', `${lines.join('\n')}\n`);
  },
});

const latencyHistogram = sessionCommand({
  name: 'LATENCY|HISTOGRAM',
  group: 'server',
  since: '7.0.0',
  summary: 'Return the cumulative distribution of latencies of a subset of commands or all.',
  complexity: 'O(N) where N is the number of commands with latency information being retrieved.',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: -2,
  args: [optional(many(text('command')))],
  run: (session, argv) => {
    const { table } = session.context;
    const named = argv.slice(2).flatMap((_, i) => {
      const entry = table.findByFullName(textAt(argv, i + 2));
      return entry === undefined ? [] : [entry, ...(entry.subcommands?.values() ?? [])];
    });
    const entries = argv.length === 2 ? [...table.all()] : named;
    return new MapReply(
      entries.flatMap((entry) =>
        entry.stats.histogram === null ? [] : [[entry.fullName, histogramReply(entry)] as const],
      ),
    );
  },
});

/** Cumulative counts at powers of two, from the first bucket in use to the one that completes the count. */
function histogramReply(entry: CommandEntry): Reply {
  const buckets: (readonly [Reply, Reply])[] = [];
  let total = 0;
  entry.stats.histogram?.forEach((count, i) => {
    if (count === 0) return;
    total += count;
    buckets.push([2 ** i, total]);
  });
  return new MapReply([
    ['calls', total],
    ['histogram_usec', new MapReply(buckets)],
  ]);
}

const latencyHelp = sessionCommand({
  name: 'LATENCY|HELP',
  group: 'server',
  since: '2.8.13',
  summary: 'Show helpful text about the different subcommands.',
  complexity: 'O(1)',
  flags: ['loading', 'stale'],
  arity: 2,
  args: [],
  run: () =>
    helpReply('LATENCY', [
      'DOCTOR',
      '    Return a human readable latency analysis report.',
      'GRAPH <event>',
      '    Return an ASCII latency graph for the <event> class.',
      'HISTORY <event>',
      '    Return time-latency samples for the <event> class.',
      'LATEST',
      '    Return the latest latency samples for all events.',
      'RESET [<event> ...]',
      '    Reset latency data of one or more <event> classes.',
      '    (default: reset all data for all event classes)',
      'HISTOGRAM [COMMAND ...]',
      '    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.',
      '    If no commands are specified then all histograms are replied.',
    ]),
});

// ---------------------------------------------------------------------------------------------------------------
// MEMORY

const memoryDoctor = sessionCommand({
  name: 'MEMORY|DOCTOR',
  group: 'server',
  since: '4.0.0',
  summary: 'Outputs memory problems report',
  complexity: 'O(1)',
  flags: [],
  arity: 2,
  args: [],
  run: (session) => {
    const report = memoryReport(session.context);
    const isFull = report.maxBytes > 0 && report.residentBytes > report.maxBytes;
    return new VerbatimReply(
      'txt',
      isFull
        ? `Resident values take ${report.residentBytes} bytes, more than maxmemory (${report.maxBytes}): changed values ` +
            'cannot leave memory before they are on disk. Writes wait meanwhile.\n'
        : "Hi Sam, I can't find any memory issue in your instance. I can only account for what occurs on this base.\n",
    );
  },
});

const memoryStats = sessionCommand({
  name: 'MEMORY|STATS',
  group: 'server',
  since: '4.0.0',
  summary: 'Show memory usage details',
  complexity: 'O(1)',
  flags: [],
  arity: 2,
  args: [],
  run: (session) => {
    const report = memoryReport(session.context);
    const perKey = report.residentKeys === 0 ? 0 : Math.floor(report.residentBytes / report.residentKeys);
    return new MapReply([
      ['peak.allocated', report.peakBytes],
      ['total.allocated', report.usedBytes],
      ['startup.allocated', report.startupBytes],
      ['replication.backlog', report.logBytes],
      ['clients.slaves', 0],
      ['clients.normal', report.clientBytes],
      ['cluster.links', 0],
      ['aof.buffer', 0],
      ['lua.caches', 0],
      ['overhead.total', Math.max(0, report.usedBytes - report.residentBytes)],
      ['keys.count', report.residentKeys],
      ['keys.bytes-per-key', perKey],
      ['dataset.bytes', report.residentBytes],
      ['dataset.percentage', new DoubleReply(percentage(report.residentBytes, report.usedBytes))],
      ['peak.percentage', new DoubleReply(percentage(report.usedBytes, report.peakBytes))],
      ['allocator.allocated', report.usedBytes],
      ['allocator.active', report.heapBytes],
      ['allocator.resident', report.processBytes],
      ['fragmentation', new DoubleReply(report.usedBytes === 0 ? 1 : report.processBytes / report.usedBytes)],
      ['fragmentation.bytes', report.processBytes - report.usedBytes],
    ]);
  },
});

const percentage = (part: number, whole: number): number => (whole === 0 ? 0 : (part / whole) * 100);

const memoryMallocStats = sessionCommand({
  name: 'MEMORY|MALLOC-STATS',
  group: 'server',
  since: '4.0.0',
  summary: 'Show allocator internal stats',
  complexity: 'Depends on how much memory is allocated, could be slow',
  flags: [],
  arity: 2,
  args: [],
  run: (session) => {
    const memory = session.context.facts.memory();
    return new VerbatimReply(
      'txt',
      `resident ${memory.residentBytes}\nheap used ${memory.heapUsedBytes}\nheap total ${memory.heapTotalBytes}\n` +
        `external ${memory.externalBytes}\n`,
    );
  },
});

const memoryPurge = sessionCommand({
  name: 'MEMORY|PURGE',
  group: 'server',
  since: '4.0.0',
  summary: 'Ask the allocator to release memory',
  complexity: 'Depends on how much memory is allocated, could be slow',
  flags: [],
  arity: 2,
  args: [],
  run: () => OK,
});

const memoryHelp = sessionCommand({
  name: 'MEMORY|HELP',
  group: 'server',
  since: '4.0.0',
  summary: 'Show helpful text about the different subcommands',
  complexity: 'O(1)',
  flags: ['loading', 'stale'],
  arity: 2,
  args: [],
  run: () =>
    helpReply('MEMORY', [
      'DOCTOR',
      '    Return memory problems reports.',
      'MALLOC-STATS',
      '    Return internal statistics report from the memory allocator.',
      'PURGE',
      '    Attempt to purge dirty pages for reclamation by the allocator.',
      'STATS',
      '    Return information about the memory usage of the server.',
      'USAGE <key> [SAMPLES <count>]',
      '    Return memory in bytes used by <key> and its value. Nested values are',
      '    sampled up to <count> times (default: 5, 0 means sample all).',
    ]),
});

// ---------------------------------------------------------------------------------------------------------------
// MONITOR

const MONITOR_IN_EXEC = genericError("MONITOR isn't allowed for DENY BLOCKING client");

const monitor = sessionCommand({
  name: 'MONITOR',
  group: 'server',
  since: '1.0.0',
  summary: 'Listen for all requests received by the server in real time',
  complexity: 'O(1)',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: 1,
  args: [],
  run: (session) => {
    if (session.isInExec) return fail(MONITOR_IN_EXEC);
    if (session.isMonitor) return NO_REPLY;
    session.isMonitor = true;
    session.context.monitors.add(session);
    session.context.dispatcher.updateGate();
    return OK;
  },
});

// ---------------------------------------------------------------------------------------------------------------
// DEBUG

const debug = sessionCommand({
  name: 'DEBUG',
  group: 'server',
  since: '1.0.0',
  summary: 'A container for debugging commands',
  complexity: 'Depends on subcommand.',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: -2,
  args: [],
  run: (session, argv) => {
    const run = DEBUG_VERBS[upperAt(argv, 1)];
    if (run === undefined) return fail(unknownSubcommandOrArity('DEBUG', argv[1] ?? Buffer.alloc(0)));
    return run(session, argv);
  },
});

type DebugVerb = (session: Session, argv: readonly Buffer[]) => Reply | Promise<Reply>;

const DEBUG_VERBS: Readonly<Record<string, DebugVerb>> = {
  SLEEP: (session, argv) => sleep(session.context, mustHave(argv, 3)),
  ERROR: (_session, argv) => new ErrorReply(textAt(mustHave(argv, 3), 2)),
  PROTOCOL: (session, argv) => protocolExample(session, textAt(mustHave(argv, 3), 2)),
  'SET-ACTIVE-EXPIRE': () =>
    fail(
      genericError('DEBUG SET-ACTIVE-EXPIRE is refused: keys expire by the log of their partition, not by this node'),
    ),
  'CHANGE-REPL-ID': () => fail(genericError('DEBUG CHANGE-REPL-ID is refused: there is no replication id')),
  HELP: (_session, argv) => {
    mustHave(argv, 2);
    return helpReply('DEBUG', [
      'SLEEP <seconds>',
      '    Answer after <seconds>. Decimals are allowed. Only this connection waits.',
      'ERROR <string>',
      '    Return a Redis protocol error with <string> as message. Useful for clients',
      '    unit tests to simulate Redis errors.',
      'PROTOCOL <type>',
      '    Reply with a test value of the specified type. <type> can be: string,',
      '    integer, double, bignum, null, array, set, map, attrib, push, verbatim,',
      '    true, false.',
    ]);
  },
};

function mustHave(argv: readonly Buffer[], count: number): readonly Buffer[] {
  if (argv.length !== count) return fail(unknownSubcommandOrArity('DEBUG', argv[1] ?? Buffer.alloc(0)));
  return argv;
}

/** The connection waits, the node does not: other clients are served. */
function sleep(context: ServerContext, argv: readonly Buffer[]): Promise<Reply> {
  // As strtod: what is no number is zero.
  const seconds = Math.max(0, Number.parseFloat(textAt(argv, 2)) || 0);
  return new Promise((resolve) => {
    context.platform.timers.after(Math.min(seconds * 1000, DEBUG_SLEEP_MS_MAX), () => {
      resolve(OK);
    });
  });
}

/** An attribute, which RESP3 puts in front of a reply: `|1` and what `%1` would hold. */
const KEY_POPULARITY = Buffer.from('|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n');

const inARow = (encoded: readonly Buffer[]): EncodedReply => new EncodedReply(Buffer.concat(encoded));

/** As debug.c of Redis: a value of each type, for tests of clients. A push and an attribute are no reply of their own. */
function protocolExample(session: Session, type: string): Reply {
  switch (type.toLowerCase()) {
    case 'string':
      return 'Hello World';
    case 'integer':
      return 12345;
    case 'double':
      return new DoubleReply(3.141);
    case 'null':
      return null;
    case 'array':
      return [0, 1, 2];
    case 'set':
      return new SetReply([0, 1, 2]);
    case 'map':
      return new MapReply([
        [0, false],
        [1, true],
        [2, false],
      ]);
    case 'push':
      return session.protocol === 2
        ? fail(genericError('RESP2 is not supported by this command'))
        : inARow([
            encodeReply(new PushReply(['server-cpu-usage', 42]), 3),
            encodeReply('Some real reply following the push reply', 3),
          ]);
    case 'attrib': {
      const reply = 'Some real reply following the attribute';
      return session.protocol === 2 ? reply : inARow([KEY_POPULARITY, encodeReply(reply, 3)]);
    }
    case 'verbatim':
      return new VerbatimReply('txt', 'This is a verbatim\nstring');
    case 'true':
      return true;
    case 'false':
      return false;
    case 'bignum':
      return new BigNumberReply('1234567999999999999999999999999999999');
    default:
      return fail(
        genericError(
          'Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false',
        ),
      );
  }
}

export const diagnosticsCommands = [
  debug,
  sessionContainer(
    { name: 'LATENCY', group: 'server', since: '2.8.13', summary: 'A container for latency diagnostics commands' },
    [latencyDoctor, latencyGraph, latencyHelp, latencyHistogram, latencyHistory, latencyLatest, latencyReset],
  ),
  sessionContainer(
    { name: 'MEMORY', group: 'server', since: '4.0.0', summary: 'A container for memory diagnostics commands' },
    [memoryDoctor, memoryHelp, memoryMallocStats, memoryPurge, memoryStats],
  ),
  monitor,
  sessionContainer(
    { name: 'SLOWLOG', group: 'server', since: '2.2.12', summary: 'A container for slow log commands' },
    [slowLogGet, slowLogHelp, slowLogLen, slowLogReset],
  ),
] as const;
