/**
 * Random requests against every session command, valid in their number of arguments or not, and random bytes: each
 * request gets exactly one reply, no session fails, and other clients are served.
 */
import assert from 'node:assert/strict';
import { decodeReplies } from '../../src/resp/decode.ts';
import { ErrorReply } from '../../src/resp/reply.ts';
import type { CommandEntry } from '../../src/server/command-table.ts';
import { SeededRandom } from '../doubles/seeded-random.ts';
import { createWorld, encode, type World } from './harness.ts';

/** Answer never, later, more than once, or end the connection; each has tests of its own. */
const PECULIAR = new Set([
  'client|reply',
  'client|pause',
  'client|kill',
  'monitor',
  'quit',
  'shutdown',
  'debug',
  'blpop',
]);

const WORDS = [
  '0',
  '1',
  '-1',
  '10',
  '16',
  '99999999999999999999',
  'abc',
  '',
  'GET',
  'SET',
  'key',
  'on',
  'OFF',
  'YES',
  'no',
  'default',
  'TYPE',
  'normal',
  'ID',
  'SETNAME',
  'AUTH',
  'lib-name',
  'FILTERBY',
  'ACLCAT',
  'PATTERN',
  '*',
  'h?llo',
  'timeout',
  'all',
  'everything',
  'RESET',
  'NO',
  'ONE',
  'WRITE',
  'client|list',
  '\x00\xff\r\n',
  'maxmemory',
  'EVAL',
  'MULTI',
  'ERROR',
  'BCAST',
] as const;

function seedOf(base: number): number {
  const given = process.env['SEED'];
  return given === undefined ? base : Number(given);
}

describe('whatever clients send', () => {
  it('each request gets one reply, and no session fails', async () => {
    for (let round = 0; round < 15; round++) {
      const seed = seedOf(1000 + round);
      const random = new SeededRandom(seed);
      const world = await createWorld({ seed });
      const entries = [...world.server.context.table.all()].filter(
        (entry) => !PECULIAR.has(entry.fullName) && (entry.session ?? entry.data) !== null,
      );
      const client = await world.connect();
      for (let i = 0; i < 120; i++) {
        const request = randomRequest(random, random.pick(entries));
        const received = await client.raw(encode(request) + encode(['ECHO', 'end']));
        const replies = decodeReplies(Buffer.from(received, 'latin1'));
        assert.equal(
          replies.length,
          2,
          `SEED=${seed} npx mocha test/server/fuzz.test.ts: ${JSON.stringify(request)} got ${received}`,
        );
      }
      assertHealthy(world, seed);
    }
  });

  it('random bytes end at most their own connection', async () => {
    for (let round = 0; round < 30; round++) {
      const seed = seedOf(5000 + round);
      const random = new SeededRandom(seed);
      const world = await createWorld({ seed, pieceBytesMax: 50 });
      const good = await world.connect();
      for (let i = 0; i < 10; i++) {
        const bad = await world.connect();
        await bad.raw(randomBytes(random));
        assert.deepEqual(await good.raw('PING\r\n'), '+PONG\r\n', `seed ${seed}`);
        bad.connection.destroy();
      }
      await world.time.settle();
      assertHealthy(world, seed);
      assert.equal(world.server.context.clients.count, 1, `seed ${seed}`);
    }
  });
});

function assertHealthy(world: World, seed: number): void {
  const failures = world.log.filter((line) => line.level === 'error');
  assert.deepEqual(failures, [], `SEED=${seed} npx mocha test/server/fuzz.test.ts`);
}

function randomRequest(random: SeededRandom, entry: CommandEntry): string[] {
  const name = entry.fullName.split('|');
  const least = Math.abs(entry.arity);
  const wanted = random.chance(0.1) ? random.below(6) + 1 : least + (entry.arity < 0 ? random.below(4) : 0);
  const request = [...name];
  while (request.length < wanted) request.push(random.pick(WORDS));
  return request;
}

/** Pieces of valid requests, damaged. */
function randomBytes(random: SeededRandom): string {
  let bytes = '';
  while (bytes.length < 300) {
    if (random.chance(0.5)) bytes += encode([random.pick(WORDS), random.pick(WORDS)]);
    else if (random.chance(0.5))
      bytes += random.pick(['*3\r\n', '$5\r\n', '*-1\r\n', '\r\n', '"', 'PING\r\n', '$-1\r\n', '*1\r\n$4\r\n']);
    else bytes += String.fromCharCode(random.below(256));
  }
  const at = random.below(bytes.length);
  return random.chance(0.5) ? bytes : bytes.slice(0, at) + String.fromCharCode(random.below(256)) + bytes.slice(at + 1);
}

describe('every row', () => {
  it('answers a call without arguments: with an error if it needs some, never with silence', async () => {
    const world = await createWorld();
    const client = await world.connect();
    for (const entry of world.server.context.table.all()) {
      if (PECULIAR.has(entry.fullName)) continue;
      const reply = await client.call(...entry.fullName.split('|'));
      const isEnough = entry.acceptsArgumentCount(entry.fullName.split('|').length);
      if (!isEnough)
        assert.ok(reply instanceof ErrorReply && /wrong number of arguments/.test(reply.text), entry.fullName);
      await client.raw('RESET\r\n');
    }
    assertHealthy(world, 0);
  });
});
