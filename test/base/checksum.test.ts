/** CRC-32 against its check value, and in pieces. */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { crc32 } from '../../src/base/checksum.ts';

describe('crc32', () => {
  it('is that of IEEE 802.3', () => {
    assert.equal(crc32(Buffer.from('123456789')), 0xcbf43926);
    assert.equal(crc32(new Uint8Array(0)), 0);
  });

  it('is the same in one piece and in several, empty ones included', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 8 }), { maxLength: 6 }), (pieces) => {
        const chained = pieces.reduce((seed, piece) => crc32(piece, seed), 0);
        assert.equal(chained, crc32(Buffer.concat(pieces)));
      }),
    );
  });

  it('does not depend on whether an empty array has memory', () => {
    const bare = new Uint8Array(new ArrayBuffer(0));
    const inHeap = new Uint8Array(0);
    assert.deepEqual([crc32(bare, 7), crc32(inHeap, 7)], [7, 7]);
  });
});
