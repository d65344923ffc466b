/** redis-cli: commands from standard input, RESP3, its scanning modes, and cluster mode. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { assert, run } from '../programs/setup.mjs';

const BINARY = process.env.REDIS_CLI ?? 'redis-cli';

/** What it prints; ends it after `endAfterMs` where it would run for ever. */
function cli(port, args, { input = '', endAfterMs = 0 } = {}) {
  return new Promise((resolve, reject) => {
    // Line-buffered, or what it printed dies with it when it is interrupted.
    const child = spawn('stdbuf', ['-oL', BINARY, '-p', String(port), ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk) => (out += chunk));
    child.stderr.on('data', (chunk) => (err += chunk));
    child.once('error', reject);
    const timer = endAfterMs > 0 ? setTimeout(() => child.kill('SIGINT'), endAfterMs) : undefined;
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0 || signal !== null || endAfterMs > 0) resolve(out + err);
      else reject(new Error(`redis-cli ${args.join(' ')}: code ${code}: ${out}${err}`));
    });
    child.stdin.end(input);
  });
}

await run({
  async basic(ports) {
    const at = (index) => ports[index % ports.length];
    await cli(at(0), ['FLUSHALL']);

    const session = await cli(at(0), [], {
      input: 'SET k "a b"\nGET k\nMULTI\nINCR n\nINCR n\nEXEC\nSELECT 2\nGET k\nNOSUCH\nSET\nset q \'x\\\'y\'\nget q\n',
    });
    assert.deepEqual(session.trimEnd().split('\n').filter(Boolean), [
      ...['OK', 'a b', 'OK', 'QUEUED', 'QUEUED', '1', '2', 'OK'],
      ...["ERR unknown command 'NOSUCH', with args beginning with: ", "ERR wrong number of arguments for 'set' command", 'OK', "x'y"],
    ]);
    assert.equal(await cli(at(1), ['GET', 'k']), 'a b\n');
    assert.equal(await cli(at(1), ['--no-raw', '-3', 'GET', 'nokey']), '(nil)\n');
    assert.match(await cli(at(2), ['--no-raw', '-3', 'HELLO']), /"proto" => \(integer\) 3/);
    assert.equal(await cli(at(2), ['-x', 'SET', 'stdin'], { input: 'from stdin' }), 'OK\n');
    const folder = mkdtempSync(join(tmpdir(), 'kahuna-cli-'));
    writeFileSync(join(folder, 'script.lua'), 'return {KEYS[1], ARGV[1]}');
    assert.equal(await cli(at(0), ['--eval', join(folder, 'script.lua'), 'k', ',', 'arg']), 'k\narg\n');
    rmSync(folder, { recursive: true });

    const mass = Array.from({ length: 300 }, (_, index) => `SET s${index} ${'v'.repeat(index + 1)}\r\n`).join('');
    assert.match(await cli(at(1), ['--pipe'], { input: mass }), /errors: 0, replies: 300/);
    const scanned = (await cli(at(2), ['--scan', '--pattern', 's*'])).trimEnd().split('\n');
    assert.equal(new Set(scanned).size, 301); // stdin too
    assert.match(await cli(at(0), ['--bigkeys']), /Biggest string found '"s299"' has 300 bytes/);
    assert.match(await cli(at(1), ['--memkeys']), /Biggest string found/);
    assert.match(await cli(at(0), ['--stat', '-i', '0.1'], { endAfterMs: 600 }), /keys +mem +clients[^]*\n30\d /);
    assert.match(await cli(at(1), ['--latency', '-i', '1', '--raw'], { endAfterMs: 1_500 }), /\d+ \d+ [\d.]+ \d+/);
    assert.match(await cli(at(0), ['-r', '3', '-i', '0', 'PING']), /PONG\nPONG\nPONG/);
    assert.match(await cli(at(0), ['INFO', 'server']), /redis_version:7\./);
    assert.match(await cli(at(0), ['COMMAND', 'DOCS', 'SET']), /string/i);

    for (let index = 0; index < 20; index += 1) {
      assert.equal(await cli(at(index), ['-c', 'SET', `c${index}`, String(index)]), 'OK\n');
      assert.equal(await cli(at(index + 1), ['-c', 'GET', `c${index}`]), `${index}\n`);
    }
    assert.match(await cli(at(0), ['CLUSTER', 'INFO']), /cluster_state:ok/);
    return `stdin, -3, -x, --eval, --pipe, --scan, --bigkeys, --memkeys, --stat, --latency, -c over ${ports.length} nodes`;
  },
});
