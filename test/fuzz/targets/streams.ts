/** Streams of bytes: however they are cut, they say the same; and what was understood is written to the same bytes. */
import assert from 'node:assert/strict';
import { crc32 } from '../../../src/base/checksum.ts';
import { quoteWord, splitQuotedWords } from '../../../src/base/quoted-words.ts';
import { DecodeError, ReplyDecoder } from '../../../src/resp/decode.ts';
import { encodeReply } from '../../../src/resp/encode.ts';
import { matchesGlob } from '../../../src/resp/glob.ts';
import type { Reply } from '../../../src/resp/reply.ts';
import { ProtocolError, RequestReader } from '../../../src/resp/requests.ts';
import { FRAME_HEADER_BYTES, FrameReader } from '../../../src/transport/frames.ts';
import type { FuzzTarget } from '../target.ts';
import { refusedOr } from './round-trip.ts';

/** The input whole, byte by byte, and in two halves. */
function cuts(input: Buffer): readonly (readonly Buffer[])[] {
  const middle = Math.floor(input.length / 2);
  return [
    [input],
    Array.from(input, (_, i) => input.subarray(i, i + 1)),
    [input.subarray(0, middle), input.subarray(middle)],
  ];
}

/** What the reader gets is overwritten afterwards, as a connection does with its chunks. */
function feed(pieces: readonly Buffer[], push: (chunk: Buffer) => void): void {
  for (const piece of pieces) {
    const chunk = Buffer.from(piece);
    push(chunk);
    chunk.fill(0xdd);
  }
}

function sameHoweverCut(input: Buffer, read: (pieces: readonly Buffer[]) => unknown): void {
  const [whole, ...others] = cuts(input).map(read);
  for (const other of others) assert.deepEqual(other, whole, 'it says the same however it is cut');
}

const LIMITS = { bulkBytesMax: 4_096, bufferBytesMax: 8_192 };

function requestsIn(pieces: readonly Buffer[], isAuthenticated: boolean): unknown {
  const reader = new RequestReader(LIMITS, isAuthenticated);
  const requests: string[][] = [];
  try {
    feed(pieces, (chunk) => {
      reader.push(chunk, (argv) => {
        requests.push(argv.map((word) => word.toString('latin1')));
        return requests.length % 3 !== 0;
      });
      while (reader.isPaused) {
        reader.resume((argv) => {
          requests.push(argv.map((word) => word.toString('latin1')));
          return true;
        });
      }
    });
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { requests, error: error.message };
  }
  const words = requests.flat().reduce((sum, word) => sum + word.length, 0);
  assert.ok(words <= pieces.reduce((sum, piece) => sum + piece.length, 0), 'no more words than bytes');
  return { requests, error: null };
}

function repliesIn(pieces: readonly Buffer[]): { readonly replies: readonly Reply[]; readonly error: string | null } {
  const decoder = new ReplyDecoder();
  const replies: Reply[] = [];
  try {
    feed(pieces, (chunk) => replies.push(...decoder.push(chunk)));
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    // What came in the same chunk as the mistake is lost with it.
    return { replies: [], error: 'refused' };
  }
  return { replies, error: null };
}

const FRAME_BYTES = 4_096;

function messagesIn(pieces: readonly Buffer[]): readonly string[] | null {
  const reader = new FrameReader(FRAME_BYTES);
  const messages: string[] = [];
  const isFine = refusedOr(() => {
    feed(pieces, (chunk) => {
      reader.push(chunk, (kind, payload) => messages.push(`${kind} ${payload.toString('hex')}`));
    });
    return true;
  });
  return isFine === null ? null : messages;
}

/** The bytes as the content of a frame with the right length and checksum. */
export function framed(body: Uint8Array): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + body.length);
  frame.writeUInt32LE(body.length, 0);
  frame.writeUInt32LE(crc32(body), 4);
  frame.set(body, FRAME_HEADER_BYTES);
  return frame;
}

function messageBytes(kind: number, payload: string): Buffer {
  const bytes = Buffer.alloc(5 + payload.length);
  bytes[0] = kind;
  bytes.writeUInt32LE(payload.length, 1);
  bytes.write(payload, 5, 'latin1');
  return bytes;
}

