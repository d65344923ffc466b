import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { ErrorReply } from '../../src/resp/reply.ts';
import type { CompileScript } from '../../src/server/context.ts';
import { createWorld, plain } from './harness.ts';

const sha1 = (body: string): string => createHash('sha1').update(body).digest('hex');

describe('scripts at the entry node', () => {
  it('EVAL puts its body into the catalogue once, before the command travels', async () => {
    const world = await createWorld();
    const client = await world.connect();
    let open = (): void => undefined;
    world.cluster.scriptGate = new Promise((resolve) => {
      open = resolve;
    });
    assert.equal(await client.send('EVAL body 0', 'SET a 1'), '');
    assert.equal(world.cluster.submitted, 0);
    open();
    await world.time.settle();
    assert.equal(client.take(), '$8\r\nran body\r\n+OK\r\n');
    assert.equal(await client.send('EVAL body 0'), '$8\r\nran body\r\n');
    assert.equal(world.cluster.scriptLoads, 1);
  });

  it('EVALSHA looks elsewhere for what this node does not know, and says NOSCRIPT if nobody does', async () => {
    const world = await createWorld();
    const client = await world.connect();
    const sha = sha1('body');
    assert.equal(await client.error('EVALSHA', sha, '0'), 'NOSCRIPT No matching script. Please use EVAL.');
    assert.equal(world.cluster.submitted, 0);
    world.cluster.remoteScripts.set(sha, Buffer.from('body'));
    assert.equal(plain(await client.call('EVALSHA', sha.toUpperCase(), '0')), `ran ${sha.toUpperCase()}`);
    assert.match(await client.error('EVALSHA', 'short', '0'), /^NOSCRIPT/);
  });

  it('SCRIPT LOAD, EXISTS and FLUSH are about the whole cluster', async () => {
    const client = await (await createWorld()).connect();
    const sha = sha1('return 1');
    assert.equal(plain(await client.call('SCRIPT', 'LOAD', 'return 1')), sha);
    assert.deepEqual(await client.call('SCRIPT', 'EXISTS', sha, 'f'.repeat(40)), [1, 0]);
    assert.equal(await client.error('SCRIPT', 'FLUSH', 'x'), 'ERR SCRIPT FLUSH only support SYNC|ASYNC option');
    assert.equal(plain(await client.call('SCRIPT', 'FLUSH', 'ASYNC')), 'OK');
    assert.deepEqual(await client.call('SCRIPT', 'EXISTS', sha), [0]);
    assert.equal(await client.error('SCRIPT', 'KILL'), 'NOTBUSY No scripts in execution right now.');
  });

  it('EXEC loads the scripts inside it first; an unknown digest is an error in its place', async () => {
    const world = await createWorld();
    const client = await world.connect();
    await client.pipeline([['MULTI'], ['EVAL', 'body', '0'], ['SET', 'a', '1'], ['EVALSHA', 'short', '0']]);
    assert.deepEqual(plain(await client.call('EXEC')), [
      'ran body',
      'OK',
      'NOSCRIPT No matching script. Please use EVAL.',
    ]);
    assert.equal(world.cluster.scriptLoads, 1);
  });

  it('what is refused before it runs never reaches the catalogue: numkeys before NOSCRIPT, then the body', async () => {
    const compileError = new ErrorReply('ERR Error compiling script');
    const compileScript: CompileScript = (sha, body) => {
      assert.equal(sha, sha1(body.toString()));
      return body.toString().startsWith('bad') ? compileError : null;
    };
    const world = await createWorld({ options: { compileScript } });
    const client = await world.connect();
    const unknown = 'f'.repeat(40);
    assert.match(await client.error('EVALSHA', unknown, 'x'), /^ERR value is not an integer/);
    assert.match(await client.error('EVALSHA', unknown, '-1'), /^ERR Number of keys can't be negative/);
    assert.match(await client.error('EVALSHA', unknown, '2', 'a'), /^ERR Number of keys can't be greater/);
    assert.match(await client.error('EVAL', 'bad', 'x'), /^ERR value is not an integer/);
    assert.equal(await client.error('EVAL', 'bad', '0'), compileError.text);
    assert.equal(await client.error('SCRIPT', 'LOAD', 'bad'), compileError.text);
    await client.pipeline([['MULTI'], ['EVAL', 'bad', '0'], ['EVALSHA', unknown, 'x'], ['SCRIPT', 'LOAD', 'bad']]);
    const replies = plain(await client.call('EXEC'));
    assert.equal(Array.isArray(replies) && replies.length, 3);
    assert.equal(world.cluster.scriptLoads, 0);
    assert.deepEqual(await client.call('SCRIPT', 'EXISTS', sha1('bad')), [0]);
  });

  it('SCRIPT DEBUG is refused while replies are owed, as in Redis', async () => {
    const client = await (await createWorld()).connect();
    const refusal = '-ERR SCRIPT DEBUG must be called outside a pipeline\r\n';
    assert.equal(await client.send('SCRIPT DEBUG NO'), '+OK\r\n');
    assert.equal(await client.send('PING', 'SCRIPT DEBUG NO'), `+PONG\r\n${refusal}`);
    assert.equal(await client.send('MULTI', 'SCRIPT DEBUG NO', 'EXEC'), `+OK\r\n+QUEUED\r\n*1\r\n${refusal}`);
  });

  it('a script whose client went away meanwhile is not run', async () => {
    const world = await createWorld();
    const client = await world.connect();
    let open = (): void => undefined;
    world.cluster.scriptGate = new Promise((resolve) => {
      open = resolve;
    });
    await client.send('EVAL body 0');
    client.connection.destroy();
    await world.time.settle();
    open();
    await world.time.settle();
    assert.equal(world.cluster.submitted, 0);
  });
});
