/** CLIENT: what a connection is called and how it behaves, and the other connections of this node. */
import { after, block, integer, many, oneOf, optional, text, token } from '../../commands/grammar.ts';
import {
  CLIENT_CACHING_NOT_TRACKING,
  CLIENT_ID_NOT_POSITIVE,
  CLIENT_PAUSE_MODE,
  CLIENT_UNBLOCK_REASON,
  INVALID_CLIENT_ID,
  NO_SUCH_CLIENT,
  SYNTAX_ERROR,
  TRACKING_BCAST_OPT,
  TRACKING_OPTIN_AND_OPTOUT,
  TRACKING_PREFIX_WITHOUT_BCAST,
  TRACKING_REDIRECT_TWICE,
  TRACKING_REDIRECT_UNKNOWN,
  clientAttributeInvalid,
  clientAttributeUnknown,
  fail,
  genericError,
  noSuchUser,
  unknownClientType,
  unknownSubcommandOrArity,
} from '../../resp/errors.ts';
import { MapReply, OK, SetReply, VerbatimReply } from '../../resp/reply.ts';
import type { Reply } from '../../resp/reply.ts';
import { isKeyword, maybeInteger, mustIntegerAt, mustTimeoutAt, textAt, upperAt } from '../arguments.ts';
import { describeClient } from '../client-line.ts';
import { DEFAULT_USER } from '../credentials.ts';
import { CLIENT_TEXT_BYTES_MAX } from '../limits.ts';
import { NO_REPLY, sessionCommand, sessionContainer } from '../session-command.ts';
import type { Session } from '../session.ts';
import { mustClientName } from './connection.ts';
import { helpReply } from './help.ts';

const id = sessionCommand({
  name: 'CLIENT|ID',
  group: 'connection',
  since: '5.0.0',
  summary: 'Returns the client ID for the current connection',
  complexity: 'O(1)',
  flags: ['noscript', 'loading', 'stale'],
  arity: 2,
  args: [],
  run: (session) => session.id,
});

const info = sessionCommand({
  name: 'CLIENT|INFO',
  group: 'connection',
  since: '6.2.0',
  summary: 'Returns information about the current client connection.',
  complexity: 'O(1)',
  flags: ['noscript', 'loading', 'stale'],
  arity: 2,
  args: [],
  run: (session) => new VerbatimReply('txt', `${describeClient(session)}\n`),
});

const getName = sessionCommand({
  name: 'CLIENT|GETNAME',
  group: 'connection',
  since: '2.6.9',
  summary: 'Get the current connection name',
  complexity: 'O(1)',
  flags: ['noscript', 'loading', 'stale'],
  arity: 2,
  args: [],
  run: (session) => (session.name === '' ? null : session.name),
});

const setName = sessionCommand({
  name: 'CLIENT|SETNAME',
  group: 'connection',
  since: '2.6.9',
  summary: 'Set the current connection name',
  complexity: 'O(1)',
  flags: ['noscript', 'loading', 'stale'],
  arity: 3,
  args: [text('connection-name')],
  run: (session, argv) => {
    session.name = mustClientName(argv[2] ?? Buffer.alloc(0));
    return OK;
  },
});

const setInfo = sessionCommand({
  name: 'CLIENT|SETINFO',
  group: 'connection',
  since: '7.2.0',
  summary: 'Sets information specific to the client or connection.',
  complexity: 'O(1)',
  flags: ['noscript', 'loading', 'stale'],
  arity: 4,
  args: [oneOf('attr', after('LIB-NAME', text('libname')), after('LIB-VER', text('libver')))],
  run: (session, argv) => {
    const attribute = textAt(argv, 2).toLowerCase();
    if (attribute !== 'lib-name' && attribute !== 'lib-ver') return fail(clientAttributeUnknown(textAt(argv, 2)));
    const value = textAt(argv, 3);
    if (value.length > CLIENT_TEXT_BYTES_MAX || !/^[!-~]*$/.test(value)) return fail(clientAttributeInvalid(attribute));
    if (attribute === 'lib-name') session.libraryName = value;
    else session.libraryVersion = value;
    return OK;
  },
});

type ClientType = 'normal' | 'master' | 'replica' | 'pubsub';

