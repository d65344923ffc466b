import { strict as assert } from 'node:assert';
import calculateSlot from 'cluster-key-slot';
import fc from 'fast-check';
import { slotOfKey } from '../../src/base/slots.ts';

describe('hash slots', () => {
  it('are those of Redis Cluster', () => {
    assert.equal(slotOfKey('123456789'), 12_739);
    assert.equal(slotOfKey('{user1000}.following'), slotOfKey('{user1000}.followers'));
    // The specification's own example: an empty tag means that the whole key counts.
    assert.equal(slotOfKey('foo{}{bar}'), 8_363);
    assert.equal(slotOfKey('foo{{bar}}zap'), slotOfKey('{bar'));
  });

  it('equal those of the library that clients use, for any bytes without an empty tag', () => {
    const keys = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.string({ maxLength: 20 }).map((text) => Buffer.from(`a{${text}}b`)),
    );
    fc.assert(
      fc.property(keys, (bytes) => {
        const key = Buffer.from(bytes);
        fc.pre(!key.includes('{}'));
        assert.equal(slotOfKey(key.toString('latin1')), calculateSlot(key));
      }),
    );
  });
});
