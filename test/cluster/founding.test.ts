import assert from 'node:assert/strict';
import { ByteWriter } from '../../src/base/bytes.ts';
import type { LogFields, Logger } from '../../src/base/log.ts';
import { Founding, type FoundingReplica } from '../../src/cluster/founding.ts';

/** One node of three, with one replica, whose messages to the others are kept. */
class Place {
  nowMs = 0;
  readonly replica: FoundingReplica & { isFounded: boolean; core: { isBlank: boolean; isAmnesiac: boolean } };
  readonly sent: { readonly to: number; readonly payload: Uint8Array }[] = [];
  readonly lines: string[] = [];
  readonly founding: Founding;
  #writer = new ByteWriter(16);

  constructor(node: number) {
    const replica = {
      group: 1,
      isFounded: false,
      core: {
        isBlank: true,
        isAmnesiac: true,
        leader: 0,
        confState: { voters: [1, 2, 3], votersOutgoing: [], learners: [], learnersNext: [] },
      },
      found: () => {
        if (!replica.core.isBlank) return false;
        replica.isFounded = true;
        replica.core.isAmnesiac = false;
        return true;
      },
    };
    this.replica = replica;
    this.founding = new Founding({
      node,
      clock: { monotonicMs: () => this.nowMs, wallMs: () => 0 },
      log: this.#logger(),
      transport: {
        begin: () => (this.#writer = new ByteWriter(16)),
        end: (to) => this.sent.push({ to, payload: this.#writer.finish() }),
      },
      replicas: () => [this.replica],
      nameOf: (id) => `n${id}`,
    });
  }

  #logger(): Logger {
    const say = (event: string, fields?: LogFields): void => {
      this.lines.push(`${event} ${JSON.stringify(fields)}`);
    };
    const logger: Logger = { debug: say, info: say, warn: say, error: say, child: () => logger };
    return logger;
  }
}

function connect(a: Place, aNode: number, b: Place, bNode: number): void {
  a.founding.linkUp(bNode);
  b.founding.linkUp(aNode);
  const [fromA, fromB] = [a.sent.at(-1), b.sent.at(-1)];
  assert.ok(fromA !== undefined && fromB !== undefined);
  b.founding.received(aNode, fromA.payload);
  a.founding.received(bNode, fromB.payload);
}

describe('founding', () => {
  it('needs the word of every other voter', () => {
    const places = [1, 2, 3].map((node) => new Place(node));
    const [a, b, c] = places;
    assert.ok(a !== undefined && b !== undefined && c !== undefined);
    connect(a, 1, b, 2);
    connect(a, 1, c, 3);
    assert.deepEqual(
      places.map(({ replica }) => replica.isFounded),
      [true, false, false],
    );
    connect(b, 2, c, 3);
    assert.ok(places.every(({ replica }) => replica.isFounded));
  });

  it('what was said once counts, though the others have gone on since', () => {
    const [a, b, c] = [new Place(1), new Place(2), new Place(3)];
    connect(a, 1, b, 2);
    connect(b, 2, c, 3);
    b.replica.core.isBlank = false;
    connect(a, 1, c, 3);
    assert.ok(a.replica.isFounded);
  });

  it('a replica that comes back with nothing among others that know something is not founded, and says so once', () => {
    const [a, b, c] = [new Place(1), new Place(2), new Place(3)];
    for (const other of [b, c]) {
      other.replica.core.isBlank = false;
      other.replica.core.isAmnesiac = false;
    }
    connect(a, 1, b, 2);
    connect(a, 1, c, 3);
    assert.ok(!a.replica.isFounded);
    assert.equal(a.lines.length, 1);
    assert.match(a.lines.join(), /no memory.*n2/);
    assert.deepEqual([b.lines, c.lines], [[], []]);
  });

  it('one voter that is not blank is enough against it', () => {
    const [a, b, c] = [new Place(1), new Place(2), new Place(3)];
    c.replica.core.isBlank = false;
    connect(a, 1, b, 2);
    connect(a, 1, c, 3);
    assert.ok(!a.replica.isFounded);
  });

  it('says whom it waits for, in intervals', () => {
    const [a, b] = [new Place(1), new Place(2)];
    connect(a, 1, b, 2);
    a.founding.tick();
    assert.deepEqual(a.lines, []);
    a.nowMs = 10_000;
    a.founding.tick();
    a.founding.tick();
    assert.equal(a.lines.length, 1);
    assert.match(a.lines.join(), /first start needs every member.*\["n3"\]/);
    a.nowMs = 70_000;
    a.founding.tick();
    assert.equal(a.lines.length, 2);
  });

  it('refuses a report that is cut or too long', () => {
    const a = new Place(1);
    for (const bytes of [
      [0, 0, 0],
      [1, 0, 0, 0],
      [0, 0, 0, 0, 9],
    ]) {
      assert.throws(() => a.founding.received(2, Uint8Array.from(bytes)));
    }
  });
});
