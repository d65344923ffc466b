/**
 * The programs as processes: what they print, how they end. One server, started once; the few seconds that processes
 * take are why the rules of starting are tested here and nowhere else.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function start(program: string, args: readonly string[]): ChildProcess {
  const file = fileURLToPath(new URL(`../../src/bin/${program}.ts`, import.meta.url));
  return spawn(process.execPath, ['--import', 'tsx', file, ...args], {
    env: { ...process.env, KAHUNACLI_HISTFILE: '' },
  });
}

async function run(program: string, args: readonly string[], input = ''): Promise<Ended> {
  const child = start(program, args);
  let out = '';
  let err = '';
  child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (err += chunk.toString()));
  child.stdin?.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

describe('the programs', function () {
  this.timeout(120_000);
  const directory = mkdtempSync(join(tmpdir(), 'kahuna-programs-'));
  const data = join(directory, 'data');
  let server: ChildProcess;
  let port = 0;

  before(async () => {
    server = start('kahuna-server', ['--port', '0', '--bind', '127.0.0.1', '--dir', data]);
    for await (const line of createInterface({ input: server.stdout! })) {
      const event = JSON.parse(line) as { readonly msg: string; readonly port: number };
      if (event.msg !== 'ready') continue;
      port = event.port;
      break;
    }
    assert.ok(port > 0, 'the server said that it is ready, and on which port');
  });

  after(() => {
    server.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });

  it('kahuna-cli runs one command, and its exit code tells an error', async () => {
    const well = await run('kahuna-cli', ['-p', String(port), '--json', 'SET', 'k', 'é']);
    assert.deepEqual(well, { code: 0, out: '"OK"\n', err: '' });
    const badly = await run('kahuna-cli', ['-p', String(port), 'INCR', 'k']);
    assert.deepEqual(badly, { code: 1, out: 'ERR value is not an integer or out of range\n', err: '' });
  });

  it('kahuna-cli runs the commands of a pipe in order, all of them', async () => {
    const input = 'SET p "a b"\nGET p\nNOSUCH "\nINCR p\nMGET p k none\n';
    const { code, out, err } = await run('kahuna-cli', ['-p', String(port), '--no-raw'], input);
    assert.equal(code, 1);
    assert.equal(
      out,
      'OK\n"a b"\n(error) ERR value is not an integer or out of range\n1) "a b"\n2) "\\xc3\\xa9"\n3) (nil)\n',
    );
    assert.equal(err, 'kahuna-cli: unbalanced quotes\n');
  });

  it('kahuna-cli says that there is nobody to talk to', async () => {
    const { code, err } = await run('kahuna-cli', ['-p', '1', 'PING']);
    assert.equal(code, 2);
    assert.match(err, /^kahuna-cli: cannot connect to 127\.0\.0\.1:1: .*ECONNREFUSED/);
  });

  it('a second server on a directory is refused by name', async () => {
    const { code, err } = await run('kahuna-server', ['--port', '0', '--dir', data]);
    assert.equal(code, 74);
    assert.match(err, new RegExp(`^kahuna-server: .*lock is held by process ${server.pid ?? 0} .*\n$`));
  });

  it('a port that is taken, and a directory that is none, are named in one line', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    const [taken, none] = await Promise.all([
      run('kahuna-server', [
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--initial-cluster',
        `n1=127.0.0.1:${port},n2=127.0.0.1:1`,
        '--dir',
        join(directory, 'd2'),
      ]),
      run('kahuna-server', ['--port', '0', '--dir', file]),
    ]);
    assert.equal(taken.code, 76);
    assert.match(
      taken.err,
      /^kahuna-server: cannot accept other nodes \(cluster-port, cluster-host\): .*EADDRINUSE.*\n$/,
    );
    assert.equal(none.code, 64);
    assert.match(none.err, /^kahuna-server: dir: .*file cannot be used as data directory: .*\n$/);
  });

  it('kahuna-cluster starts nothing if a port is taken or a flag is for one node', async () => {
    const [taken, own] = await Promise.all([
      run('kahuna-cluster', ['--ports', String(port), '--dir', join(directory, 'cluster')]),
      run('kahuna-cluster', ['--port', '7000']),
    ]);
    assert.equal(taken.code, 1);
    assert.match(taken.err, new RegExp(`^kahuna-cluster: port ${port} cannot be used: .*EADDRINUSE`));
    assert.equal(own.code, 64);
    assert.equal(own.err, 'kahuna-cluster: --port: each node has its own; use --ports\n');
  });

  it('SIGTERM ends the server with exit code 0', async () => {
    server.kill('SIGTERM');
    const [code] = (await once(server, 'exit')) as [number | null];
    assert.equal(code, 0);
  });
});
