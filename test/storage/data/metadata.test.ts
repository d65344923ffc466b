/** The store's own records: the bytes that must never change, and that damage is noticed. */
import { strict as assert } from 'node:assert';
import { KahunaError } from '../../../src/base/errors.ts';
import {
  decodeBoot,
  decodeGroup,
  decodeHistory,
  decodeIdentity,
  decodeReplacement,
  encodeBoot,
  encodeGroup,
  encodeHistory,
  encodeIdentity,
  encodeReplacement,
  groupKey,
  groupOfKey,
  replacementKey,
} from '../../../src/storage/data/metadata.ts';

const IDENTITY = { format: 1, clusterId: 'cluster', nodeId: 3 };
const GROUP = {
  index: 300,
  term: 2,
  timestampMax: 1_000_000,
  suspectUpTo: 5,
  installedIndex: 4,
  state: Buffer.from('state'),
};
const RANGES = [{ start: Buffer.from('a'), end: Buffer.from('b') }];

describe("data store: the store's own records", () => {
  it('keep these bytes for ever', () => {
    assert.deepEqual(
      {
        identity: hex(encodeIdentity(IDENTITY)),
        boot: hex(encodeBoot('boot')),
        history: hex(encodeHistory({ mode: 'draining', since: 200, floor: 300 })),
        groupKey: hex(groupKey(258)),
        group: hex(encodeGroup(groupKey(258), GROUP)),
        replacementKey: hex(replacementKey(258)),
        install: hex(encodeReplacement(258, { isInstall: true, ranges: RANGES })),
        removal: hex(encodeReplacement(258, { isInstall: false, ranges: [] })),
      },
      {
        identity: '479ebf7e010307636c7573746572',
        boot: '9f439bca04626f6f74',
        history: '552aa9b702c801ac02',
        groupKey: '810000000000000102',
        group: 'f42a5664ac0202c0843d05047374617465',
        replacementKey: '820000000000000102',
        install: '285ed5d7010101610162',
        removal: 'b98e32ff0000',
      },
    );
  });

  it('come apart into what they were made of', () => {
    assert.deepEqual(decodeIdentity(encodeIdentity(IDENTITY)), IDENTITY);
    assert.equal(decodeBoot(encodeBoot('boot')), 'boot');
    for (const mode of ['off', 'on', 'draining'] as const) {
      const history = { mode, since: 2 ** 52, floor: 7 };
      assert.deepEqual(decodeHistory(encodeHistory(history)), history);
    }
    const group = decodeGroup(groupKey(1), encodeGroup(groupKey(1), GROUP));
    assert.deepEqual({ ...group, state: Buffer.from(group.state) }, GROUP);
    assert.equal(groupOfKey(groupKey(2 ** 52 + 1)), 2 ** 52 + 1);
    const replacement = decodeReplacement(replacementKey(9), encodeReplacement(9, { isInstall: true, ranges: RANGES }));
    assert.equal(replacement.isInstall, true);
    assert.deepEqual(
      replacement.ranges.map(({ start, end }) => [hex(start), hex(end)]),
      [['61', '62']],
    );
  });

  it('are refused with any bit changed or any byte cut, and under the key of another', () => {
    const cases: [value: Uint8Array, decode: (value: Uint8Array) => unknown][] = [
      [encodeIdentity(IDENTITY), decodeIdentity],
      [encodeBoot('boot'), decodeBoot],
      [encodeHistory({ mode: 'on', since: 200, floor: 300 }), decodeHistory],
      [encodeGroup(groupKey(1), GROUP), (value) => decodeGroup(groupKey(1), value)],
      [
        encodeReplacement(1, { isInstall: true, ranges: RANGES }),
        (value) => decodeReplacement(replacementKey(1), value),
      ],
    ];
    for (const [value, decode] of cases) {
      decode(value);
      for (let at = 0; at < value.length; at++) {
        for (let bit = 0; bit < 8; bit++) {
          const flipped = Uint8Array.from(value);
          flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
          refused(() => decode(flipped));
        }
        refused(() => decode(value.subarray(0, at)));
      }
    }
    refused(() => decodeGroup(groupKey(2), encodeGroup(groupKey(1), GROUP)));
    refused(() => groupOfKey(Buffer.of(0x81, 1)));
  });
});

function refused(decode: () => unknown): void {
  assert.throws(decode, (error) => error instanceof KahunaError && error.code === 'DATA_DAMAGED');
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
