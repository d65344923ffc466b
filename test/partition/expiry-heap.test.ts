/** The expiry heap against a list that is searched. */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { ExpiryHeap } from '../../src/partition/expiry-heap.ts';
import { ResidentKey } from '../../src/partition/resident.ts';

const KEYS = 6;

/** As the view sets an expiry: scheduled only where the heap holds no earlier node of the key. */
function expireAt(heap: ExpiryHeap, key: ResidentKey, atMs: number): void {
  key.value = 'x';
  key.expiresAtMs = atMs;
  if (atMs !== 0 && (key.scheduledAtMs === 0 || atMs < key.scheduledAtMs)) heap.add(key);
}

function drain(heap: ExpiryHeap, nowMs: number): string[] {
  const due: string[] = [];
  for (let key = heap.takeDue(nowMs); key !== undefined; key = heap.takeDue(nowMs)) {
    due.push(key.key);
    key.value = undefined;
    key.expiresAtMs = 0;
  }
  return due;
}

describe('expiry heap', () => {
  it('gives out every key whose time has come, once, and no other', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('set' as const), key: fc.nat(KEYS - 1), inMs: fc.nat(50) }),
      fc.record({ kind: fc.constant('remove' as const), key: fc.nat(KEYS - 1) }),
      fc.record({ kind: fc.constant('drop' as const), key: fc.nat(KEYS - 1) }),
      fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(30) }),
      fc.record({ kind: fc.constant('compact' as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const keys = Array.from({ length: KEYS }, (_, i) => new ResidentKey(0, `k${i}`));
        const heap = new ExpiryHeap((key) => keys.includes(key));
        let nowMs = 1;
        for (const one of steps) {
          if (one.kind === 'set') {
            expireAt(heap, keys[one.key] as ResidentKey, one.inMs === 0 ? 0 : nowMs + one.inMs);
          } else if (one.kind === 'remove') {
            Object.assign(keys[one.key] as ResidentKey, { value: undefined, expiresAtMs: 0 });
          } else if (one.kind === 'drop') {
            keys[one.key] = new ResidentKey(0, `k${one.key}`);
          } else if (one.kind === 'compact') {
            fillUp(heap);
            heap.compact(0);
          } else {
            nowMs += one.ms;
            const expected = keys
              .filter((key) => key.expiresAtMs !== 0 && key.expiresAtMs <= nowMs)
              .map(({ key }) => key);
            assert.deepEqual(drain(heap, nowMs).sort(), expected.sort());
          }
        }
      }),
    );
  });

  it('gives out keys in the order of their times', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 1_000 }), { maxLength: 60 }), (times) => {
        const heap = new ExpiryHeap(() => true);
        for (const [i, atMs] of times.entries()) expireAt(heap, new ResidentKey(0, `${i}`), atMs);
        assert.equal(heap.nextMs, times.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...times));
        const due = drain(heap, 1_000).map((key) => times[Number(key)]);
        assert.deepEqual(
          due,
          [...times].sort((a, b) => a - b),
        );
      }),
    );
  });

  it('forgets what is gone once that is the most', () => {
    const heap = new ExpiryHeap(() => false);
    fillUp(heap);
    assert.ok(heap.size > 1_000);
    heap.compact(10);
    assert.equal(heap.size, 0);
  });
});

/** Nodes of keys that are gone. */
function fillUp(heap: ExpiryHeap): void {
  for (let i = 0; i < 1_100; i++) {
    expireAt(heap, new ResidentKey(0, `gone${i}`), 1_000_000);
  }
}
