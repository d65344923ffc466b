/** ACL, as far as there are users: the one user `default`, who may do everything once authenticated. */
import { integer, many, oneOf, optional, text, token } from '../../commands/grammar.ts';
import { fail, genericError, unknownSubcommandOrArity, wrongArity } from '../../resp/errors.ts';
import { MapReply, OK, SetReply } from '../../resp/reply.ts';
import type { Reply } from '../../resp/reply.ts';
import { ACL_CATEGORIES } from '../acl-categories.ts';
import { mustIntegerAt, textAt, upperAt } from '../arguments.ts';
import type { ServerContext } from '../context.ts';
import { DEFAULT_USER } from '../credentials.ts';
import { sessionCommand, sessionContainer } from '../session-command.ts';
import { helpReply } from './help.ts';

const whoAmI = sessionCommand({
  name: 'ACL|WHOAMI',
  group: 'server',
  since: '6.0.0',
  summary: 'Return the name of the user associated to the current connection',
  complexity: 'O(1)',
  flags: ['noscript', 'loading', 'stale'],
  arity: 2,
  args: [],
  run: () => DEFAULT_USER,
});

const users = sessionCommand({
  name: 'ACL|USERS',
  group: 'server',
  since: '6.0.0',
  summary: 'List the username of all the configured ACL rules',
  complexity: 'O(N). Where N is the number of configured users.',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: 2,
  args: [],
  run: () => [DEFAULT_USER],
});

