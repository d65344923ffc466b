/**
 * Reads of the past at a partition's leader: against a naive twin that keeps every state there ever was, while keys leave memory,
 * expire and are flushed, and leaders change; and the rules of what an answer about a moment promises.
 */
import { strict as assert } from 'node:assert';
import { msOfTimestamp, timestampFromMs } from '../../src/base/hlc.ts';
import { KahunaError } from '../../src/base/errors.ts';
import type { Timestamp } from '../../src/base/ids.ts';
import { decodeEntry, decodeHeader } from '../../src/partition/entry-format.ts';
import { SeededRandom } from '../doubles/seeded-random.ts';
import { withSeeds } from '../storage/data/support.ts';
import { TestLeader } from './leader.ts';

const KEEP = { retentionMs: 1, heldFloor: 0 };
const KEYS = ['a', 'b', 'c', 'd'];

interface Held {
  readonly value: string;
  readonly expiresAtMs: number;
}

/** The state after each commit. */
class Twin {
  readonly moments: { readonly at: Timestamp; readonly state: ReadonlyMap<string, Held> }[] = [
    { at: 0, state: new Map() },
  ];

  get now(): ReadonlyMap<string, Held> {
    return this.moments.at(-1)?.state ?? new Map<string, Held>();
  }

  commit(at: Timestamp, change: (state: Map<string, Held>) => void): void {
    const state = new Map(this.now);
    change(state);
    this.moments.push({ at, state });
  }

  valueAt(key: string, at: Timestamp): string | undefined {
    const held = this.#stateAt(at).get(key);
    if (held === undefined || (held.expiresAtMs !== 0 && held.expiresAtMs <= msOfTimestamp(at))) return undefined;
    return held.value;
  }

  keysAt(at: Timestamp): readonly string[] {
    return [...this.#stateAt(at).keys()].filter((key) => this.valueAt(key, at) !== undefined).sort();
  }

  #stateAt(at: Timestamp): ReadonlyMap<string, Held> {
    return this.moments.findLast((moment) => moment.at <= at)?.state ?? new Map<string, Held>();
  }
}

async function settle(leader: TestLeader, name: string): Promise<string> {
  for (let rounds = 0; rounds < 400; rounds++) {
    leader.endTurn();
    leader.commit();
    await new Promise<void>((resolve) => void setImmediate(resolve));
    const at = leader.answers.findIndex((answer) => answer.startsWith(`${name}: `));
    if (at !== -1) return leader.answers.splice(at, 1)[0]?.slice(name.length + 2) ?? '';
  }
  throw new Error(`${name} is not answered`);
}

async function ask(leader: TestLeader, ...argv: readonly string[]): Promise<string> {
  leader.submit('ask', argv);
  return settle(leader, 'ask');
}

const lastTimestamp = (leader: TestLeader): Timestamp =>
  decodeHeader(leader.entries.at(-1) as Uint8Array).lastTimestamp;

function randomChange(
  random: SeededRandom,
  leader: TestLeader,
  twin: Twin,
): { argv: string[]; apply: (at: Timestamp) => void } {
  const key = random.pick(KEYS);
  const value = `v${random.below(1_000)}`;
  const nowMs = leader.time.now();
  const dice = random.below(100);
  if (dice < 8) {
    return { argv: ['FLUSHDB'], apply: (at) => twin.commit(at, (state) => state.clear()) };
  }
  if (dice < 25) return { argv: ['DEL', key], apply: (at) => twin.commit(at, (state) => state.delete(key)) };
  if (dice < 45) {
    const ttl = 20 + random.below(200);
    const held = { value, expiresAtMs: nowMs + ttl };
    return {
      argv: ['SET', key, value, 'PX', String(ttl)],
      apply: (at) => twin.commit(at, (state) => state.set(key, held)),
    };
  }
  if (dice < 60) {
    // Of several pages, of which each change rewrites one.
    const before = live(twin.now.get(key), nowMs);
    const offset = 20_000 + random.below(60_000);
    const bytes = Buffer.alloc(Math.max(before?.value.length ?? 0, offset + value.length));
    bytes.write(before?.value ?? '', 'latin1');
    bytes.write(value, offset, 'latin1');
    const held = { value: bytes.toString('latin1'), expiresAtMs: before?.expiresAtMs ?? 0 };
    return {
      argv: ['SETRANGE', key, String(offset), value],
      apply: (at) => twin.commit(at, (state) => state.set(key, held)),
    };
  }
  const held = { value, expiresAtMs: 0 };
  return { argv: ['SET', key, value], apply: (at) => twin.commit(at, (state) => state.set(key, held)) };
}

