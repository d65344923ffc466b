/** MULTI and its companions; what they do is in multi.ts. */
import { INSPECTS } from '../../commands/key-uses.ts';
import { beginTransaction, discardTransaction, execTransaction, unwatch, watch } from '../multi.ts';
import { sessionCommand } from '../session-command.ts';
import { key, many } from '../../commands/grammar.ts';

const multi = sessionCommand({
  name: 'MULTI',
  group: 'transactions',
  since: '1.2.0',
  summary: 'Mark the start of a transaction block',
  complexity: 'O(1)',
  flags: ['noscript', 'loading', 'stale', 'fast', 'allow_busy'],
  arity: 1,
  args: [],
  isImmediateInMulti: true,
  run: (session) => beginTransaction(session),
});

const exec = sessionCommand({
  name: 'EXEC',
  group: 'transactions',
  since: '1.2.0',
  summary: 'Execute all commands issued after MULTI',
  complexity: 'Depends on commands in the transaction',
  flags: ['noscript', 'loading', 'stale', 'skip_slowlog'],
  arity: 1,
  args: [],
  isImmediateInMulti: true,
  run: (session, argv) => execTransaction(session, argv),
});

const discard = sessionCommand({
  name: 'DISCARD',
  group: 'transactions',
  since: '2.0.0',
  summary: 'Discard all commands issued after MULTI',
  complexity: 'O(N), when N is the number of queued commands',
  flags: ['noscript', 'loading', 'stale', 'fast', 'allow_busy'],
  arity: 1,
  args: [],
  isImmediateInMulti: true,
  run: (session) => discardTransaction(session),
});

const watchRow = sessionCommand({
  name: 'WATCH',
  group: 'transactions',
  since: '2.2.0',
  summary: 'Watch the given keys to determine execution of the MULTI/EXEC block',
  complexity: 'O(1) for every key.',
  flags: ['noscript', 'loading', 'stale', 'fast', 'allow_busy'],
  arity: -2,
  args: [many(key())],
  keys: { first: 1, last: -1, step: 1 },
  keyUses: [INSPECTS],
  isImmediateInMulti: true,
  run: (session, argv) => watch(session, argv),
});

const unwatchRow = sessionCommand({
  name: 'UNWATCH',
  group: 'transactions',
  since: '2.2.0',
  summary: 'Forget about all watched keys',
  complexity: 'O(1)',
  flags: ['noscript', 'loading', 'stale', 'fast', 'allow_busy'],
  arity: 1,
  args: [],
  run: (session) => unwatch(session),
});

export const transactionCommands = [discard, exec, multi, unwatchRow, watchRow] as const;
