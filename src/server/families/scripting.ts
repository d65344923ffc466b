/** SCRIPT: the cluster-wide catalogue of scripts. (EVAL and its kin are data commands.) */
import { many, oneOf, optional, text, token } from '../../commands/grammar.ts';
import { NOT_BUSY, SCRIPT_FLUSH_OPTION, fail, genericError } from '../../resp/errors.ts';
import { OK } from '../../resp/reply.ts';
import type { Reply } from '../../resp/reply.ts';
import { textAt, upperAt } from '../arguments.ts';
import { sessionCommand, sessionContainer } from '../session-command.ts';
import { helpReply } from './help.ts';

const load = sessionCommand({
  name: 'SCRIPT|LOAD',
  group: 'scripting',
  since: '2.6.0',
  summary: 'Load the specified Lua script into the script cache.',
  complexity: 'O(N) with N being the length in bytes of the script body.',
  flags: ['noscript', 'stale'],
  arity: 3,
  args: [text('script')],
  run: ({ context }, argv): Reply | Promise<Reply> => {
    const body = argv[2] ?? Buffer.alloc(0);
    const refusal = context.compileScript(context.scriptDigests.of(body), body);
    return refusal ?? context.cluster.scripts.loadEverywhere(body);
  },
});

const exists = sessionCommand({
  name: 'SCRIPT|EXISTS',
  group: 'scripting',
  since: '2.6.0',
  summary: 'Check existence of scripts in the script cache.',
  complexity: 'O(N) with N being the number of scripts to check (so checking a single script is an O(1) operation).',
  flags: ['noscript'],
  arity: -3,
  args: [many(text('sha1'))],
  run: async ({ context }, argv): Promise<Reply> => {
    const digests = argv.slice(2).map((_, i) => textAt(argv, i + 2).toLowerCase());
    return (await context.cluster.scripts.exists(digests)).map((isKnown) => (isKnown ? 1 : 0));
  },
});

const flush = sessionCommand({
  name: 'SCRIPT|FLUSH',
  group: 'scripting',
  since: '2.6.0',
  summary: 'Remove all the scripts from the script cache.',
  complexity: 'O(N) with N being the number of scripts in cache',
  flags: ['noscript'],
  arity: -2,
  args: [optional(oneOf('async', token('ASYNC'), token('SYNC')))],
  run: async ({ context }, argv): Promise<Reply> => {
    const mode = argv.length === 2 ? 'SYNC' : upperAt(argv, 2);
    if (argv.length > 3 || (mode !== 'SYNC' && mode !== 'ASYNC')) return fail(SCRIPT_FLUSH_OPTION);
    await context.cluster.scripts.flush();
    return OK;
  },
});

/**
 * A script runs to its end within one turn of the node, or is stopped by lua-time-limit with nothing applied; no
 * command can arrive while one runs.
 */
const kill = sessionCommand({
  name: 'SCRIPT|KILL',
  group: 'scripting',
  since: '2.6.0',
  summary: 'Kill the script currently in execution.',
  complexity: 'O(1)',
  flags: ['noscript', 'allow_busy'],
  arity: 2,
  args: [],
  run: () => fail(NOT_BUSY),
});

const debug = sessionCommand({
  name: 'SCRIPT|DEBUG',
  group: 'scripting',
  since: '3.2.0',
  summary: 'Set the debug mode for executed scripts.',
  complexity: 'O(1)',
  flags: ['noscript'],
  arity: 3,
  args: [oneOf('mode', token('YES'), token('SYNC'), token('NO'))],
  run: (session, argv) => {
    if (session.isInExec || session.hasUnanswered || session.outputBytes > 0) {
      return fail(genericError('SCRIPT DEBUG must be called outside a pipeline'));
    }
    const mode = upperAt(argv, 2);
    if (mode === 'NO') return OK;
    if (mode === 'YES' || mode === 'SYNC') return fail(genericError('SCRIPT DEBUG is not supported by this server'));
    return fail(genericError('Use SCRIPT DEBUG YES/SYNC/NO'));
  },
});

const help = sessionCommand({
  name: 'SCRIPT|HELP',
  group: 'scripting',
  since: '5.0.0',
  summary: 'Show helpful text about the different subcommands',
  complexity: 'O(1)',
  flags: ['loading', 'stale'],
  arity: 2,
  args: [],
  run: () =>
    helpReply('SCRIPT', [
      'DEBUG (YES|SYNC|NO)',
      '    Set the debug mode for subsequent scripts executed.',
      'EXISTS <sha1> [<sha1> ...]',
      '    Return information about the existence of the scripts in the script cache.',
      'FLUSH [ASYNC|SYNC]',
      '    Flush the Lua scripts cache. Very dangerous on replicas.',
      '    When called without the optional mode argument, the behavior is determined by the',
      '    lazyfree-lazy-user-flush configuration directive. Valid modes are:',
      '    * ASYNC: Asynchronously flush the scripts cache.',
      '    * SYNC: Synchronously flush the scripts cache.',
      'KILL',
      '    Kill the currently executing Lua script.',
      'LOAD <script>',
      '    Load a script into the scripts cache without executing it.',
    ]),
});

export const scriptingCommands = [
  sessionContainer(
    { name: 'SCRIPT', group: 'scripting', since: '2.6.0', summary: 'A container for Lua scripts management commands' },
    [debug, exists, flush, help, kill, load],
  ),
] as const;
