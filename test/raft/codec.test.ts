/** What is encoded comes back the same; what is cut or changed is refused by the room's own error, never by another. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeMessage, encodeMessage } from '../../src/raft/codec.ts';
import { decodeConfChange, decodeConfState, encodeConfChange, encodeConfState } from '../../src/raft/conf-codec.ts';
import { draftMessage } from '../../src/raft/messages.ts';
import { ENTRY_TYPES, MESSAGE_TYPES } from '../../src/raft/types.ts';
import type { Message } from '../../src/raft/types.ts';
import { RaftCodecError, WireWriter } from '../../src/raft/wire.ts';
import { confChange, confState, message } from './arbitrary.ts';

const RUNS = { numRuns: 500 };

function encoded(m: Message): Uint8Array {
  const writer = new WireWriter(16);
  encodeMessage(m, writer);
  return writer.take();
}

/** True if `decode` took the bytes; false if it refused them as it should. */
function isTaken(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): boolean {
  try {
    decode(bytes);
    return true;
  } catch (error) {
    assert.ok(error instanceof RaftCodecError, `threw ${String(error)}`);
    return false;
  }
}

const CODECS = [
  { name: 'message', decode: decodeMessage, bytes: message.map(encoded) },
  { name: 'configuration change', decode: decodeConfChange, bytes: confChange.map(encodeConfChange) },
  { name: 'configuration', decode: decodeConfState, bytes: confState(true).map(encodeConfState) },
];

describe('raft codec', () => {
  it('a message comes back the same, from any place in a larger buffer', () => {
    fc.assert(
      fc.property(message, fc.nat(20), (m, offset) => {
        const bytes = encoded(m);
        const frame = Buffer.alloc(offset + bytes.length + 7, 0xee);
        frame.set(bytes, offset);
        assert.deepEqual(decodeMessage(frame.subarray(offset, offset + bytes.length)), m);
      }),
      RUNS,
    );
  });

  it('a decoded entry does not change with the frame that it came in', () => {
    const entry = { term: 1, index: 1, type: ENTRY_TYPES.normal, data: Uint8Array.of(1, 2, 3) };
    const frame = Buffer.from(encoded({ ...draftMessage(MESSAGE_TYPES.append, 1, 2, 1), entries: [entry] }));
    const decoded = decodeMessage(frame);
    frame.fill(0xff);
    assert.deepEqual(decoded.entries[0]?.data, Uint8Array.of(1, 2, 3));
  });

  it('a change and a configuration come back the same', () => {
    fc.assert(
      fc.property(confChange, (change) => assert.deepEqual(decodeConfChange(encodeConfChange(change)), change)),
      RUNS,
    );
    fc.assert(
      fc.property(confState(true), (conf) => assert.deepEqual(decodeConfState(encodeConfState(conf)), conf)),
      RUNS,
    );
  });

  it('one writer serves many messages', () => {
    const writer = new WireWriter(8);
    fc.assert(
      fc.property(message, (m) => {
        writer.clear();
        encodeMessage(m, writer);
        assert.deepEqual(decodeMessage(writer.peek()), m);
      }),
      RUNS,
    );
  });

  for (const { name, decode, bytes } of CODECS) {
    it(`a ${name} that is cut anywhere, or goes on, is refused`, () => {
      fc.assert(
        fc.property(bytes, (whole) => {
          for (let length = 0; length < whole.length; length++) assert.ok(!isTaken(decode, whole.subarray(0, length)));
          assert.ok(!isTaken(decode, Uint8Array.of(...whole, 0)));
        }),
        { numRuns: 200 },
      );
    });

    it(`a ${name} with changed bytes is taken or refused, nothing else`, () => {
      const change = fc.record({
        at: fc.nat(),
        value: fc.oneof(fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xff), fc.nat(255)),
      });
      fc.assert(
        fc.property(bytes, fc.array(change, { minLength: 1, maxLength: 4 }), (whole, changes) => {
          const broken = whole.slice();
          for (const { at, value } of changes) if (broken.length > 0) broken[at % broken.length] = value;
          isTaken(decode, broken);
        }),
        { numRuns: 1000 },
      );
    });

    it(`noise is no ${name}`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 120 }), (noise) => void isTaken(decode, noise)),
        { numRuns: 800 },
      );
    });
  }

  it('numbers beyond 53 bits, unknown types and impossible combinations are refused', () => {
    const bytes = encoded(draftMessage(MESSAGE_TYPES.heartbeat, 1, 2, 5));
    const withByte = (at: number, value: number): Uint8Array => {
      const copy = bytes.slice();
      copy[at] = value;
      return copy;
    };
    const broken: [string, Uint8Array][] = [
      ['version', withByte(0, 2)],
      ['type 0', withByte(1, 0)],
      ['type 14', withByte(1, 14)],
      ['unknown flag', withByte(2, 4)],
      ['snapshot flag on a heartbeat', withByte(2, 2)],
      ['reserved byte', withByte(3, 1)],
      ['sender 0', withByte(7, 0)],
      ['term of 54 bits', withByte(13, 0x20)],
      ['term 0', withByte(19, 0)],
      ['log term above the term', withByte(27, 6)],
      ['time that is no number', bytes.slice().fill(0xff, 60, 68)],
      ['negative time', withByte(60, 0xc0)],
      ['entries on a heartbeat', withByte(71, 1)],
    ];
    assert.ok(isTaken(decodeMessage, bytes));
    for (const [what, wrong] of broken) assert.ok(!isTaken(decodeMessage, wrong), what);
  });

  it('the bytes on the wire and in the log are pinned', () => {
    const entries = [{ term: 3, index: 8, type: ENTRY_TYPES.normal, data: Uint8Array.of(0xaa, 0xbb) }];
    const append: Message = {
      ...draftMessage(MESSAGE_TYPES.append, 1, 2, 3),
      index: 7,
      logTerm: 2,
      commit: 6,
      entries,
      leaderTimeMs: 1.5,
    };
    assert.equal(
      Buffer.from(encoded(append)).toString('hex'),
      '010100000000000100000002' + // version, type, flags, reserved, from, to
        '000000000000000300000000000000020000000000000007' + // term, log term, index
        '000000000000000600000000000000000000000000000000' + // commit, hint, context
        '3ff800000000000000000001' + // time, count
        '00000000000000030000000002aabb', // term, type, length, data
    );
    const change = {
      changes: [
        { kind: 'addVoter', node: 4 },
        { kind: 'remove', node: 1 },
      ],
      joint: true,
      context: Uint8Array.of(9),
    } as const;
    assert.equal(Buffer.from(encodeConfChange(change)).toString('hex'), '01010002010000000403000000010000000109');
    const conf = { voters: [1, 2], votersOutgoing: [1, 3], learners: [], learnersNext: [3] };
    assert.equal(
      Buffer.from(encodeConfState(conf)).toString('hex'),
      '01000200000001000000020002000000010000000300000001' + '00000003',
    );
  });
});