const CLIENT_TYPES: Readonly<Record<string, ClientType>> = {
  normal: 'normal',
  master: 'master',
  replica: 'replica',
  slave: 'replica',
  pubsub: 'pubsub',
};

function mustClientType(argv: readonly Buffer[], index: number): ClientType {
  return CLIENT_TYPES[textAt(argv, index).toLowerCase()] ?? fail(unknownClientType(textAt(argv, index)));
}

/** Connections of nodes and of subscribers are not client connections of this server: all of these are normal. */
const typeOf = (_session: Session): ClientType => 'normal';

const list = sessionCommand({
  name: 'CLIENT|LIST',
  group: 'connection',
  since: '2.4.0',
  summary: 'Get the list of client connections',
  complexity: 'O(N) where N is the number of client connections',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: -2,
  args: [
    optional(
      after(
        'TYPE',
        oneOf('normal_master_replica_pubsub', token('NORMAL'), token('MASTER'), token('REPLICA'), token('PUBSUB')),
      ),
    ),
    optional(after('ID', block('id', many(integer('client-id'))))),
  ],
  run: (session, argv) => {
    const { clients } = session.context;
    let chosen: Iterable<Session> = clients.all();
    if (argv.length === 4 && upperAt(argv, 2) === 'TYPE') {
      const type = mustClientType(argv, 3);
      chosen = [...chosen].filter((client) => typeOf(client) === type);
    } else if (argv.length > 3 && upperAt(argv, 2) === 'ID') {
      const ids = argv.slice(3).map((_, i) => mustIntegerAt(argv, i + 3, INVALID_CLIENT_ID));
      chosen = ids.flatMap((wanted) => clients.get(wanted) ?? []);
    } else if (argv.length !== 2) {
      return fail(SYNTAX_ERROR);
    }
    let lines = '';
    for (const client of chosen) lines += `${describeClient(client)}\n`;
    return new VerbatimReply('txt', lines);
  },
});

interface KillFilter {
  id: number | null;
  type: ClientType | null;
  address: string | null;
  localAddress: string | null;
  skipsMe: boolean;
}

const kill = sessionCommand({
  name: 'CLIENT|KILL',
  group: 'connection',
  since: '2.4.0',
  summary: 'Kill the connection of a client',
  complexity: 'O(N) where N is the number of client connections',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: -3,
  args: [
    oneOf(
      'filter',
      text('ip:port'),
      many(
        oneOf(
          'new-format',
          optional(after('ID', integer('client-id'))),
          optional(
            after(
              'TYPE',
              oneOf(
                'normal_master_slave_pubsub',
                token('NORMAL'),
                token('MASTER'),
                token('SLAVE'),
                token('REPLICA'),
                token('PUBSUB'),
              ),
            ),
          ),
          optional(after('USER', text('username'))),
          optional(after('ADDR', text('ip:port'))),
          optional(after('LADDR', text('ip:port'))),
          optional(after('SKIPME', text('yes/no'))),
        ),
      ),
    ),
  ],
  run: (session, argv) => {
    const isOldForm = argv.length === 3;
    const filter: KillFilter = isOldForm
      ? { id: null, type: null, address: textAt(argv, 2), localAddress: null, skipsMe: false }
      : killFilter(argv);
    const victims = [...session.context.clients.all()].filter((client) => isVictim(session, client, filter));
    for (const client of victims) {
      // The one who asks gets its answer first.
      if (client === session) session.endAfterReplies();
      else client.kill();
    }
    if (!isOldForm) return victims.length;
    return victims.length === 0 ? fail(NO_SUCH_CLIENT) : OK;
  },
});

