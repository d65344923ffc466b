/** INFO: which sections, and how they are put together. */
import { many, optional, text } from '../../commands/grammar.ts';
import { VerbatimReply } from '../../resp/reply.ts';
import type { Reply } from '../../resp/reply.ts';
import { textAt } from '../arguments.ts';
import type { ServerContext } from '../context.ts';
import { INFO_SECTIONS } from '../info-sections.ts';
import { sessionCommand } from '../session-command.ts';

const info = sessionCommand({
  name: 'INFO',
  group: 'server',
  since: '1.0.0',
  summary: 'Get information and statistics about the server',
  complexity: 'O(1)',
  flags: ['loading', 'stale'],
  arity: -1,
  categories: ['dangerous'],
  args: [optional(many(text('section')))],
  run: ({ context }, argv) => infoReply(context, chosenSections(argv)),
});

/** Names of sections, in order of output; what is not known is left out, as in Redis. */
function chosenSections(argv: readonly Buffer[]): ReadonlySet<string> {
  const names = Object.keys(INFO_SECTIONS);
  const defaults = names.filter((name) => INFO_SECTIONS[name]?.isDefault === true);
  if (argv.length === 1) return new Set(defaults);
  const chosen = new Set<string>();
  for (let i = 1; i < argv.length; i++) {
    const word = textAt(argv, i).toLowerCase();
    if (word === 'all' || word === 'everything') for (const name of names) chosen.add(name);
    else if (word === 'default') for (const name of defaults) chosen.add(name);
    else chosen.add(word);
  }
  return chosen;
}

async function infoReply(context: ServerContext, chosen: ReadonlySet<string>): Promise<Reply> {
  const sections: string[] = [];
  for (const [name, { title, fields }] of Object.entries(INFO_SECTIONS)) {
    if (!chosen.has(name)) continue;
    const lines = (await fields(context)).map(([field, value]) => `${field}:${value}\r\n`);
    sections.push(`# ${title}\r\n${lines.join('')}`);
  }
  return new VerbatimReply('txt', sections.join('\r\n'));
}

export const infoCommands = [info] as const;
