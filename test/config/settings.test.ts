/** Proves the settings table, reading from all sources, CONFIG GET/SET semantics, and that rewriting reads back. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { readConfigFile, rewriteConfigFile } from '../../src/config/file.ts';
import { helpText } from '../../src/config/describe.ts';
import {
  defaultValues,
  findSetting,
  rowOf,
  SECRET_STARS,
  SettingError,
  Settings,
  SETTING_NAMES,
  textOf,
  withText,
} from '../../src/config/live.ts';
import { readStartRequest } from '../../src/config/parse.ts';
import { listenAddresses, residentBytesMax, scriptTimeMsMax, type SettingValues } from '../../src/config/settings.ts';

interface Given {
  readonly args?: readonly string[];
  readonly environment?: Record<string, string>;
  readonly files?: Readonly<Record<string, string>>;
}

const readFile =
  (files: Readonly<Record<string, string>>) =>
  (path: string): string => {
    const content = Object.hasOwn(files, path) ? files[path] : undefined;
    if (content === undefined) throw new Error('no such file');
    return content;
  };

function start({ args = [], environment = {}, files = {} }: Given): SettingValues {
  const request = readStartRequest({ arguments: args, environment, readFile: readFile(files) });
  return request.kind === 'start' ? request.values : assert.fail(request.kind);
}

function refusal(given: Given): string {
  try {
    start(given);
  } catch (error) {
    if (error instanceof SettingError) return error.message;
    throw error;
  }
  return assert.fail('was accepted');
}

describe('config: the table', () => {
  for (const name of SETTING_NAMES) {
    it(`${name} reads its own default back`, () => {
      const values = defaultValues();
      const text = textOf(values, name);
      assert.deepEqual(withText(values, name, text)[name], values[name]);
      assert.match(rowOf(name).doc, /^[A-Z0-9].*\.$/);
      assert.match(name, /^[a-z0-9]+(-[a-z0-9]+)*$/);
    });
  }

  it('no name or alias is given twice', () => {
    const names = SETTING_NAMES.flatMap((name) => [name, ...rowOf(name).aliases]);
    assert.equal(new Set(names).size, names.length);
  });

  it('defaults fit together', () => {
    assert.doesNotThrow(() => new Settings());
  });

  it('sizes, durations, switches and choices are read as people write them', () => {
    const cases: readonly (readonly [string, string, unknown])[] = [
      ['maxmemory', '1gb', 2 ** 30],
      ['maxmemory', '100MB', 100 * 2 ** 20],
      ['maxmemory', '100m', 100_000_000],
      ['maxmemory', '1k', 1000],
      ['maxmemory', '12345678', 12_345_678],
      ['command-timeout', '2s', 2000],
      ['command-timeout', '250', 250],
      ['version-retention', '7d', 604_800_000],
      ['protected-mode', 'NO', false],
      ['loglevel', 'INFO', 'notice'],
      ['log-level', 'warn', 'warning'],
      ['read-consistency', 'Lease', 'lease'],
      ['bind', '127.0.0.1  -::1', ['127.0.0.1', '-::1']],
      [
        'join',
        '10.0.0.1:7101, [::1]:7102',
        [
          { host: '10.0.0.1', port: 7101 },
          { host: '::1', port: 7102 },
        ],
      ],
      [
        'initial-cluster',
        'n1=h:1,n2=[fe80::1]:2',
        [
          { name: 'n1', host: 'h', port: 1 },
          { name: 'n2', host: 'fe80::1', port: 2 },
        ],
      ],
      ['slowlog-log-slower-than', '-1', -1],
    ];
    for (const [given, text, value] of cases) {
      const name = findSetting(given) ?? assert.fail();
      const values = withText(defaultValues(), name, text);
      assert.deepEqual(values[name], value, `${name} ${text}`);
      assert.deepEqual(withText(defaultValues(), name, textOf(values, name))[name], value, 'and reads back');
    }
  });

  it('output limits keep the classes that are not named', () => {
    const values = withText(defaultValues(), 'client-output-buffer-limit', 'normal 1mb 512kb 10');
    assert.equal(
      textOf(values, 'client-output-buffer-limit'),
      'normal 1048576 524288 10 slave 268435456 67108864 60 pubsub 33554432 8388608 60',
    );
  });

  it('wrong values are refused in the words of Redis', () => {
    const cases: readonly (readonly [string, string, string])[] = [
      ['timeout', 'x', "argument couldn't be parsed into an integer"],
      ['timeout', '-1', 'argument must be between 0 and 2147483647 inclusive'],
      ['timeout', '1.5', "argument couldn't be parsed into an integer"],
      ['maxmemory', '1zb', 'argument must be a memory value'],
      ['maxmemory', '-1', 'argument must be a memory value'],
      ['maxmemory', '', 'argument must be a memory value'],
      ['protected-mode', 'maybe', "argument must be 'yes' or 'no'"],
      ['read-consistency', 'x', 'argument(s) must be one of the following: quorum, lease'],
      ['client-output-buffer-limit', 'foo', 'Wrong number of arguments in buffer limit configuration.'],
      ['read-consistency', 'constructor', 'argument(s) must be one of the following: quorum, lease'],
      [
        'client-output-buffer-limit',
        'constructor 1 1 1',
        'Invalid client class specified in buffer limit configuration.',
      ],
      ['client-output-buffer-limit', 'foo 1 1 1', 'Invalid client class specified in buffer limit configuration.'],
      [
        'client-output-buffer-limit',
        'normal x 1 1',
        'Error in hard, soft or soft_seconds setting in buffer limit configuration.',
      ],
      ['requirepass', 'a\nb', 'argument must not contain control characters'],
      ['node-id', '../x', 'argument must be 1 to 64 letters, digits, points, dashes or underscores'],
      ['appendonly', 'no', 'is always "yes" in Kahuna'],
      ['save', '900 1', 'is always "" in Kahuna'],
      ['initial-cluster', 'n1=h:1,n1=h:2', '"n1" is given twice'],
      ['initial-cluster', 'n1=h:1,n2=h:1', '"h:1" is given twice'],
      ['initial-cluster', 'h:1', '"h:1" is not name=host:port'],
      ['join', 'h:99999', '"h:99999" is not host:port (an IPv6 address goes in brackets)'],
      ['join', '::1:99', '"::1:99" is not host:port (an IPv6 address goes in brackets)'],
    ];
    for (const [name, text, reason] of cases) {
      assert.throws(
        () => withText(defaultValues(), findSetting(name) ?? assert.fail(), text),
        (error) => error instanceof SettingError && error.code === 'invalid' && error.reason === reason,
        `${name} ${text}`,
      );
    }
  });
});

describe('config: sources', () => {
  it('the command line wins over the environment, and that over the file, and that over the default', () => {
    const files = {
      'k.conf': '# comment\n\n port 1\nTIMEOUT 1\r\nmaxclients 1\ninclude "other file"\n',
      'other file': "requirepass 'a b'\n",
    };
    const values = start({
      args: ['k.conf', '--port', '3', '--bind', '::1', '127.0.0.1', '--node-id=x=y'.replace('=y', '')],
      environment: { KAHUNA_PORT: '2', KAHUNA_TIMEOUT: '2', HOME: '/' },
      files,
    });
    assert.deepEqual(
      [values.port, values.timeout, values.maxclients, values.requirepass, values.bind, values['node-id'], values.hz],
      [3, 2, 1, 'a b', ['::1', '127.0.0.1'], 'x', '10'],
    );
  });

  it('quoting is that of Redis, in UTF-8', () => {
    const files = { f: 'requirepass "p\\"\\x41 é"\n' };
    assert.equal(start({ args: ['f'], files }).requirepass, 'p"A é');
  });

  it('what is unknown or invalid stops the start with the name and the place', () => {
    assert.equal(refusal({ args: ['--prot', '1'] }), 'prot: no such setting (see --help)');
    assert.equal(refusal({ args: ['--port'] }), 'port: a value is missing');
    assert.equal(refusal({ args: ['--port', '--timeout', '1'] }), 'port: a value is missing');
    assert.equal(
      refusal({ args: ['f', 'g'], files: { f: '' } }),
      'unexpected argument "g": settings are given as --name value',
    );
    assert.equal(refusal({ args: ['-x'] }), 'unexpected argument "-x": settings are given as --name value');
    assert.equal(
      refusal({ args: ['--port', '70000'] }),
      'port: argument must be between 0 and 65535 inclusive (command line)',
    );
    assert.equal(
      refusal({ environment: { KAHUNA_PORTS: '1' } }),
      'KAHUNA_PORTS: no such setting (environment variable)',
    );
    assert.equal(
      refusal({ environment: { KAHUNA_PORT: 'x' } }),
      "port: argument couldn't be parsed into an integer (environment variable KAHUNA_PORT)",
    );
    assert.equal(refusal({ args: ['f'] }), 'cannot read the configuration file f: no such file');
    assert.equal(refusal({ args: ['f'], files: { f: 'a b' } }), 'a: no such setting (f:1)');
    assert.equal(refusal({ args: ['f'], files: { f: '\nport' } }), 'port: a value is missing (f:2)');
    assert.equal(refusal({ args: ['f'], files: { f: 'port "1' } }), 'f:1: unbalanced quotes');
    assert.equal(refusal({ args: ['f'], files: { f: 'save 900 1' } }), 'save: is always "" in Kahuna (f:1)');
    assert.equal(refusal({ args: ['f'], files: { f: 'include f' } }), 'include: f is included more than 8 levels deep');
  });

  it('settings that contradict each other are refused', () => {
    assert.match(refusal({ args: ['--heartbeat-interval', '500'] }), /^heartbeat-interval: .*election-timeout/);
    assert.match(refusal({ args: ['--initial-cluster', 'n2=h:1'] }), /^initial-cluster: does not name this node/);
    assert.match(refusal({ args: ['--initial-cluster', 'n1=h:1', '--join', 'h:2'] }), /^join: /);
  });

  it('the secret may come from a file, and from one place only', () => {
    const files = { s: ' hidden \nrest' };
    assert.equal(start({ args: ['--cluster-secret-file', 's'], files })['cluster-secret'], 'hidden');
    assert.match(
      refusal({ args: ['--cluster-secret-file', 's', '--cluster-secret', 'x'], files }),
      /cannot be given with/,
    );
    assert.match(refusal({ args: ['--cluster-secret-file', 'x'], files }), /cannot read x/);
    assert.match(refusal({ args: ['--cluster-secret-file', 's'], files: { s: '\n' } }), /empty first line/);
  });

  it('--help and --version are requests of their own', () => {
    const read = (...args: string[]): string =>
      readStartRequest({ arguments: args, environment: {}, readFile: readFile({}) }).kind;
    assert.equal(read('--help'), 'help');
    assert.equal(read('--port', '1', '-h'), 'help');
    assert.equal(read('--version'), 'version');
    for (const name of SETTING_NAMES) {
      if (rowOf(name).group !== 'fixed') assert.ok(helpText().includes(`--${name} `), name);
    }
  });

  it('start settings never throw anything but SettingError', () => {
    const word = fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.constantFrom(...SETTING_NAMES.map((name) => `--${name}`), '--', 'f', '1gb'),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), fc.string(), (args, content) => {
        try {
          readStartRequest({ arguments: args, environment: {}, readFile: readFile({ f: content }) });
        } catch (error) {
          assert.ok(error instanceof SettingError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('config: live changes', () => {
  const fails = (settings: Settings, code: string, ...changes: (readonly [string, string])[]): void => {
    const before = settings.values;
    assert.throws(
      () => {
        settings.set(changes);
      },
      (error) => error instanceof SettingError && error.code === code,
    );
    assert.equal(settings.values, before);
  };

  it('changes all or nothing', () => {
    const settings = new Settings();
    fails(settings, 'invalid', ['timeout', '5'], ['maxclients', '0']);
    fails(settings, 'unknown', ['timeout', '5'], ['foo', '1']);
    fails(settings, 'immutable', ['timeout', '5'], ['port', '1']);
    fails(settings, 'duplicate', ['timeout', '5'], ['TIMEOUT', '6']);
    fails(settings, 'duplicate', ['loglevel', 'debug'], ['log-level', 'debug']);
    fails(settings, 'invalid', ['appendfsync', 'no']);
    fails(settings, 'immutable', ['databases', '16']);
    // Names are judged before values.
    fails(settings, 'unknown', ['timeout', 'x'], ['foo', '1']);
    settings.set([
      ['TimeOut', '5'],
      ['appendfsync', 'always'],
      ['maxmemory', '10mb'],
    ]);
    assert.equal(settings.values.timeout, 5);
    assert.equal(settings.values.maxmemory, 10_485_760);
  });

  it('tells the listeners of what changed, once, after the change', () => {
    const settings = new Settings();
    const heard: string[] = [];
    settings.onChange('timeout', (values) => heard.push(`timeout ${values.timeout} ${settings.values.maxclients}`));
    settings.onChange('maxclients', (values) => heard.push(`maxclients ${values.maxclients}`));
    settings.set([
      ['timeout', '7'],
      ['maxclients', '9'],
    ]);
    settings.set([['timeout', '7']]);
    assert.deepEqual(heard, ['timeout 7 9', 'maxclients 9']);
  });

  it('shows what is asked for, aliases too, and never a secret', () => {
    const settings = new Settings();
    const show = (pattern: RegExp): Record<string, string> =>
      Object.fromEntries(settings.shown((name) => pattern.test(name)));
    assert.deepEqual(show(/^requirepass$/), { requirepass: '' });
    settings.set([['requirepass', 'geheim']]);
    assert.deepEqual(show(/^requirepass$/), { requirepass: SECRET_STARS });
    assert.equal(JSON.stringify(settings.shown(() => true)).includes('geheim'), false);
    assert.deepEqual(show(/^(lua-time-limit|busy-reply-threshold)$/), {
      'lua-time-limit': '5000',
      'busy-reply-threshold': '5000',
    });
    assert.deepEqual(show(/^(save|appendonly|databases)$/), { databases: '16', save: '', appendonly: 'yes' });
  });

  it('a script may take lua-time-limit, in a cluster a third of election-timeout at most', () => {
    const { values } = new Settings();
    const limits = (limit: number): number[] =>
      [1, 3].map((nodeCount) => scriptTimeMsMax({ ...values, 'lua-time-limit': limit }, nodeCount));
    assert.deepEqual(limits(5000), [5000, 333]);
    assert.deepEqual(limits(100), [100, 100]);
    assert.deepEqual(limits(0), [Number.POSITIVE_INFINITY, 333]);
  });

  it('maxmemory 0 and bind are made into what the node uses', () => {
    const settings = new Settings();
    settings.set([['maxmemory', '0']]);
    assert.equal(residentBytesMax(settings.values), 256 * 2 ** 20);
    settings.set([['maxmemory', '1']]);
    assert.equal(residentBytesMax(settings.values), 8 * 2 ** 20);
    assert.deepEqual(listenAddresses(settings.values.bind), [
      { host: '0.0.0.0', isOptional: false },
      { host: '::', isOptional: true },
    ]);
  });
});

describe('config: rewriting the file', () => {
  const reread = (content: string): SettingValues =>
    readConfigFile('f', readFile({ f: content, other: '' })).reduce(
      (values, { name, text }) => withText(values, name, text),
      defaultValues(),
    );

  it('keeps comments and what is in force, replaces what changed, adds what is new', () => {
    const settings = new Settings(start({ args: ['f'], files: { f: 'port 7000\n' } }));
    settings.set([
      ['timeout', '5'],
      ['requirepass', 'a "b" c'],
      ['maxmemory', '100mb'],
    ]);
    const content = '# mine\nport 7000\n\ninclude other\nTimeout  4\ntimeout 3\nmaxmemory 100mb\n';
    assert.equal(
      rewriteConfigFile(content, settings.values),
      '# mine\nport 7000\n\ninclude other\ntimeout 5\nmaxmemory 100mb\n# Generated by CONFIG REWRITE\nrequirepass "a \\"b\\" c"\n',
    );
  });

  it('rewriting twice changes nothing more', () => {
    const settings = new Settings();
    settings.set([['timeout', '5']]);
    const once = rewriteConfigFile('', settings.values);
    assert.equal(once, '# Generated by CONFIG REWRITE\ntimeout 5\n');
    assert.equal(rewriteConfigFile(once, settings.values), once);
    settings.set([['maxclients', '7']]);
    const more = rewriteConfigFile(once, settings.values);
    assert.equal(more, `${once}maxclients 7\n`);
  });

  it('any password is one line, and reads back as itself', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 20 }), (password) => {
        const settings = new Settings();
        try {
          settings.set([['requirepass', password]]);
        } catch (error) {
          assert.ok(error instanceof SettingError);
          return;
        }
        const content = rewriteConfigFile('', settings.values);
        assert.ok(content.split('\n').length <= 3);
        assert.equal(reread(content).requirepass, password);
      }),
      { numRuns: 500 },
    );
  });
});