function killFilter(argv: readonly Buffer[]): KillFilter {
  const filter: KillFilter = { id: null, type: null, address: null, localAddress: null, skipsMe: true };
  for (let i = 2; i < argv.length; i += 2) {
    if (i + 1 >= argv.length) return fail(SYNTAX_ERROR);
    switch (upperAt(argv, i)) {
      case 'ID':
        filter.id = maybeInteger(textAt(argv, i + 1)) ?? fail(CLIENT_ID_NOT_POSITIVE);
        if (filter.id < 1) return fail(CLIENT_ID_NOT_POSITIVE);
        break;
      case 'TYPE':
        filter.type = mustClientType(argv, i + 1);
        break;
      case 'ADDR':
        filter.address = textAt(argv, i + 1);
        break;
      case 'LADDR':
        filter.localAddress = textAt(argv, i + 1);
        break;
      case 'USER':
        if (textAt(argv, i + 1) !== DEFAULT_USER) return fail(noSuchUser(textAt(argv, i + 1)));
        break;
      case 'SKIPME':
        filter.skipsMe = mustYesNo(argv, i + 1);
        break;
      default:
        return fail(SYNTAX_ERROR);
    }
  }
  return filter;
}

function mustYesNo(argv: readonly Buffer[], index: number): boolean {
  const word = upperAt(argv, index);
  if (word !== 'YES' && word !== 'NO') return fail(SYNTAX_ERROR);
  return word === 'YES';
}

function isVictim(session: Session, client: Session, filter: KillFilter): boolean {
  if (filter.skipsMe && client === session) return false;
  if (filter.id !== null && client.id !== filter.id) return false;
  if (filter.type !== null && typeOf(client) !== filter.type) return false;
  if (filter.address !== null && client.connection.remoteAddress !== filter.address) return false;
  return filter.localAddress === null || client.connection.localAddress === filter.localAddress;
}

const pause = sessionCommand({
  name: 'CLIENT|PAUSE',
  group: 'connection',
  since: '2.9.50',
  summary: 'Stop processing commands from clients for some time',
  complexity: 'O(1)',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: -3,
  args: [integer('timeout'), optional(oneOf('mode', token('WRITE'), token('ALL')))],
  run: (session, argv) => {
    if (argv.length > 4) return fail(unknownSubcommandOrArity('CLIENT', argv[1] ?? Buffer.alloc(0)));
    const mode = argv.length === 4 ? upperAt(argv, 3) : 'ALL';
    if (mode !== 'WRITE' && mode !== 'ALL') return fail(CLIENT_PAUSE_MODE);
    const durationMs = mustTimeoutAt(argv, 2, session.context.platform.clock.wallMs());
    session.context.pause.begin(mode === 'ALL' ? 'all' : 'write', durationMs);
    session.context.dispatcher.updateGate();
    return OK;
  },
});

const unpause = sessionCommand({
  name: 'CLIENT|UNPAUSE',
  group: 'connection',
  since: '6.2.0',
  summary: 'Resume processing of clients that were paused',
  complexity: 'O(N) Where N is the number of paused clients',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: 2,
  args: [],
  run: (session) => {
    session.context.pause.end();
    return OK;
  },
});

const reply = sessionCommand({
  name: 'CLIENT|REPLY',
  group: 'connection',
  since: '3.2.0',
  summary: 'Instruct the server whether to reply to commands',
  complexity: 'O(1)',
  flags: ['noscript', 'loading', 'stale'],
  arity: 3,
  args: [oneOf('on_off_skip', token('ON'), token('OFF'), token('SKIP'))],
  run: (session, argv) => {
    switch (upperAt(argv, 2)) {
      case 'ON':
        session.setReplyMode('on');
        return OK;
      case 'OFF':
        session.setReplyMode('off');
        return NO_REPLY;
      case 'SKIP':
        if (session.replyMode !== 'off') session.setReplyMode('skip');
        return NO_REPLY;
      default:
        return fail(SYNTAX_ERROR);
    }
  },
});

const noEvict = sessionCommand({
  name: 'CLIENT|NO-EVICT',
  group: 'connection',
  since: '7.0.0',
  summary: 'Set client eviction mode for the current connection',
  complexity: 'O(1)',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: 3,
  args: [oneOf('enabled', token('ON'), token('OFF'))],
  run: (session, argv) => {
    session.isNoEvict = mustOnOff(argv);
    return OK;
  },
});

const noTouch = sessionCommand({
  name: 'CLIENT|NO-TOUCH',
  group: 'connection',
  since: '7.2.0',
  summary: 'Controls whether commands sent by the client affect the LRU/LFU of accessed keys.',
  complexity: 'O(1)',
  flags: ['noscript', 'loading', 'stale'],
  arity: 3,
  args: [oneOf('enabled', token('ON'), token('OFF'))],
  run: (session, argv) => {
    session.isNoTouch = mustOnOff(argv);
    return OK;
  },
});

