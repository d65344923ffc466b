/** Vectors of the reference implementation (xxHash 0.8.1, xxh3_64bits, seed 0) over all of its length classes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { xxh3, xxh3Hex } from '../../src/values/xxh3.ts';

const VECTORS = readFileSync(new URL('xxh3-vectors.txt', import.meta.url), 'latin1')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'));

describe('XXH3', () => {
  it('equals the reference for every length', () => {
    assert.ok(VECTORS.length > 270);
    for (const line of VECTORS) {
      const [length = '', digest = ''] = line.split(' ');
      const input = Buffer.from(Array.from({ length: Number(length) }, (_, i) => (i * 131 + (i >> 8) * 7 + 13) & 0xff));
      assert.equal(xxh3Hex(input), digest, `${length} bytes`);
    }
  });

  it('does not depend on where the bytes lie', () => {
    const input = Buffer.from('a text of some length, moved by one byte in memory');
    assert.equal(xxh3(Buffer.concat([Buffer.of(1), input]).subarray(1)), xxh3(input));
    assert.equal(xxh3(new Uint8Array(input)), xxh3(input));
  });
});