function live(held: Held | undefined, nowMs: number): Held | undefined {
  return held !== undefined && held.expiresAtMs !== 0 && held.expiresAtMs <= nowMs ? undefined : held;
}

/** The value in the answer to KAHUNA.GET: the rest of the map does not matter here. */
function valueIn(leader: TestLeader, name: string): string | undefined {
  const reply = leader.replies.get(name);
  const entries: unknown = reply !== null && typeof reply === 'object' && 'entries' in reply ? reply.entries : [];
  const value: unknown = Array.isArray(entries) ? (entries as unknown[][])[0]?.[1] : undefined;
  return value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : (value as string | undefined);
}

async function scanAt(leader: TestLeader, at: Timestamp): Promise<readonly string[]> {
  const found: string[] = [];
  for (let cursor = '0', pages = 0; pages === 0 || cursor !== '0'; pages++) {
    assert.ok(pages < 100);
    await ask(leader, 'KAHUNA.SCAN', cursor, 'PREFIX', '', 'COUNT', '2', 'ASOF', String(at));
    const reply = leader.replies.get('ask') as readonly [string, readonly string[]];
    assert.ok(Array.isArray(reply), 'a page of keys');
    found.push(...reply[1]);
    cursor = reply[0];
  }
  return [...found].sort();
}