function mustOnOff(argv: readonly Buffer[]): boolean {
  const word = upperAt(argv, 2);
  if (word !== 'ON' && word !== 'OFF') return fail(SYNTAX_ERROR);
  return word === 'ON';
}

const NO_TRACKING = genericError(
  'client side caching is not supported: this server sends no invalidation messages (CLIENT TRACKING OFF is accepted)',
);

const tracking = sessionCommand({
  name: 'CLIENT|TRACKING',
  group: 'connection',
  since: '6.0.0',
  summary: 'Enable or disable server assisted client side caching support',
  complexity: 'O(1). Some options may introduce additional complexity.',
  flags: ['noscript', 'loading', 'stale'],
  arity: -3,
  args: [
    oneOf('status', token('ON'), token('OFF')),
    optional(after('REDIRECT', integer('client-id'))),
    optional(many(after('PREFIX', text('prefix')))),
    optional(token('BCAST')),
    optional(token('OPTIN')),
    optional(token('OPTOUT')),
    optional(token('NOLOOP')),
  ],
  run: (session, argv) => {
    const options = trackingOptions(session, argv);
    if (!mustOnOff(argv)) return OK;
    if (options.hasPrefix && !options.isBroadcast) return fail(TRACKING_PREFIX_WITHOUT_BCAST);
    if (options.isBroadcast && (options.isOptIn || options.isOptOut)) return fail(TRACKING_BCAST_OPT);
    if (options.isOptIn && options.isOptOut) return fail(TRACKING_OPTIN_AND_OPTOUT);
    return fail(NO_TRACKING);
  },
});

interface TrackingOptions {
  hasPrefix: boolean;
  isBroadcast: boolean;
  isOptIn: boolean;
  isOptOut: boolean;
}

/** Read also for OFF, and before the word ON or OFF is looked at (networking.c clientCommand). */
function trackingOptions(session: Session, argv: readonly Buffer[]): TrackingOptions {
  const options: TrackingOptions = { hasPrefix: false, isBroadcast: false, isOptIn: false, isOptOut: false };
  let isRedirected = false;
  for (let i = 3; i < argv.length; i++) {
    const word = upperAt(argv, i);
    const hasValue = i + 1 < argv.length;
    if (word === 'REDIRECT' && hasValue) {
      i += 1;
      if (isRedirected) return fail(TRACKING_REDIRECT_TWICE);
      const target = mustIntegerAt(argv, i);
      if (session.context.clients.get(target) === undefined) return fail(TRACKING_REDIRECT_UNKNOWN);
      isRedirected = true;
    } else if (word === 'PREFIX' && hasValue) {
      i += 1;
      options.hasPrefix = true;
    } else if (word === 'BCAST') options.isBroadcast = true;
    else if (word === 'OPTIN') options.isOptIn = true;
    else if (word === 'OPTOUT') options.isOptOut = true;
    else if (word !== 'NOLOOP') return fail(SYNTAX_ERROR);
  }
  return options;
}

const caching = sessionCommand({
  name: 'CLIENT|CACHING',
  group: 'connection',
  since: '6.0.0',
  summary: 'Instruct the server about tracking or not keys in the next request',
  complexity: 'O(1)',
  flags: ['noscript', 'loading', 'stale'],
  arity: 3,
  args: [oneOf('mode', token('YES'), token('NO'))],
  run: () => fail(CLIENT_CACHING_NOT_TRACKING),
});

const trackingInfo = sessionCommand({
  name: 'CLIENT|TRACKINGINFO',
  group: 'connection',
  since: '6.2.0',
  summary: 'Return information about server assisted client side caching for the current connection',
  complexity: 'O(1)',
  flags: ['noscript', 'loading', 'stale'],
  arity: 2,
  args: [],
  run: () =>
    new MapReply([
      ['flags', new SetReply(['off'])],
      ['redirect', -1],
      ['prefixes', []],
    ]),
});

const getRedirection = sessionCommand({
  name: 'CLIENT|GETREDIR',
  group: 'connection',
  since: '6.0.0',
  summary: 'Get tracking notifications redirection client ID if any',
  complexity: 'O(1)',
  flags: ['noscript', 'loading', 'stale'],
  arity: 2,
  args: [],
  run: () => -1,
});

