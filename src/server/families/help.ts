/** The answer of HELP subcommands (networking.c addReplyHelp): `lines` without the frame that all of them share. */
import { Status } from '../../resp/reply.ts';
import type { Reply } from '../../resp/reply.ts';

export function helpReply(command: string, lines: readonly string[]): Reply {
  return [
    `${command} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`,
    ...lines,
    'HELP',
    '    Prints this help.',
  ].map((line) => new Status(line));
}
