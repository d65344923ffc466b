/** The log in memory, with its compaction and its record of what is durable, against an array of everything. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { RaftLog } from '../../src/raft/log.ts';
import { BLANK_CONF } from '../../src/raft/membership.ts';
import { ENTRY_TYPES } from '../../src/raft/types.ts';
import type { Entry } from '../../src/raft/types.ts';

function entryOf(index: number, term: number): Entry {
  return { index, term, type: ENTRY_TYPES.normal, data: new Uint8Array(index % 7) };
}

function emptyLog(): RaftLog {
  const snapshot = { index: 0, term: 0, confState: BLANK_CONF };
  return new RaftLog({ hardState: { term: 0, vote: 0, commit: 0 }, snapshot, entries: [], applied: 0 });
}

/** The twin: every entry that the log ever had and still has, and what each flush carried. */
class NaiveLog {
  entries: Entry[] = [];
  base = 0;
  readonly flights: { number: number; entries: Entry[] }[] = [];
  /** The disk, as a list of entries that later writes replace from their first index on. */
  disk: Entry[] = [];
  staged = 0;

  write(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first !== undefined) this.disk = [...this.disk.slice(0, first.index - 1), ...entries];
  }

  /** How far disk and log agree. */
  get durable(): number {
    let index = 0;
    while (index < this.disk.length && this.disk[index] === this.entries[index]) index++;
    return index;
  }
}

type Command = {
  readonly kind: 'append' | 'overwrite' | 'stage' | 'persist' | 'commit' | 'compact' | 'look';
  readonly a: number;
  readonly b: number;
};

const command: fc.Arbitrary<Command> = fc.record({
  kind: fc.constantFrom('append', 'append', 'overwrite', 'stage', 'stage', 'persist', 'commit', 'compact', 'look'),
  a: fc.nat(1000),
  b: fc.nat(1000),
});

function compare(log: RaftLog, twin: NaiveLog): void {
  assert.equal(log.lastIndex, twin.entries.length);
  assert.equal(log.baseIndex, twin.base);
  for (let index = 0; index <= twin.entries.length + 1; index++) {
    const entry = index > twin.base ? twin.entries[index - 1] : undefined;
    assert.equal(log.entryAt(index), entry);
    const expected = index >= twin.base ? (twin.entries[index - 1]?.term ?? 0) : 0;
    assert.equal(log.termAt(index), expected);
  }
  const bytes = twin.entries.slice(twin.base).reduce((sum, entry) => sum + entry.data.length + 16, 0);
  assert.equal(log.sizeBytes, bytes);
}

function look(log: RaftLog, twin: NaiveLog, { a, b }: Command): void {
  if (twin.entries.length === twin.base) return;
  const from = twin.base + 1 + (a % (twin.entries.length - twin.base));
  const bytesMax = b % 120;
  const slice = log.slice(from, bytesMax);
  assert.deepEqual(slice, twin.entries.slice(from - 1, from - 1 + slice.length));
  const size = (entries: readonly Entry[]): number => entries.reduce((sum, entry) => sum + entry.data.length + 16, 0);
  assert.ok(slice.length === 1 || size(slice) <= bytesMax);
  const next = twin.entries[from - 1 + slice.length];
  if (next !== undefined) assert.ok(size([...slice, next]) > bytesMax);
  const to = from + (b % (twin.entries.length - from + 1));
  assert.deepEqual(log.range(from, to), twin.entries.slice(from - 1, to));
  const term = b % 9;
  let within = from;
  while (within > twin.base && (twin.entries[within - 1]?.term ?? 0) > term) within--;
  assert.equal(log.lastIndexWithin(from, term), within);
}

function run(log: RaftLog, twin: NaiveLog, one: Command, term: number): void {
  const { kind, a, b } = one;
  switch (kind) {
    case 'append':
      for (let i = 0; i <= a % 3; i++) {
        const entry = entryOf(twin.entries.length + 1, term);
        log.push(entry);
        twin.entries.push(entry);
      }
      return;
    case 'overwrite': {
      if (twin.entries.length === log.commit) return;
      const index = log.commit + 1 + (a % (twin.entries.length - log.commit));
      log.truncateFrom(index);
      twin.entries.length = index - 1;
      twin.staged = Math.min(twin.staged, index - 1);
      return;
    }
    case 'stage': {
      log.unstable.issued++;
      const entries = twin.entries.slice(twin.staged);
      if (entries.length > 0) log.unstable.staged(log.unstable.issued, log.lastIndex, { term, vote: 0 });
      twin.flights.push({ number: log.unstable.issued, entries });
      twin.staged = twin.entries.length;
      return;
    }
    case 'persist': {
      if (twin.flights.length === 0) return;
      const done = twin.flights.splice(0, 1 + (a % twin.flights.length));
      for (const flight of done) twin.write(flight.entries);
      log.unstable.persisted(done[done.length - 1]?.number ?? 0);
      return;
    }
    case 'commit':
      if (twin.entries.length > 0) log.commitTo(a % (twin.entries.length + 1));
      log.handed = Math.max(log.handed, log.applicable);
      log.appliedTo(Math.max(log.applied, Math.min(log.handed, b)));
      return;
    case 'compact':
      if (log.applied === 0) return;
      log.compact(a % (log.applied + 1));
      twin.base = Math.max(twin.base, a % (log.applied + 1));
      return;
    case 'look':
      look(log, twin, one);
  }
}

describe('raft log', () => {
  it('holds the same as an array of everything, and knows no more to be durable than the disk has', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 80 }), (commands) => {
        const log = emptyLog();
        const twin = new NaiveLog();
        for (const [i, one] of commands.entries()) {
          run(log, twin, one, 1 + Math.floor(i / 10));
          compare(log, twin);
          assert.ok(
            log.unstable.durableIndex <= twin.durable,
            `durable ${log.unstable.durableIndex}, on disk ${twin.durable}`,
          );
        }
        // Once everything is flushed, everything is known to be durable.
        run(log, twin, { kind: 'stage', a: 0, b: 0 }, 100);
        run(log, twin, { kind: 'persist', a: twin.flights.length - 1, b: 0 }, 100);
        assert.equal(log.unstable.durableIndex, twin.entries.length);
      }),
      { numRuns: 600 },
    );
  });

  it('gives the slots of compacted entries back', () => {
    const log = emptyLog();
    for (let index = 1; index <= 5000; index++) log.push(entryOf(index, 1));
    log.unstable.issued = 1;
    log.unstable.staged(1, 5000, { term: 1, vote: 0 });
    log.unstable.persisted(1);
    log.commitTo(5000);
    log.handed = 5000;
    log.appliedTo(5000);
    for (let index = 1; index <= 4990; index += 7) log.compact(index);
    assert.equal(log.entryAt(4991)?.index, 4991);
    assert.equal(log.slice(4991, 1e9).length, 10);
    assert.deepEqual(
      log.slice(4996, 1e9).map((entry) => entry.index),
      [4996, 4997, 4998, 4999, 5000],
    );
  });

  it('refuses to overwrite what is committed and to compact what is not applied', () => {
    const log = emptyLog();
    for (let index = 1; index <= 3; index++) log.push(entryOf(index, 1));
    log.commitTo(2);
    assert.throws(() => log.truncateFrom(2), /committed/);
    assert.throws(() => log.compact(1), /applied/);
    assert.throws(() => log.commitTo(4), /lost entries/);
    assert.throws(() => log.push(entryOf(5, 1)), /does not follow/);
    assert.throws(() => log.push(entryOf(4, 0)), /follows term/);
  });
});
