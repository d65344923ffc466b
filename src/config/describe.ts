/** The settings for people: `--help`, and the page docs/configuration.md (a test keeps the page in step). */
import { showDuration, showMemory } from './kinds.ts';
import { rowOf, SETTING_NAMES, textOf, defaultValues } from './live.ts';
import type { SettingGroup, SettingName } from './settings.ts';

const GROUPS: readonly (readonly [group: SettingGroup, title: string])[] = [
  ['network', 'Network and clients'],
  ['memory', 'Memory'],
  ['cluster', 'Cluster'],
  ['storage', 'Storage'],
  ['scripts', 'Scripts'],
  ['monitoring', 'Monitoring'],
  ['fixed', 'What clients read, and Kahuna fixes'],
];

const namesIn = (group: SettingGroup): SettingName[] => SETTING_NAMES.filter((name) => rowOf(name).group === group);

/** The default in the form in which a person would write it. */
function shownDefault(name: SettingName): string {
  const value = rowOf(name).default;
  const { description } = rowOf(name).kind;
  if (typeof value === 'number' && value > 0) {
    if (description.startsWith('size')) return showMemory(value);
    if (description.startsWith('duration')) return showDuration(value);
  }
  return textOf(defaultValues(), name);
}

export function helpText(): string {
  const lines = [
    'Usage: kahuna-server [file] [--name value]…',
    '',
    'A file in the style of redis.conf, then environment variables (KAHUNA_NODE_ID=n1), then flags (--node-id n1).',
    'docs/configuration.md says more about each setting.',
  ];
  for (const [group, title] of GROUPS) {
    if (group === 'fixed') continue;
    lines.push('', `${title}:`);
    for (const name of namesIn(group)) {
      const shown = shownDefault(name);
      lines.push(`  --${name}`.padEnd(32) + `${rowOf(name).kind.description} [${shown === '' ? '-' : shown}]`);
    }
  }
  lines.push('', '  --help, --version', '');
  return lines.join('\n');
}

export function configurationPage(): string {
  const lines = [
    '# Configuration',
    '',
    '<!-- Generated from src/config/settings.ts. To renew: REWRITE=1 npx mocha test/config/page.test.ts -->',
    '',
    '`kahuna-server [file] [--name value]…` reads defaults, then the file, then the environment, then flags; the later',
    'one wins. An unknown or invalid setting stops the start with its name and the reason.',
    '',
    '- **File**: in the style of `redis.conf`. One setting a line, `#` begins a comment line, words may be quoted',
    '  (`"a b"`, `"\\x00"`, `\'a b\'`), `include path` reads another file.',
    '- **Environment**: `KAHUNA_` and the name in capitals, with underscores: `KAHUNA_NODE_ID=n1`.',
    '- **Flags**: `--node-id n1` or `--node-id=n1`.',
    '',
    'Sizes are bytes, or `64kb`, `100mb`, `1gb` (powers of 1024; `k`, `m`, `g` are powers of 1000). Durations are',
    'milliseconds, or `500ms`, `5s`, `10m`, `1h`, `7d`; settings of Redis keep the unit of Redis.',
    '',
    '`CONFIG SET` changes what is marked *live*, several settings at once or none; `CONFIG REWRITE` writes the settings in',
    'force back into the file. `CONFIG GET` shows stars in place of secrets.',
  ];
  for (const [group, title] of GROUPS) {
    lines.push('', `## ${title}`, '');
    if (group === 'fixed') lines.push(...factTable());
    else lines.push(...settingTable(group));
  }
  lines.push('');
  return lines.join('\n');
}

function settingTable(group: SettingGroup): string[] {
  const lines = ['| setting | value | default | | |', '|---|---|---|---|---|'];
  for (const name of namesIn(group)) {
    const { aliases, kind, isLive, isRedis, doc } = rowOf(name);
    const names = [name, ...aliases].map((alias) => `\`${alias}\``).join(', ');
    const marks = [isLive ? 'live' : '', isRedis ? 'as Redis' : ''].filter((mark) => mark !== '').join(', ');
    const shown = shownDefault(name);
    lines.push(`| ${names} | ${kind.description} | ${shown === '' ? '' : `\`${shown}\``} | ${marks} | ${doc} |`);
  }
  return lines;
}

function factTable(): string[] {
  const lines = [
    'Settings of Redis that some clients ask for. Giving them the value that they have is no error; any other is.',
    '',
    '| setting | value | |',
    '|---|---|---|',
  ];
  for (const name of namesIn('fixed')) lines.push(`| \`${name}\` | \`"${shownDefault(name)}"\` | ${rowOf(name).doc} |`);
  return lines;
}