const unblock = sessionCommand({
  name: 'CLIENT|UNBLOCK',
  group: 'connection',
  since: '5.0.0',
  summary: 'Unblock a client blocked in a blocking command from a different connection',
  complexity: 'O(log N) where N is the number of client connections',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: -3,
  args: [integer('client-id'), optional(oneOf('timeout_error', token('TIMEOUT'), token('ERROR')))],
  run: (session, argv) => {
    const reason = argv[3];
    if (argv.length > 4) return fail(unknownSubcommandOrArity('CLIENT', argv[1] ?? Buffer.alloc(0)));
    const isError = reason !== undefined && isKeyword(reason, 'ERROR');
    if (reason !== undefined && !isError && !isKeyword(reason, 'TIMEOUT')) return fail(CLIENT_UNBLOCK_REASON);
    return unblockClient(session, mustIntegerAt(argv, 2), isError);
  },
});

/** Ends the wait of a parked command as its timeout would; a command that is being served meanwhile is left alone. */
function unblockClient(session: Session, clientId: number, isError: boolean): Reply | Promise<Reply> {
  const { clients, cluster } = session.context;
  const work = clients.get(clientId)?.blockedWork ?? null;
  if (work === null) return 0;
  return cluster.unblock(work, isError ? 'error' : 'timeout').then((wasWaiting) => (wasWaiting ? 1 : 0));
}

const help = sessionCommand({
  name: 'CLIENT|HELP',
  group: 'connection',
  since: '5.0.0',
  summary: 'Show helpful text about the different subcommands',
  complexity: 'O(1)',
  flags: ['loading', 'stale'],
  arity: 2,
  args: [],
  run: () =>
    helpReply('CLIENT', [
      'CACHING (YES|NO)',
      '    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.',
      'GETREDIR',
      '    Return the client ID we are redirecting to when tracking is enabled.',
      'GETNAME',
      '    Return the name of the current connection.',
      'ID',
      '    Return the ID of the current connection.',
      'INFO',
      '    Return information about the current client connection.',
      'KILL <ip:port>',
      '    Kill connection made from <ip:port>.',
      'KILL <option> <value> [<option> <value> [...]]',
      '    Kill connections. Options are:',
      '    * ADDR (<ip:port>|<unixsocket>:0)',
      '      Kill connections made from the specified address',
      '    * LADDR (<ip:port>|<unixsocket>:0)',
      '      Kill connections made to specified local address',
      '    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)',
      '      Kill connections by type.',
      '    * USER <username>',
      '      Kill connections authenticated by <username>.',
      '    * SKIPME (YES|NO)',
      '      Skip killing current connection (default: yes).',
      'LIST [options ...]',
      '    Return information about client connections. Options:',
      '    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)',
      '      Return clients of specified type.',
      'UNPAUSE',
      '    Stop the current client pause, resuming traffic.',
      'PAUSE <timeout> [WRITE|ALL]',
      '    Suspend all, or just write, clients for <timeout> milliseconds.',
      'REPLY (ON|OFF|SKIP)',
      '    Control the replies sent to the current connection.',
      'SETNAME <name>',
      '    Assign the name <name> to the current connection.',
      'UNBLOCK <clientid> [TIMEOUT|ERROR]',
      '    Unblock the specified blocked client.',
      'TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]',
      '         [OPTIN] [OPTOUT] [NOLOOP]',
      '    Control server assisted client side caching.',
      'TRACKINGINFO',
      '    Report tracking status for the current connection.',
      'NO-EVICT (ON|OFF)',
      '    Protect current client connection from eviction.',
    ]),
});

export const clientCommands = [
  sessionContainer(
    {
      name: 'CLIENT',
      group: 'connection',
      since: '2.4.0',
      summary: 'A container for client connection commands',
    },
    [
      caching,
      getName,
      getRedirection,
      help,
      id,
      info,
      kill,
      list,
      noEvict,
      noTouch,
      pause,
      reply,
      setInfo,
      setName,
      tracking,
      trackingInfo,
      unblock,
      unpause,
    ],
  ),
] as const;
