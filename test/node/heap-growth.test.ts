import { strict as assert } from 'node:assert';

import { growthPercent } from '../../src/node/heap-growth.ts';

const MB = 1024 * 1024;

describe('growth of the heap between collections', () => {
  it('is a step of one size for a small heap, and a share of a large one', () => {
    assert.equal(growthPercent(10 * MB), 200);
    assert.equal(growthPercent(32 * MB), 100);
    assert.equal(growthPercent(64 * MB), 50);
    assert.equal(growthPercent(400 * MB), 20);
  });
});
