/** What people write: configuration files, flags, environment, CONFIG SET, and the command lines of the programs. */
import assert from 'node:assert/strict';
import { readCliOptions } from '../../../src/bin/cli-options.ts';
import { readClusterArguments } from '../../../src/bin/cluster-options.ts';
import { KahunaError } from '../../../src/base/errors.ts';
import { rewriteConfigFile } from '../../../src/config/file.ts';
import { defaultValues, SETTING_NAMES, SettingError, Settings, textOf } from '../../../src/config/live.ts';
import { readStartRequest } from '../../../src/config/parse.ts';
import type { SettingValues } from '../../../src/config/settings.ts';
import type { FuzzTarget } from '../target.ts';

const WORDS = [
  ...SETTING_NAMES,
  '\n',
  ' ',
  '"',
  '#',
  'yes',
  'no',
  '1mb',
  '-1',
  '1e9',
  '0x10',
  'include ',
  'a=b:1,c=d:2',
  '::1',
  '*',
  'n1=h:1',
  '\\x00',
  '../',
  '\0',
] as const;

function textsOf(values: SettingValues): readonly string[] {
  return SETTING_NAMES.map((name) => `${name} ${textOf(values, name)}`);
}

/** Null if it was refused by name. */
function started(argumentsGiven: readonly string[], file: string): SettingValues | null {
  try {
    const request = readStartRequest({
      arguments: argumentsGiven,
      environment: {},
      readFile: (path) => {
        if (path === 'main.conf') return file;
        throw new Error('no such file');
      },
    });
    return request.kind === 'start' ? request.values : null;
  } catch (error) {
    if (error instanceof SettingError) {
      assert.ok(error.message.length > 0 && error.message.length < 4_096);
      return null;
    }
    throw error;
  }
}

/** Every kind of value keeps to what its own text says. */
function assertSettled(values: SettingValues): void {
  const lines = textsOf(values);
  const rewritten = rewriteConfigFile('', values);
  const again = started(['main.conf'], rewritten);
  assert.ok(again !== null, `what was written is read: ${rewritten}`);
  const read = textsOf(again);
  // A secret that came from a file stays there.
  const compared = lines.map((line, i) => (line.startsWith('cluster-secret ') ? read[i] : line));
  assert.deepEqual(read, compared);
}

const configFile: FuzzTarget = {
  name: 'config-file',
  about: 'configuration files: refused with the place, or values that are written and read again alike',
  seeds: () => [
    Buffer.from('# a comment\nport 7000\nmaxmemory 100mb\nnode-id "a b"\nbind 127.0.0.1 -::1\n'),
    Buffer.from('initial-cluster n1=h1:1,n2=h2:2\nnode-id n1\ninclude main.conf\n'),
    Buffer.from(rewriteConfigFile('', defaultValues())),
  ],
  words: WORDS,
  open: () => ({
    run: (input) => {
      const text = input.toString('utf8');
      const values = started(['main.conf'], text);
      if (values === null) return;
      assertSettled(values);
      // Rewriting a file keeps what it says.
      const kept = started(['main.conf'], rewriteConfigFile(text, values));
      assert.ok(kept !== null);
      assert.deepEqual(textsOf(kept), textsOf(values));
    },
  }),
};

const flags: FuzzTarget = {
  name: 'flags',
  about: 'flags of kahuna-server: refused by name, or values that are written and read again alike',
  seeds: () => [
    Buffer.from('--port\n7000\n--bind\n127.0.0.1\n::1\n--maxmemory=1gb'),
    Buffer.from('main.conf\n--loglevel\ndebug'),
    Buffer.from('--initial-cluster\na=h:1,b=h:2\n--node-id\na'),
  ],
  words: [...WORDS, '--', '=', '--help', ...SETTING_NAMES.map((name) => `\n--${name}\n`)],
  open: () => ({
    run: (input) => {
      const values = started(input.toString('utf8').split('\n'), 'port 7001\n');
      if (values !== null) assertSettled(values);
    },
  }),
};

const configSet: FuzzTarget = {
  name: 'config-set',
  about: 'CONFIG SET: all of it, or nothing and a named reason',
  seeds: () => [
    Buffer.from('maxmemory\n100mb\nloglevel\nwarn'),
    Buffer.from('timeout\n5'),
    Buffer.from('maxmemory\n1\ntimeout\nx'),
  ],
  words: WORDS,
  open: () => ({
    run: (input) => {
      const words = input.toString('utf8').split('\n');
      const changes: (readonly [string, string])[] = [];
      for (let i = 0; i + 1 < words.length; i += 2) changes.push([words[i] ?? '', words[i + 1] ?? '']);
      const settings = new Settings();
      const before = textsOf(settings.values);
      try {
        settings.set(changes);
      } catch (error) {
        if (!(error instanceof SettingError)) throw error;
        assert.deepEqual(textsOf(settings.values), before, 'nothing changed on refusal');
        return;
      }
      assertSettled(settings.values);
    },
  }),
};

const commandLines: FuzzTarget = {
  name: 'command-lines',
  about: 'arguments of kahuna-cli and kahuna-cluster: refused in one line, or whole numbers within their bounds',
  seeds: () => [
    Buffer.from('-h\nlocalhost\n-p\n7000\n-n\n3\n--json\nGET\nk'),
    Buffer.from('-r\n10\n-i\n0.5\n-2\nPING'),
    Buffer.from('--ports\n7001,7002,7003\n--dir=data\n--loglevel\ndebug'),
  ],
  words: [
    '\n',
    '-h',
    '-p',
    '-a',
    '--user',
    '-n',
    '-2',
    '-3',
    '-r',
    '-i',
    '--raw',
    '--json',
    '--ports=',
    '--dir',
    '0.5',
    '1e3',
    ' 7001',
    '0x1b59',
    ',',
  ],
  open: () => ({
    run: (input) => {
      const words = input.toString('utf8').split('\n');
      const request = refusedInOneLine(() => readCliOptions(words, {}));
      if (request?.kind === 'run') {
        const { port, database, repeat, intervalMs, command } = request.options;
        for (const [value, max] of [
          [port, 65_535],
          [database, 15],
          [repeat, 1e9],
        ] as const) {
          assert.ok(Number.isInteger(value) && value >= 0 && value <= max, String(value));
        }
        assert.ok(intervalMs >= 0 && Number.isFinite(intervalMs));
        assert.deepEqual(command, words.slice(words.length - command.length));
      }
      const cluster = refusedInOneLine(() => readClusterArguments(words));
      const isGiven = words.some((word) => word === '--ports' || word.startsWith('--ports='));
      for (const port of cluster?.ports ?? []) {
        assert.ok(Number.isInteger(port) && port >= 1 && port <= 65_435);
        if (isGiven) assert.ok(words.join('\n').includes(String(port)), `${port} was given`);
      }
    },
  }),
};

function refusedInOneLine<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    assert.ok(error instanceof KahunaError || (error instanceof Error && error.constructor === Error), String(error));
    return null;
  }
}

export const startTargets: readonly FuzzTarget[] = [configFile, flags, configSet, commandLines];
