/** The page docs/commands.md, from the rows. */
import type { CommandSpec } from '../../src/commands/define.ts';
import { syntaxOf } from '../../src/commands/syntax.ts';
import {
  IDEMPOTENCY_IDS_MAX,
  IDEMPOTENCY_ID_BYTES_MAX,
  IDEMPOTENCY_RETENTION_MS,
} from '../../src/values/idempotency.ts';

const HEADINGS: Readonly<Record<string, string>> = {
  string: 'Strings',
  bitmap: 'Bitmaps',
  generic: 'Keys',
  server: 'Databases and memory',
  locks: 'Locks and sequences',
  past: 'The past',
  interactive: 'Transactions',
  cluster: 'The cluster',
};

/** Kahuna's own commands, by what their names begin with. */
const KAHUNA_SECTIONS: Readonly<Record<string, readonly string[]>> = {
  locks: ['KAHUNA.LOCK', 'KAHUNA.FENCE', 'KAHUNA.SEQ'],
  past: ['KAHUNA.GET', 'KAHUNA.SET', 'KAHUNA.HISTORY', 'KAHUNA.SCAN', 'KAHUNA.ASOF', 'KAHUNA.HOLD', 'KAHUNA.TIME'],
  interactive: ['KAHUNA.TX'],
};

function sectionOf({ name, group }: CommandSpec): string {
  if (group !== 'kahuna') return group;
  const container = name.split('|')[0] ?? name;
  return Object.keys(KAHUNA_SECTIONS).find((section) => KAHUNA_SECTIONS[section]?.includes(container)) ?? 'cluster';
}

/** What holds for a group as a whole. */
const NOTES: Readonly<Record<string, readonly string[]>> = {
  generic: [
    'Times of expiry are kept in milliseconds up to 2^53 - 1; later ones (beyond the year 287,000) count as that bound.',
    "EXPIRE and its family, and everything that asks for a time, go by the partition's time, which never steps back.",
  ],
  past: [
    '[history.md](history.md) tells how they belong together. A timestamp is what KAHUNA.TIME answers, a revision is the ' +
      'timestamp at which a change was committed.',
  ],
  interactive: ['[transactions.md](transactions.md) tells what they promise.'],
  locks: [
    'Names of locks and of sequences have namespaces of their own: they never collide with keys, databases do not part ' +
      'them, and FLUSHALL leaves them alone. They hash to slots like keys, hash tags included.',
    'A grant is live while its time to live has not passed. ACQUIRE by the present owner renews it and returns its token; ' +
      'every new grant has a greater token than all grants of that resource before it, whatever happened in between. With ' +
      'WAIT, requests queue first come first served; one that arrives while others queue does not overtake them, and without ' +
      'WAIT gets nil. Inside MULTI and scripts nothing waits. The lock of a resource is remembered for ever, so that its ' +
      'token never falls; LIST shows those that are held.',
    'KAHUNA.FENCE inside MULTI or KAHUNA.TX ends the whole transaction with the error FENCED, nothing applied, if a newer ' +
      'token than the given one was granted.',
    `The first value of a sequence is START + INCREMENT. INCREMENT may be negative, but not 0; MAX goes with positive ones. ` +
      `An idempotency id has 1 to ${IDEMPOTENCY_ID_BYTES_MAX} bytes and gets the same answer for at least ` +
      `${IDEMPOTENCY_RETENTION_MS / 60_000} minutes; with other arguments it is an error. A sequence keeps up to ` +
      `${IDEMPOTENCY_IDS_MAX.toLocaleString('en')} ids: when all of them are younger than that, further ids are refused ` +
      `rather than old ones forgotten. Calls without an id are never refused for that reason.`,
  ],
};

export function renderCommandsPage(commands: readonly CommandSpec[]): string {
  const rows = commands
    .flatMap((command) => (command.subcommands.length > 0 ? command.subcommands : [command]))
    .filter((command) => !command.name.startsWith('%'));
  const sections = Object.entries(HEADINGS).map(([group, heading]) => {
    const members = rows.filter((row) => sectionOf(row) === group).sort((a, b) => (a.name < b.name ? -1 : 1));
    const notes = (NOTES[group] ?? []).flatMap((note) => [note, '']);
    return [`## ${heading}`, '', ...notes, ...members.flatMap(renderCommand)].join('\n');
  });
  const unknown = rows.find((row) => HEADINGS[sectionOf(row)] === undefined);
  if (unknown !== undefined) throw new Error(`${unknown.name}: no heading for the group ${unknown.group}`);
  return [
    '# Commands on keys, locks, sequences, transactions and the past',
    '',
    "Generated from the rows in `src/commands/` and of Kahuna's own in `src/server/families/`; do not edit. `DOCS=rewrite npx mocha` " +
      'writes it anew.',
    '',
    ...sections,
  ].join('\n');
}

function renderCommand(row: CommandSpec): string[] {
  const facts = [
    `since ${row.since}`,
    `complexity ${row.complexity.replace(/\.$/, '')}`,
    row.flags.length === 0 ? null : `flags ${row.flags.join(' ')}`,
    `ACL ${row.categories.map((category) => `@${category}`).join(' ')}`,
  ].filter((fact) => fact !== null);
  return [
    `### ${row.name.replace('|', ' ')}`,
    '',
    `    ${syntaxOf(row)}`,
    '',
    row.summary,
    '',
    `*${facts.join('; ')}*`,
    '',
  ];
}