const list = sessionCommand({
  name: 'ACL|LIST',
  group: 'server',
  since: '6.0.0',
  summary: 'List the current ACL rules in ACL config file format',
  complexity: 'O(N). Where N is the number of configured users.',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: 2,
  args: [],
  run: ({ context }) => {
    const digest = context.credentials.digestHex;
    return [`user default on ${digest === null ? 'nopass' : `#${digest}`} ~* &* +@all`];
  },
});

const getUser = sessionCommand({
  name: 'ACL|GETUSER',
  group: 'server',
  since: '6.0.0',
  summary: 'Get the rules for a specific ACL user',
  complexity: 'O(N). Where N is the number of password, command and pattern rules that the user has.',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: 3,
  args: [text('username')],
  run: ({ context }, argv) => (textAt(argv, 2) === DEFAULT_USER ? describeDefault(context) : null),
});

function describeDefault(context: ServerContext): Reply {
  const digest = context.credentials.digestHex;
  return new MapReply([
    ['flags', new SetReply(digest === null ? ['on', 'nopass'] : ['on'])],
    ['passwords', digest === null ? [] : [digest]],
    ['commands', '+@all'],
    ['keys', '~*'],
    ['channels', '&*'],
    ['selectors', []],
  ]);
}

const categories = sessionCommand({
  name: 'ACL|CAT',
  group: 'server',
  since: '6.0.0',
  summary: 'List the ACL categories or the commands inside a category',
  complexity: 'O(1) since the categories and commands are a fixed set.',
  flags: ['noscript', 'loading', 'stale'],
  arity: -2,
  args: [optional(text('categoryname'))],
  run: ({ context }, argv) => {
    if (argv.length > 3) return fail(unknownSubcommandOrArity('ACL', argv[1] ?? Buffer.alloc(0)));
    if (argv.length === 2) return [...ACL_CATEGORIES];
    const wanted = textAt(argv, 2).toLowerCase();
    if (!ACL_CATEGORIES.some((category) => category === wanted)) {
      return fail(genericError(`Unknown category '${textAt(argv, 2)}'`));
    }
    return [...context.table.all()]
      .filter((entry) => entry.spec.categories.includes(wanted))
      .map((entry) => entry.fullName);
  },
});

const GENPASS_BITS_DEFAULT = 256;
const GENPASS_BITS_MAX = 4096;
const GENPASS_RANGE = genericError(
  `ACL GENPASS argument must be the number of bits for the output password, a positive number up to ${GENPASS_BITS_MAX}`,
);

const generatePassword = sessionCommand({
  name: 'ACL|GENPASS',
  group: 'server',
  since: '6.0.0',
  summary: 'Generate a pseudorandom secure password to use for ACL users',
  complexity: 'O(1)',
  flags: ['noscript', 'loading', 'stale'],
  arity: -2,
  args: [optional(integer('bits'))],
  run: ({ context }, argv) => {
    if (argv.length > 3) return fail(unknownSubcommandOrArity('ACL', argv[1] ?? Buffer.alloc(0)));
    const bits = argv.length === 2 ? GENPASS_BITS_DEFAULT : mustIntegerAt(argv, 2);
    if (bits <= 0 || bits > GENPASS_BITS_MAX) return fail(GENPASS_RANGE);
    const digits = Math.ceil(bits / 4);
    const bytes = context.platform.random.bytes(Math.ceil(digits / 2));
    return Buffer.from(bytes).toString('hex').slice(0, digits);
  },
});

const ACL_LOG_DEFAULT_COUNT = 10;

const log = sessionCommand({
  name: 'ACL|LOG',
  group: 'server',
  since: '6.0.0',
  summary: 'List latest events denied because of ACLs in place',
  complexity: 'O(N) with N being the number of entries shown.',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: -2,
  args: [optional(oneOf('operation', integer('count'), token('RESET')))],
  run: ({ context }, argv) => {
    if (argv.length > 3) return fail(unknownSubcommandOrArity('ACL', argv[1] ?? Buffer.alloc(0)));
    if (argv.length === 3 && upperAt(argv, 2) === 'RESET') {
      context.aclLog.reset();
      return OK;
    }
    const count = argv.length === 3 ? mustIntegerAt(argv, 2) : ACL_LOG_DEFAULT_COUNT;
    return context.aclLog.reply(Math.max(0, count), context.platform.clock.wallMs());
  },
});

const dryRun = sessionCommand({
  name: 'ACL|DRYRUN',
  group: 'server',
  since: '7.0.0',
  summary: 'Returns whether the user can execute the given command without executing the command.',
  complexity: 'O(1).',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: -4,
  args: [text('username'), text('command'), optional(many(text('arg')))],
  run: ({ context }, argv) => {
    if (textAt(argv, 2) !== DEFAULT_USER) return fail(genericError(`User '${textAt(argv, 2)}' not found`));
    const request = argv.slice(3);
    const entry = context.table.resolveWhole(request) ?? fail(genericError(`Command '${textAt(argv, 3)}' not found`));
    return entry.acceptsArgumentCount(request.length) ? OK : fail(wrongArity(entry.fullName));
  },
});

const ONE_USER = genericError(
  "there is one user, 'default': set its password with CONFIG SET requirepass (users cannot be created or changed)",
);
const NO_FILE = genericError(
  'This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command ' +
    'and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the ' +
    'Redis configuration.',
);

const setUser = sessionCommand({
  name: 'ACL|SETUSER',
  group: 'server',
  since: '6.0.0',
  summary: 'Modify or create the rules for a specific ACL user',
  complexity: 'O(N). Where N is the number of rules provided.',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: -3,
  args: [text('username'), optional(many(text('rule')))],
  secretsOf: (argv) => argv.map((_, i) => i).slice(3),
  run: () => fail(ONE_USER),
});

const deleteUser = sessionCommand({
  name: 'ACL|DELUSER',
  group: 'server',
  since: '6.0.0',
  summary: 'Remove the specified ACL users and the associated rules',
  complexity: 'O(1) amortized time considering the typical user.',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: -3,
  args: [many(text('username'))],
  run: (_session, argv) => {
    if (argv.slice(2).some((user) => user.toString('latin1') === DEFAULT_USER)) {
      return fail(genericError("The 'default' user cannot be removed"));
    }
    return 0;
  },
});

const load = sessionCommand({
  name: 'ACL|LOAD',
  group: 'server',
  since: '6.0.0',
  summary: 'Reload the ACLs from the configured ACL file',
  complexity: 'O(N). Where N is the number of configured users.',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: 2,
  args: [],
  run: () => fail(NO_FILE),
});

const save = sessionCommand({
  name: 'ACL|SAVE',
  group: 'server',
  since: '6.0.0',
  summary: 'Save the current ACL rules in the configured ACL file',
  complexity: 'O(N). Where N is the number of configured users.',
  flags: ['admin', 'noscript', 'loading', 'stale'],
  arity: 2,
  args: [],
  run: () => fail(NO_FILE),
});

const help = sessionCommand({
  name: 'ACL|HELP',
  group: 'server',
  since: '6.0.0',
  summary: 'Show helpful text about the different subcommands',
  complexity: 'O(1)',
  flags: ['loading', 'stale'],
  arity: 2,
  args: [],
  run: () =>
    helpReply('ACL', [
      'CAT [<category>]',
      '    List all commands that belong to <category>, or all command categories',
      '    when no category is specified.',
      'DELUSER <username> [<username> ...]',
      '    Delete a list of users.',
      'DRYRUN <username> <command> [<arg> ...]',
      '    Returns whether the user can execute the given command without executing the command.',
      'GETUSER <username>',
      "    Get the user's details.",
      'GENPASS [<bits>]',
      '    Generate a secure 256-bit user password. The optional `bits` argument can',
      '    be used to specify a different size.',
      'LIST',
      '    Show users details in config file format.',
      'LOAD',
      '    Reload users from the ACL file.',
      'LOG [<count> | RESET]',
      '    Show the ACL log entries.',
      'SAVE',
      '    Save the current config to the ACL file.',
      'SETUSER <username> <attribute> [<attribute> ...]',
      '    Create or modify a user with the specified attributes.',
      'USERS',
      '    List all the registered usernames.',
      'WHOAMI',
      '    Return the current connection username.',
    ]),
});

export const aclCommands = [
  sessionContainer(
    { name: 'ACL', group: 'server', since: '6.0.0', summary: 'A container for Access List Control commands' },
    [categories, deleteUser, dryRun, generatePassword, getUser, help, list, load, log, save, setUser, users, whoAmI],
  ),
] as const;
