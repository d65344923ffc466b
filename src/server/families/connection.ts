/** Commands about the connection itself: greeting, authentication, database, end. */
import { after, block, integer, optional, text } from '../../commands/grammar.ts';
import {
  AUTH_WITHOUT_PASSWORD,
  CLIENT_NAME_INVALID,
  HELLO_NOAUTH,
  NO_PROTO,
  PROTO_NOT_AN_INTEGER,
  SYNTAX_ERROR,
  WRONG_PASS,
  fail,
  helloSyntax,
  wrongArity,
} from '../../resp/errors.ts';
import { MapReply, OK, PONG, Status } from '../../resp/reply.ts';
import type { Reply } from '../../resp/reply.ts';
import { isKeyword, mustDatabase, mustIntegerAt, textAt } from '../arguments.ts';
import { describeClient } from '../client-line.ts';
import { REDIS_VERSION } from '../context.ts';
import { DEFAULT_USER } from '../credentials.ts';
import { CLIENT_TEXT_BYTES_MAX } from '../limits.ts';
import { isClusterMode } from '../mode.ts';
import { sessionCommand } from '../session-command.ts';
import type { Session } from '../session.ts';

const ping = sessionCommand({
  name: 'PING',
  group: 'connection',
  since: '1.0.0',
  summary: 'Ping the server',
  complexity: 'O(1)',
  flags: ['fast'],
  arity: -1,
  args: [optional(text('message'))],
  run: (_session, argv) => {
    if (argv.length > 2) return fail(wrongArity('ping'));
    return argv[1] ?? PONG;
  },
});

const echo = sessionCommand({
  name: 'ECHO',
  group: 'connection',
  since: '1.0.0',
  summary: 'Echo the given string',
  complexity: 'O(1)',
  flags: ['loading', 'stale', 'fast'],
  arity: 2,
  args: [text('message')],
  run: (_session, argv) => argv[1] ?? '',
});

const auth = sessionCommand({
  name: 'AUTH',
  group: 'connection',
  since: '1.0.0',
  summary: 'Authenticate to the server',
  complexity: 'O(N) where N is the number of passwords defined for the user',
  flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth', 'allow_busy'],
  arity: -2,
  args: [optional(text('username')), text('password')],
  secretsOf: (argv) => argv.map((_, i) => i).slice(1),
  run: (session, argv) => {
    if (argv.length > 3) return fail(SYNTAX_ERROR);
    const [, first, second] = argv;
    if (first === undefined) return fail(SYNTAX_ERROR);
    if (second !== undefined) return authenticate(session, 'AUTH', [first, second]);
    if (!session.context.credentials.isRequired) return fail(AUTH_WITHOUT_PASSWORD);
    return authenticate(session, 'AUTH', [Buffer.from(DEFAULT_USER), first]);
  },
});

type NameAndPassword = readonly [user: Buffer, password: Buffer];

function authenticate(session: Session, by: 'AUTH' | 'hello', [user, password]: NameAndPassword): Reply {
  const { context } = session;
  if (!context.credentials.verify(user, password)) {
    context.stats.authFailures++;
    context.aclLog.record({
      object: by,
      user: textAt([user], 0).slice(0, CLIENT_TEXT_BYTES_MAX),
      clientInfo: describeClient(session),
      wallMs: context.platform.clock.wallMs(),
    });
    context.log.warn('authentication failed', { client: session.id, address: session.connection.remoteAddress });
    return fail(WRONG_PASS);
  }
  session.setAuthenticated(true);
  return OK;
}

interface HelloOptions {
  readonly credentials: NameAndPassword | null;
  readonly name: string | null;
}