export const streamTargets: readonly FuzzTarget[] = [
  {
    name: 'requests',
    about: 'the bytes of clients: the same requests, or the same error, however they are cut',
    seeds: () => [
      Buffer.from('*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n*1\r\n$4\r\nPING\r\n'),
      Buffer.from('SET k "a b\\x00" \'c\'\r\n*0\r\n*-1\r\n'),
    ],
    words: [
      '\r\n',
      '*',
      '$',
      '*1\r\n',
      '$0\r\n\r\n',
      '"',
      "'",
      '\\x',
      'GET /',
      'POST ',
      'Host:',
      '\0',
      '*1048577\r\n',
      '$536870912\r\n',
    ],
    open: () => ({
      run: (input) => {
        for (const isAuthenticated of [true, false]) {
          sameHoweverCut(input, (pieces) => requestsIn(pieces, isAuthenticated));
        }
      },
    }),
  },
  {
    name: 'replies',
    about: 'replies: the same however they are cut; encoded, they are read again as what they were',
    seeds: () => [
      Buffer.from('*3\r\n:1\r\n$2\r\nab\r\n$-1\r\n+OK\r\n-ERR no\r\n*-1\r\n'),
      Buffer.from('%1\r\n+k\r\n~2\r\n#t\r\n_\r\n,1.5\r\n(99999999999999999999\r\n=7\r\ntxt:abc\r\n>1\r\n:2\r\n'),
      Buffer.from('|1\r\n+a\r\n+b\r\n!5\r\nERR x\r\n,inf\r\n'),
    ],
    words: [
      '\r\n',
      '*',
      '$',
      '%',
      '~',
      '#',
      '_',
      ',',
      '(',
      '=',
      '>',
      '|',
      '!',
      'nan',
      '-inf',
      'txt:',
      '$-1',
      '*1\r\n*1\r\n*1\r\n',
    ],
    open: () => ({
      run: (input) => {
        sameHoweverCut(input, (pieces) => repliesIn(pieces).error ?? repliesIn(pieces).replies);
        for (const reply of repliesIn([input]).replies) {
          // RESP3 has one null, so bytes are compared, not values.
          const written = encodeReply(reply, 3);
          const [read] = repliesIn([written]).replies;
          assert.ok(read !== undefined, 'what is written is read');
          assert.equal(encodeReply(read, 3).toString('latin1'), written.toString('latin1'));
        }
      },
    }),
  },
  {
    name: 'frames',
    about: 'frames between nodes: the same messages however they are cut, and none of a damaged frame',
    seeds: () => [framed(Buffer.concat([messageBytes(16, 'one'), messageBytes(17, '')])), framed(Buffer.alloc(0))],
    open: () => ({
      run: (input) => {
        sameHoweverCut(input, messagesIn);
        const content = framed(input.subarray(0, FRAME_BYTES));
        sameHoweverCut(content, messagesIn);
        const messages = messagesIn([content]);
        if (messages === null) return;
        const again = messages.map((line) => {
          const [kind = '', hex = ''] = line.split(' ');
          return messageBytes(Number(kind), Buffer.from(hex, 'hex').toString('latin1'));
        });
        assert.equal(framed(Buffer.concat(again)).toString('hex'), content.toString('hex'));
      },
    }),
  },
  {
    name: 'quoted-words',
    about: 'words as in inline requests and configuration files: quoted, they are read as they were',
    seeds: () => [Buffer.from('plain "in \\"double\\" \\x41" \'single\''), Buffer.from('a"b"')],
    words: ['"', "'", '\\', '\\x', '\\n', ' ', '\t', '\0'],
    open: () => ({
      run: (input) => {
        const words = splitQuotedWords(input.toString('latin1'));
        if (words === null) return;
        const line = words.map(quoteWord).join(' ');
        assert.ok(!/[\r\n]/.test(line));
        assert.deepEqual(splitQuotedWords(line), words);
      },
    }),
  },
  {
    name: 'glob',
    about: 'patterns of KEYS and SCAN: an answer in bounded time, whatever they are',
    seeds: () => [Buffer.from('h[a-e^]l?o*\\*\0hello*'), Buffer.from('*a*a*a*a*a*a*a*a*b\0' + 'a'.repeat(200))],
    words: ['*', '?', '[', ']', '^', '\\', '-', '\0', '*a', '[^'],
    msMax: 300,
    open: () => ({
      run: (input) => {
        const at = input.indexOf(0);
        const [pattern, text] = at === -1 ? [input, input] : [input.subarray(0, at), input.subarray(at + 1)];
        const answer = matchesGlob(pattern.toString('latin1'), text.toString('latin1'));
        assert.equal(typeof answer, 'boolean');
      },
    }),
  },
];