describe('reads of the past', () => {
  it('show every moment as it was', () =>
    withSeeds(1, 25, async (seed) => {
      const leader = await TestLeader.create(seed);
      leader.data.setHistory(KEEP);
      const random = new SeededRandom(seed).fork('past');
      const twin = new Twin();
      await ask(leader, 'SET', 'start', '1');
      const first = lastTimestamp(leader);
      twin.commit(first, (state) => state.set('start', { value: '1', expiresAtMs: 0 }));
      let compared = 0;
      for (let step = 0; step < 60; step++) {
        const dice = random.below(100);
        if (dice < 45) {
          const { argv, apply } = randomChange(random, leader, twin);
          const before = leader.entries.length;
          await ask(leader, ...argv);
          if (leader.entries.length > before) apply(lastTimestamp(leader));
        } else if (dice < 55) {
          leader.pass(random.below(120));
          // The time of a turn is read once.
          leader.endTurn();
        } else if (dice < 60) leader.evictAll();
        else if (dice < 63) {
          await leader.settle();
          leader.begin();
        } else {
          const at = random.chance(0.2)
            ? timestampFromMs(leader.time.now() + random.below(50))
            : first + random.below(timestampFromMs(leader.time.now()) - first + 1);
          if (dice < 68) {
            assert.deepEqual(await scanAt(leader, at), twin.keysAt(at));
          } else {
            const key = random.pick(KEYS);
            await ask(leader, 'KAHUNA.GET', key, 'ASOF', String(at));
            assert.equal(valueIn(leader, 'ask'), twin.valueAt(key, at), `${key} at ${at}`);
          }
          compared++;
        }
      }
      for (const { at } of twin.moments.slice(1)) {
        assert.deepEqual(await scanAt(leader, at), twin.keysAt(at));
        for (const key of KEYS) {
          await ask(leader, 'KAHUNA.GET', key, 'ASOF', String(at));
          assert.equal(valueIn(leader, 'ask'), twin.valueAt(key, at), `${key} at ${at}`);
        }
      }
      assert.ok(compared > 5);
    }));

  it('list the versions of a key with deletions, by flushes too, each once', async () => {
    const leader = await TestLeader.create();
    leader.data.setHistory(KEEP);
    const revisions: number[] = [];
    const change = async (...argv: readonly string[]): Promise<void> => {
      await ask(leader, ...argv);
      revisions.push(lastTimestamp(leader));
    };
    await change('SET', 'k', 'one');
    await change('FLUSHDB');
    await change('SET', 'other', 'x');
    await change('SET', 'k', 'two');
    await change('SETRANGE', 'k', '40000', 'three');
    await change('FLUSHALL');
    leader.pass(60_000);
    await leader.settle();
    await ask(leader, 'KAHUNA.HISTORY', 'k');
    const kinds = (leader.replies.get('ask') as readonly { entries: readonly (readonly [string, unknown])[] }[]).map(
      ({ entries }) => `${String(entries[0]?.[1])} ${String(entries[2]?.[1])}`,
    );
    const [one = 0, flushed = 0, , two = 0, three = 0, flushedAll = 0] = revisions;
    assert.deepEqual(kinds, [
      `${flushedAll} deleted`,
      `${three} value`,
      `${two} value`,
      `${flushed} deleted`,
      `${one} value`,
    ]);
    assert.match(await ask(leader, 'KAHUNA.GET', 'k', 'REVISION', String(one)), /one/);
    assert.match(await ask(leader, 'KAHUNA.GET', 'k', 'REVISION', String(three)), /two\0+three/);
    assert.equal(await ask(leader, 'KAHUNA.GET', 'k', 'REVISION', String(flushed)), '*-1');
  });

  it('of what a hold would keep survive a flush that came before history was kept', async () => {
    const leader = await TestLeader.create();
    await ask(leader, 'SET', 'k', 'old');
    leader.data.setHistory({ retentionMs: 0, heldFloor: 1 });
    await ask(leader, 'SET', 'other', 'x');
    const moment = lastTimestamp(leader);
    await ask(leader, 'FLUSHALL');
    await ask(leader, 'SET', 'k', 'new');
    assert.match(await ask(leader, 'KAHUNA.GET', 'k', 'ASOF', String(moment)), /old/);
    while (!(await leader.data.collect(Number.MAX_SAFE_INTEGER, 1_000)));
    assert.match(await ask(leader, 'KAHUNA.GET', 'k', 'ASOF', String(moment)), /old/);
  });

  it('at a moment that is not over let nothing be committed at or below it any more, also by the next leader', async () => {
    const leader = await TestLeader.create();
    const moment = timestampFromMs(leader.time.now() + 5_000);
    leader.submit('past', ['KAHUNA.GET', 'k', 'ASOF', String(moment)]);
    leader.submit('again', ['KAHUNA.GET', 'l', 'ASOF', String(moment)]);
    leader.submit('before', ['KAHUNA.GET', 'l', 'ASOF', String(moment - 9)]);
    leader.endTurn();
    assert.equal(leader.entries.length, 1, 'one entry for all of a turn');
    assert.deepEqual(leader.answers, [], 'the promise has not committed');
    leader.commit();
    assert.deepEqual(leader.answers, ['past: *-1', 'again: *-1', 'before: *-1']);
    await leader.settle();
    leader.begin();
    assert.ok(Number((await ask(leader, 'KAHUNA.SET', 'k', 'v')).slice(1)) > moment);
    assert.equal(leader.entries.length, 2, 'what is promised already needs no entry');
    await ask(leader, 'KAHUNA.GET', 'k', 'ASOF', String(moment));
    assert.equal(leader.entries.length, 2);
  });

  it('wait for what they saw, and show what is evaluated but not applied', async () => {
    const leader = await TestLeader.create();
    leader.data.setHistory(KEEP);
    await ask(leader, 'SET', 'k', 'one');
    const moment = lastTimestamp(leader);
    leader.submit('two', ['SET', 'k', 'two']);
    leader.submit('three', ['SET', 'k', 'three']);
    leader.submit('past', ['KAHUNA.GET', 'k', 'ASOF', String(moment + 1)]);
    leader.submit('now', ['KAHUNA.GET', 'k', 'ASOF', String(moment + 2)]);
    leader.endTurn();
    assert.deepEqual(leader.answers, []);
    assert.match(await settle(leader, 'now'), /three/);
    assert.match(await settle(leader, 'past'), /two/);
  });

  it('too far ahead of the time are refused', async () => {
    const leader = await TestLeader.create();
    const moment = timestampFromMs(leader.time.now() + 61_000);
    assert.match(await ask(leader, 'KAHUNA.GET', 'k', 'ASOF', String(moment)), /^-ERR the moment lies 61000 ms ahead/);
    assert.equal(leader.entries.length, 0);
  });

  it('inside a transaction see nothing of it, and never a moment that it is part of', async () => {
    const leader = await TestLeader.create();
    leader.data.setHistory(KEEP);
    await ask(leader, 'SET', 'k', 'one');
    const moment = lastTimestamp(leader);
    leader.submitTransaction('exec', [
      ['SET', 'k', 'two'],
      ['KAHUNA.GET', 'k', 'ASOF', String(moment)],
      ['KAHUNA.GET', 'k', 'ASOF', String(timestampFromMs(leader.time.now() + 1_000))],
      ['GET', 'k'],
    ]);
    const answer = await settle(leader, 'exec');
    assert.match(answer, /\+OK .*one .*-ERR ASOF asks for a moment that is not before the changes.* \$3 two$/);
  });

  it('below what is kept are refused by name, but for keys that have not changed since', async () => {
    const leader = await TestLeader.create();
    await ask(leader, 'SET', 'still', 'one');
    await ask(leader, 'SET', 'k', 'one');
    const moment = lastTimestamp(leader);
    await ask(leader, 'SET', 'k', 'two');
    assert.match(await ask(leader, 'KAHUNA.GET', 'still', 'ASOF', String(moment)), /one/);
    assert.match(await ask(leader, 'KAHUNA.GET', 'k', 'ASOF', String(moment)), /^-HISTORYGONE \d+ lies before/);
    assert.match(await ask(leader, 'KAHUNA.GET', 'k', 'REVISION', String(moment)), /^-HISTORYGONE/);
    assert.match(await ask(leader, 'KAHUNA.SCAN', '0', 'PREFIX', '', 'ASOF', String(moment)), /^-HISTORYGONE/);
    assert.match(await ask(leader, 'KAHUNA.GET', 'k', 'REVISION', String(lastTimestamp(leader))), /two/);
  });

  it('before a write with NOHISTORY are refused for its key alone', async () => {
    const leader = await TestLeader.create();
    leader.data.setHistory(KEEP);
    await ask(leader, 'SET', 'k', 'one');
    await ask(leader, 'SET', 'l', 'one');
    const moment = lastTimestamp(leader);
    await ask(leader, 'KAHUNA.SET', 'k', 'two', 'NOHISTORY');
    await ask(leader, 'SET', 'l', 'two');
    const since = lastTimestamp(leader);
    await ask(leader, 'SET', 'k', 'three');
    assert.match(await ask(leader, 'KAHUNA.GET', 'k', 'ASOF', String(moment)), /^-HISTORYGONE/);
    assert.match(await ask(leader, 'KAHUNA.GET', 'k', 'ASOF', String(since)), /two/);
    assert.match(await ask(leader, 'KAHUNA.GET', 'l', 'ASOF', String(moment)), /one/);
    assert.match(await ask(leader, 'KAHUNA.SCAN', '0', 'PREFIX', '', 'ASOF', String(moment)), /^-HISTORYGONE/);
    assert.match(await ask(leader, 'KAHUNA.HISTORY', 'k'), /^\*2/);
  });

  it('see a value that grew so long that its revisions do not fit into one answer one by one', async () => {
    const leader = await TestLeader.create();
    leader.data.setHistory(KEEP);
    await ask(leader, 'SETRANGE', 'k', String(40 * 1024 * 1024), 'x');
    const revision = lastTimestamp(leader);
    await ask(leader, 'SETRANGE', 'k', '0', 'y');
    assert.match(await ask(leader, 'KAHUNA.HISTORY', 'k'), /^-ERR the values of these revisions take more than/);
    await ask(leader, 'KAHUNA.GET', 'k', 'REVISION', String(revision));
    assert.equal(valueIn(leader, 'ask')?.[0], '\0');
    await ask(leader, 'KAHUNA.HISTORY', 'k', 'COUNT', '1');
    assert.ok(Array.isArray(leader.replies.get('ask')), 'a list of versions');
  });

  it('make entries that say when a flush may have left something under a key', async () => {
    const leader = await TestLeader.create();
    await ask(leader, 'SET', 'k', 'one');
    const flagOf = (): boolean | undefined =>
      decodeEntry(leader.entries.at(-1) as Uint8Array).records[0]?.isReplacedUnknown;
    assert.equal(flagOf(), false);
    await ask(leader, 'FLUSHALL');
    await ask(leader, 'SET', 'k', 'two');
    assert.equal(flagOf(), true);
    await ask(leader, 'SET', 'k', 'three');
    assert.equal(flagOf(), false);
  });

  it('that is under way when the tenure ends reports nothing: the store may be closed', async () => {
    const leader = await TestLeader.create();
    leader.data.setHistory(KEEP);
    await ask(leader, 'SET', 'k', 'v');
    const at = lastTimestamp(leader);
    await ask(leader, 'SET', 'k', 'w');
    let reported: unknown;
    leader.reader.onDamage = (error) => {
      reported = error;
    };
    leader.data.snapshot = () => {
      throw new KahunaError('DATA_DAMAGED', 'the data store is closed');
    };
    leader.submit('ask', ['KAHUNA.GET', 'k', 'ASOF', String(at)]);
    leader.tenure.end();
    await new Promise<void>((resolve) => void setImmediate(resolve));
    assert.equal(reported, undefined);
  });
});