const hello = sessionCommand({
  name: 'HELLO',
  group: 'connection',
  since: '6.0.0',
  summary: 'Handshake with Redis',
  complexity: 'O(1)',
  flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth', 'allow_busy'],
  arity: -1,
  args: [
    optional(
      block(
        'arguments',
        integer('protover'),
        optional(after('AUTH', block('username_password', text('username'), text('password')))),
        optional(after('SETNAME', text('clientname'))),
      ),
    ),
  ],
  secretsOf: (argv) => {
    const at = argv.findIndex((argument, i) => i >= 2 && isKeyword(argument, 'AUTH'));
    return at === -1 ? [] : [at + 1, at + 2];
  },
  run: (session, argv) => {
    let version: 2 | 3 | null = null;
    if (argv.length >= 2) {
      const asked = mustIntegerAt(argv, 1, PROTO_NOT_AN_INTEGER);
      if (asked !== 2 && asked !== 3) return fail(NO_PROTO);
      version = asked;
    }
    const options = helloOptions(argv);
    if (options.credentials !== null) authenticate(session, 'hello', options.credentials);
    if (!session.isAuthenticated) return fail(HELLO_NOAUTH);
    if (options.name !== null) session.name = options.name;
    if (version !== null) session.protocol = version;
    return greeting(session);
  },
});

/** AUTH and SETNAME in any order, after the version. */
function helloOptions(argv: readonly Buffer[]): HelloOptions {
  let credentials: HelloOptions['credentials'] = null;
  let name: string | null = null;
  let i = 2;
  while (i < argv.length) {
    const [option, first, second] = argv.slice(i, i + 3);
    if (option !== undefined && isKeyword(option, 'AUTH') && first !== undefined && second !== undefined) {
      credentials = [first, second];
      i += 3;
    } else if (option !== undefined && isKeyword(option, 'SETNAME') && first !== undefined) {
      name = mustClientName(first);
      i += 2;
    } else {
      return fail(helloSyntax(textAt(argv, i)));
    }
  }
  return { credentials, name };
}

function greeting(session: Session): Reply {
  return new MapReply([
    ['server', 'redis'],
    ['version', REDIS_VERSION],
    ['proto', session.protocol],
    ['id', session.id],
    ['mode', isClusterMode(session.context) ? 'cluster' : 'standalone'],
    ['role', 'master'],
    ['modules', []],
  ]);
}

/** Printable ASCII without spaces, as validateClientName; an empty name takes the name away. */
export function mustClientName(name: Buffer): string {
  const characters = textAt([name], 0);
  if (name.length > CLIENT_TEXT_BYTES_MAX || !/^[!-~]*$/.test(characters)) return fail(CLIENT_NAME_INVALID);
  return characters;
}

const select = sessionCommand({
  name: 'SELECT',
  group: 'connection',
  since: '1.0.0',
  summary: 'Change the selected database for the current connection',
  complexity: 'O(1)',
  flags: ['loading', 'stale', 'fast'],
  arity: 2,
  args: [integer('index')],
  run: (session, argv) => {
    session.database = mustDatabase(argv);
    return OK;
  },
});

const quit = sessionCommand({
  name: 'QUIT',
  group: 'connection',
  since: '1.0.0',
  summary: 'Close the connection',
  complexity: 'O(1)',
  flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth', 'allow_busy'],
  arity: -1,
  args: [],
  isImmediateInMulti: true,
  run: (session) => {
    session.endAfterReplies();
    return OK;
  },
});

const RESET_STATUS = new Status('RESET');

const reset = sessionCommand({
  name: 'RESET',
  group: 'connection',
  since: '6.2.0',
  summary: 'Reset the connection',
  complexity: 'O(1)',
  flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth', 'allow_busy'],
  arity: 1,
  args: [],
  isImmediateInMulti: true,
  run: (session) => {
    const { context } = session;
    session.setTransaction(null);
    session.watched = [];
    session.openTransaction?.rollback();
    session.setOpenTransaction(null);
    session.setReplyMode('on');
    session.database = 0;
    session.protocol = 2;
    session.name = '';
    session.isNoEvict = false;
    session.isNoTouch = false;
    session.setMoment(0);
    session.isReadOnly = false;
    if (session.isMonitor) {
      session.isMonitor = false;
      context.monitors.remove(session);
      context.dispatcher.updateGate();
    }
    session.setAuthenticated(!context.credentials.isRequired);
    return RESET_STATUS;
  },
});

export const connectionCommands = [auth, echo, hello, ping, quit, reset, select] as const;
