/** Syntax lines from the argument grammar: what HELP and the documentation show. `SET key value [NX | XX] [EX seconds]` */
import { Status } from '../resp/reply.ts';
import { type ArgSpec, type CommandSpec, type DataCommand, defineCommand } from './define.ts';

/** The name as it is typed, and its arguments. */
export function syntaxOf(command: CommandSpec): string {
  return [command.name.replace('|', ' '), ...command.args.map(syntaxOfArgument)].join(' ');
}

function syntaxOfArgument(arg: ArgSpec): string {
  const one = arg.type === 'pure-token' ? (arg.token ?? '') : [arg.token, contentOf(arg)].filter(Boolean).join(' ');
  const all = arg.multiple === true ? `${one} [${one} ...]` : one;
  return arg.optional === true ? `[${all}]` : all;
}

function contentOf(arg: ArgSpec): string {
  const parts = (arg.args ?? []).map(syntaxOfArgument);
  if (arg.type === 'block') return parts.join(' ');
  if (arg.type !== 'oneof') return arg.name;
  // An optional choice has its brackets already; a mandatory one needs something to hold it together.
  const choice = parts.join(' | ');
  return arg.optional === true && arg.multiple !== true && arg.token === undefined ? choice : `<${choice}>`;
}

/** `CONTAINER|HELP`: the syntax and summary of each subcommand, in the form of Redis's own HELP. */
export function defineHelp(container: string, since: string, subcommands: readonly DataCommand[]): DataCommand {
  const lines = [
    `${container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`,
    ...subcommands.flatMap((row) => [syntaxOf(row).slice(container.length + 1), `    ${row.summary}`]),
    'HELP',
    '    Prints this help.',
  ].map((line) => new Status(line));
  return defineCommand({
    name: `${container}|HELP`,
    group: 'kahuna',
    since,
    summary: 'Returns helpful text about the different subcommands.',
    complexity: 'O(1)',
    flags: ['loading', 'stale'],
    args: [],
    run: () => lines,
  });
}
