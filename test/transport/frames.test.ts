/** Frames: read whole, cut anywhere, and damaged anywhere. Chunks are overwritten after each call, as the platform may. */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { ByteWriter } from '../../src/base/bytes.ts';
import { crc32 } from '../../src/base/checksum.ts';
import { KahunaError } from '../../src/base/errors.ts';
import { FrameReader } from '../../src/transport/frames.ts';

interface Message {
  readonly kind: number;
  readonly payload: Buffer;
}

const BYTES_MAX = 4_096;

function frameOf(messages: readonly Message[]): Buffer {
  const body = new ByteWriter(64);
  for (const { kind, payload } of messages) {
    body.u8(kind);
    body.u32(payload.length);
    body.bytes(payload);
  }
  const bytes = body.finish();
  const frame = new ByteWriter(64);
  frame.u32(bytes.length);
  frame.u32(crc32(bytes));
  frame.bytes(bytes);
  return Buffer.from(frame.finishCopy());
}

/** Feeds the stream cut at `cuts`; each chunk turns to rubbish once it was handed over. */
function read(stream: Buffer, cuts: readonly number[]): Message[] {
  const reader = new FrameReader(BYTES_MAX);
  const messages: Message[] = [];
  const places = [...new Set(cuts.map((cut) => cut % (stream.length + 1)))].sort((a, b) => a - b);
  let from = 0;
  for (const to of [...places, stream.length]) {
    const chunk = Buffer.from(stream.subarray(from, to));
    reader.push(chunk, (kind, payload) => messages.push({ kind, payload: Buffer.from(payload) }));
    chunk.fill(0xdd);
    from = to;
  }
  return messages;
}

const message = fc.record(
  {
    kind: fc.integer({ min: 0, max: 255 }),
    payload: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  },
  { noNullPrototype: true },
);
const frames = fc.array(fc.array(message, { maxLength: 4 }), { maxLength: 6 });

describe('frames', () => {
  it('come out as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(), { maxLength: 30 }), (sent, cuts) => {
        const stream = Buffer.concat(sent.map(frameOf));
        assert.deepEqual(read(stream, cuts), sent.flat());
      }),
    );
  });

  it('come out if they arrive byte by byte', () => {
    const sent = [
      [
        { kind: 7, payload: Buffer.from('seven') },
        { kind: 8, payload: Buffer.alloc(0) },
      ],
      [],
    ];
    const stream = Buffer.concat(sent.map(frameOf));
    assert.deepEqual(
      read(
        stream,
        Array.from(stream, (_, i) => i),
      ),
      sent.flat(),
    );
  });

  it('are refused with a coded error if any byte of them is damaged', () => {
    const stream = frameOf([{ kind: 20, payload: Buffer.from('something') }]);
    for (let at = 0; at < stream.length; at++) {
      const damaged = Buffer.from(stream);
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      let messages: Message[] = [];
      try {
        messages = read(damaged, []);
      } catch (error) {
        assert.ok(error instanceof KahunaError, String(error));
        assert.equal(error.code, 'FRAME_MALFORMED');
      }
      // A damaged length may only make the reader wait for more.
      assert.deepEqual(messages, [], `byte ${at}`);
    }
  });

  it('are refused as soon as their length is known to be too much', () => {
    const header = new ByteWriter(8);
    header.u32(BYTES_MAX + 1);
    header.u32(0);
    assert.throws(() => read(Buffer.from(header.finishCopy()), []), { code: 'FRAME_MALFORMED' });
  });

  it('with messages that pass their end are refused', () => {
    for (const body of [[9, 5, 0, 0, 0, 1], [9, 0, 0], [9]]) {
      const frame = new ByteWriter(64);
      frame.u32(body.length);
      frame.u32(crc32(Uint8Array.from(body)));
      frame.bytes(Uint8Array.from(body));
      assert.throws(() => read(Buffer.from(frame.finishCopy()), []), { code: 'FRAME_MALFORMED' });
    }
  });
});
