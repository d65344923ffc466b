/**
 * What travels between two nodes: frames, each with the messages of one turn.
 *
 *   u32 bytes after this field and the next | u32 crc32 of them | messages
 *   message: u8 kind | u32 bytes | payload
 *
 * Little-endian. What a payload means is the matter of whoever registered for its kind; the kinds below 16 belong to the
 * link itself. A frame whose checksum does not fit ends the connection.
 */
import { getU32 } from '../base/bytes.ts';
import { crc32 } from '../base/checksum.ts';
import { KahunaError } from '../base/errors.ts';

export const FRAME_HEADER_BYTES = 8;
const MESSAGE_HEADER_BYTES = 5;

/** Kinds of messages that the link itself handles: append-only. */
export const LINK_KINDS = { hello: 1, challenge: 2, proof: 3, welcome: 4 } as const;
/** A message without meaning: its receiver ignores the kind. */
export const KEEP_ALIVE_KIND = 15;

/** Splits a byte stream into frames. Hands out views that are valid during the call only. */
export class FrameReader {
  /** Beginning of a frame that is not whole yet, and the chunks that followed it. */
  #pending: Buffer = Buffer.alloc(0);
  #chunks: Buffer[] = [];
  #chunkBytes = 0;
  /** Bytes at which there is something to read again. */
  #wantedBytes = 0;
  #bytesMax: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  set bytesMax(value: number) {
    this.#bytesMax = value;
  }

  /** Calls back once a message, in order. Throws KahunaError 'FRAME_MALFORMED'. */
  push(chunk: Buffer, onMessage: (kind: number, payload: Buffer) => void): void {
    let buffer = chunk;
    if (this.#pending.length > 0) {
      // A large frame arrives in many chunks: join them once, when it is whole. The connection uses its memory again.
      this.#chunkBytes += chunk.length;
      if (this.#pending.length + this.#chunkBytes < this.#wantedBytes) {
        this.#chunks.push(Buffer.from(chunk));
        return;
      }
      buffer = Buffer.concat([this.#pending, ...this.#chunks, chunk]);
      this.#pending = Buffer.alloc(0);
      this.#chunks = [];
      this.#chunkBytes = 0;
    }
    let at = 0;
    while (buffer.length - at >= FRAME_HEADER_BYTES) {
      const length = getU32(buffer, at);
      if (length > this.#bytesMax) throw malformed(`${length} bytes in a frame, at most ${this.#bytesMax} are allowed`);
      const end = at + FRAME_HEADER_BYTES + length;
      if (end > buffer.length) break;
      const body = buffer.subarray(at + FRAME_HEADER_BYTES, end);
      if (crc32(body) !== getU32(buffer, at + 4)) throw malformed('its checksum does not fit');
      readMessages(body, onMessage);
      at = end;
    }
    if (at === buffer.length) return;
    // The chunk belongs to the connection: what is left of it is copied.
    this.#pending = Buffer.from(buffer.subarray(at));
    this.#wantedBytes =
      this.#pending.length >= FRAME_HEADER_BYTES ? FRAME_HEADER_BYTES + getU32(this.#pending, 0) : FRAME_HEADER_BYTES;
  }
}

function readMessages(body: Buffer, onMessage: (kind: number, payload: Buffer) => void): void {
  let at = 0;
  while (at < body.length) {
    if (at + MESSAGE_HEADER_BYTES > body.length) throw malformed('a message header is cut');
    const kind = body[at] ?? 0;
    const end = at + MESSAGE_HEADER_BYTES + getU32(body, at + 1);
    if (end > body.length) throw malformed('a message passes the end of its frame');
    onMessage(kind, body.subarray(at + MESSAGE_HEADER_BYTES, end));
    at = end;
  }
}

export function malformed(what: string): KahunaError<'FRAME_MALFORMED'> {
  return new KahunaError('FRAME_MALFORMED', `a frame from another node cannot be read: ${what}`);
}
