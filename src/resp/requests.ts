/**
 * Hot path: every byte that a client sends passes here. (Bench: guard and parser together, see the figures below.)
 *
 * From bytes to requests. redis-parser is fast but trusts its input: it allocates what a header announces, recurses
 * over nested arrays, waits for ever on a bad number, and knows no inline requests (measured: libraries that feed it
 * from the network unguarded can be ended with eleven bytes). So a guard walks the headers of each frame first, and
 * hands on only frames that are valid and complete:
 *
 *   bytes -> guard: headers, limits, inline lines -> runs of complete frames -> redis-parser -> argv
 *
 * What must stay true:
 * - Memory follows what was received, never what was announced. An incomplete frame lies in one buffer that grows by
 *   doubling, whatever the size of the pieces it comes in.
 * - Each header is read once: the guard remembers where it stopped, so a frame in one-byte pieces costs linear time.
 * - The parser only sees whole frames, so it keeps no state between calls, and dropping the reader drops everything.
 * - Bytes that were handed out in a request are never written again by the reader.
 * - What stands before a protocol error is delivered before the error is thrown, however the bytes were cut.
 * - Limits that depend on the session (authentication) are those in force when the frame's turn comes: an AUTH and
 *   a long SET in one packet work. Hence one frame at a time before authentication, runs of frames after it.
 *
 * Rules and texts follow Redis 7.2 src/networking.c (processInputBuffer, processInlineBuffer, processMultibulkBuffer).
 * Deliberate differences: at most 1,048,576 arguments (Redis before 7: the same; 7.2: 2^31 - 1, which would let a
 * gigabyte of empty arguments exhaust the JavaScript heap); the inline limit does not depend on how bytes were cut; a
 * NUL in an inline request is an error at once, where Redis waits for more.
 */
import RedisParser from 'redis-parser';
import { assert } from '../base/assert.ts';
import { KahunaError } from '../base/errors.ts';
import { splitQuotedWords } from '../base/quoted-words.ts';
import { ErrorReply } from './reply.ts';

/** An inline request, and a header line, may have this many bytes without its line end. */
export const INLINE_BYTES_MAX = 64 * 1024;
export const ARGUMENT_COUNT_MAX = 1024 * 1024;
/** Before authentication, as Redis since CVE-2021-32675 and CVE-2025-21605. */
const UNAUTHENTICATED_ARGUMENT_COUNT_MAX = 10;
const UNAUTHENTICATED_BULK_BYTES_MAX = 16_384;
export const UNAUTHENTICATED_BUFFER_BYTES_MAX = 1024 * 1024;

/** Read at every use, so that CONFIG SET takes effect on open connections. */
export interface RequestLimits {
  /** `proto-max-bulk-len`, bytes of one argument. */
  readonly bulkBytesMax: number;
  /** `client-query-buffer-limit`, bytes received and not yet handled. */
  readonly bufferBytesMax: number;
}

export type ProtocolErrorCode = 'malformed' | 'buffer-limit' | 'cross-protocol';

/**
 * The connection can not go on: answer `reply` if there is one, then close. Without a reply the connection closes at
 * once, and the server logs why: 'buffer-limit' (too much unhandled input), 'cross-protocol' (an HTTP request, which
 * somebody's browser may have been tricked into sending).
 */
export class ProtocolError extends KahunaError<ProtocolErrorCode> {
  readonly reply: ErrorReply | null;

  constructor(code: ProtocolErrorCode, message: string) {
    super(code, message);
    this.reply = code === 'malformed' ? new ErrorReply(`ERR Protocol error: ${message}`) : null;
  }
}

/**
 * Takes one request; returning false pauses the reader after it. `argv` is never empty.
 *
 * The buffers are slices of the chunk given to `push`, or of a buffer of the reader that it will not write again. They
 * stay as they are for as long as the owner of the chunk leaves it alone, and they pin its memory: whoever keeps an
 * argument beyond the command (a key, a value) copies it.
 */
export type OnRequest = (argv: Buffer[]) => boolean | undefined;

const NOT_COMPLETE = -1;
const BATCH_FRAMES_MAX = 512;
/** A held buffer above this size that is mostly handled is replaced by a smaller one. */
const HELD_SLACK_BYTES_MAX = 64 * 1024;
const EMPTY = Buffer.alloc(0);

const STAR = 0x2a;
const DOLLAR = 0x24;
const NUL = 0;
const CR = 0x0d;
const LF = 0x0a;

/** One per connection. */
export class RequestReader {
  private readonly limits: RequestLimits;
  private readonly parser: RedisParser;
  private isAuthenticated: boolean;

  /** Unhandled input in memory of our own, from heldStart to heldEnd; EMPTY when nothing is held. */
  private held: Buffer = EMPTY;
  private heldStart = 0;
  private heldEnd = 0;

  // Where the guard stands in the frame that begins the unhandled input; offsets count from the frame's first byte.
  /** Next header to read, or past the last argument; 0 = at the beginning. */
  private scanned = 0;
  /** Bulk headers still to come; 0 with scanned > 0 = only bytes of the last argument are missing. */
  private argumentsLeft = 0;
  /** No line end was found before this offset. */
  private searched = 0;

  /** Sizes of the frames given to the parser, and how many of them were delivered. */
  private readonly frameSizes: number[] = [];
  private delivered = 0;
  private batchFrames = BATCH_FRAMES_MAX;
  private onRequest: OnRequest | null = null;
  private paused = false;
  private failed = false;
  private currentBytes = 0;

  constructor(limits: RequestLimits, isAuthenticated: boolean) {
    this.limits = limits;
    this.isAuthenticated = isAuthenticated;
    this.parser = new RedisParser({
      returnBuffers: true,
      returnReply: (argv: unknown) => {
        this.deliver(argv as Buffer[]);
      },
      returnError: unexpectedParserOutput,
      returnFatalError: unexpectedParserOutput,
    });
  }

  /** Bytes received and not yet handled. */
  get bufferedBytes(): number {
    return this.heldEnd - this.heldStart;
  }

  get isPaused(): boolean {
    return this.paused;
  }

  /** Size on the wire of the request that is being delivered. */
  get requestBytes(): number {
    return this.currentBytes;
  }

  /** Whether the session needs no (further) AUTH; counts for requests after the one being delivered. */
  setAuthenticated(isAuthenticated: boolean): void {
    this.isAuthenticated = isAuthenticated;
  }

  /**
   * Delivers the requests that are complete with this chunk, in order, during the call; while paused it only keeps the
   * bytes. What is incomplete is copied. Throws ProtocolError; after that the reader ignores everything.
   * Must not be called from within `onRequest`.
   */
  push(chunk: Buffer, onRequest: OnRequest): void {
    if (this.failed || chunk.length === 0) return;
    assert(this.onRequest === null, 'RequestReader.push called while it delivers');
    if (this.heldEnd > this.heldStart) {
      this.append(chunk);
      if (this.paused) this.checkBuffered();
      else this.handleHeld(onRequest);
      return;
    }
    const handled = this.paused ? 0 : this.handle(chunk, 0, chunk.length, onRequest);
    if (handled < chunk.length) this.append(handled === 0 ? chunk : chunk.subarray(handled));
    this.checkBuffered();
  }

  /** Goes on after a pause: delivers what was kept, until paused again. Throws ProtocolError. */
  resume(onRequest: OnRequest): void {
    if (this.failed) return;
    assert(this.onRequest === null, 'RequestReader.resume called while it delivers');
    this.paused = false;
    if (this.heldEnd > this.heldStart) this.handleHeld(onRequest);
  }

  private handleHeld(onRequest: OnRequest): void {
    const handled = this.handle(this.held, this.heldStart, this.heldEnd, onRequest);
    this.heldStart = handled;
    const left = this.heldEnd - handled;
    if (left === 0) this.dropHeld();
    else if (this.held.length > HELD_SLACK_BYTES_MAX && left * 4 < this.held.length) this.moveHeld(left);
    this.checkBuffered();
  }

  /** Returns the offset of the first unhandled byte. */
  private handle(bytes: Buffer, start: number, end: number, onRequest: OnRequest): number {
    this.onRequest = onRequest;
    try {
      let at = start;
      while (at < end && !this.paused) {
        const next = bytes[at] === STAR ? this.handleFrames(bytes, at, end) : this.handleInline(bytes, at, end);
        if (next === NOT_COMPLETE) break;
        at = next;
      }
      return at;
    } catch (error) {
      this.failed = true;
      this.dropHeld();
      throw error;
    } finally {
      this.onRequest = null;
      this.currentBytes = 0;
    }
  }

  /** Handles a run of frames; returns the offset after those delivered, or NOT_COMPLETE if there was none. */
  private handleFrames(bytes: Buffer, start: number, end: number): number {
    const sizes = this.frameSizes;
    const framesMax = this.isAuthenticated ? this.batchFrames : 1;
    let count = 0;
    let at = start;
    let failure: unknown = null;
    try {
      while (count < framesMax && at < end && bytes[at] === STAR) {
        const next = this.scanFrame(bytes, at, end);
        if (next === NOT_COMPLETE) break;
        const isEmpty = this.argumentsLeft < 0;
        this.resetScan();
        if (isEmpty) {
          // `*0` and `*-5` are no requests; the run before them goes first.
          if (count === 0) return next;
          break;
        }
        sizes[count++] = next - at;
        at = next;
      }
    } catch (error) {
      failure = error;
    }
    if (count === 0) {
      if (failure !== null) throw failure;
      return NOT_COMPLETE;
    }
    this.delivered = 0;
    this.parser.execute(start === 0 && at === bytes.length ? bytes : bytes.subarray(start, at));
    assert(this.delivered <= count, 'redis-parser answered more requests than it was given');
    if (this.delivered < count) {
      // Paused inside the run. The rest is parsed again later, so runs begin small after a pause.
      assert(this.paused, 'redis-parser answered fewer requests than it was given');
      at = start;
      for (let i = 0; i < this.delivered; i++) at += sizes[i] ?? 0;
      this.resetScan();
      this.batchFrames = 1;
      return at;
    }
    if (this.batchFrames < BATCH_FRAMES_MAX) this.batchFrames *= 2;
    // A bad frame behind a pause is met again, and judged then.
    if (failure !== null && !this.paused) throw failure;
    if (failure !== null) this.resetScan();
    return at;
  }

  private resetScan(): void {
    this.scanned = 0;
    this.argumentsLeft = 0;
    this.searched = 0;
  }

  private deliver(argv: Buffer[]): void {
    if (this.paused) return;
    this.currentBytes = this.frameSizes[this.delivered] ?? 0;
    this.delivered++;
    if (this.onRequest?.(argv) === false) this.paused = true;
  }

  /**
   * Walks the headers of the frame at `start`. Returns its end, with argumentsLeft < 0 if it holds no request, or
   * NOT_COMPLETE after noting where to go on. Throws ProtocolError.
   */
  private scanFrame(bytes: Buffer, start: number, end: number): number {
    let at = start + this.scanned;
    let left = this.argumentsLeft;
    if (this.scanned > 0 && left === 0) return at <= end ? at : NOT_COMPLETE;
    let isCount = this.scanned === 0;
    for (;;) {
      if (at >= end) return this.suspend(at - start, left);
      // The common header: its marker, one to nine digits without a leading zero, CR and any byte.
      let value = 0;
      let i = at + 1;
      let byte = i < end ? (bytes[i] ?? 0) : 0;
      if (bytes[at] === (isCount ? STAR : DOLLAR)) {
        const digitsMax = i + 9 < end ? i + 9 : end;
        while (byte >= 48 && byte <= 57) {
          value = value * 10 + byte - 48;
          if (++i >= digitsMax) break;
          byte = bytes[i] ?? 0;
        }
      }
      if (byte !== CR || i + 1 >= end || i === at + 1 || (bytes[at + 1] === 48 && i !== at + 2)) {
        i = this.findLineEnd(bytes, start, at, end, isCount);
        if (i === NOT_COMPLETE) return this.suspend(at - start, left);
        value = parseHeader(bytes, at, i, isCount);
      }
      this.searched = 0;
      at = i + 2;
      if (isCount) {
        this.checkCount(value);
        if (value <= 0) {
          this.argumentsLeft = -1;
          return at;
        }
        left = value;
        isCount = false;
        continue;
      }
      this.checkBulk(value);
      at += value + 2;
      left--;
      if (left > 0) continue;
      if (at <= end) return at;
      return this.suspend(at - start, 0);
    }
  }

  private suspend(scanned: number, argumentsLeft: number): number {
    this.scanned = scanned;
    this.argumentsLeft = argumentsLeft;
    return NOT_COMPLETE;
  }

  /** The CR of the header line at `at`, if the byte after it has arrived too. */
  private findLineEnd(bytes: Buffer, start: number, at: number, end: number, isCount: boolean): number {
    const from = Math.max(at, start + this.searched);
    const found = findByte(bytes, CR, from, end);
    if (found === -1) {
      this.searched = end - start;
      if (end - at > INLINE_BYTES_MAX) {
        throw new ProtocolError('malformed', isCount ? 'too big mbulk count string' : 'too big bulk count string');
      }
      return NOT_COMPLETE;
    }
    this.searched = found - start;
    return found + 1 < end ? found : NOT_COMPLETE;
  }

  private checkCount(count: number): void {
    if (!(count <= ARGUMENT_COUNT_MAX)) throw new ProtocolError('malformed', 'invalid multibulk length');
    if (count > UNAUTHENTICATED_ARGUMENT_COUNT_MAX && !this.isAuthenticated) {
      throw new ProtocolError('malformed', 'unauthenticated multibulk length');
    }
  }

  private checkBulk(size: number): void {
    if (!(size >= 0 && size <= this.limits.bulkBytesMax)) throw new ProtocolError('malformed', 'invalid bulk length');
    if (size > UNAUTHENTICATED_BULK_BYTES_MAX && !this.isAuthenticated) {
      throw new ProtocolError('malformed', 'unauthenticated bulk length');
    }
  }

  private handleInline(bytes: Buffer, start: number, end: number): number {
    const from = start + this.searched;
    // C's strchr finds no line end behind a NUL (networking.c processInlineBuffer): such a line never ends.
    const isStuck = from < end && bytes[from] === NUL;
    const found = isStuck ? -1 : findByte(bytes, LF, from, end);
    const nul = isStuck ? from : findByte(bytes, NUL, from, found === -1 ? end : found);
    const isComplete = found !== -1 && nul === -1;
    let lineEnd = isComplete ? found : end;
    if (isComplete && found > start && bytes[found - 1] === CR) lineEnd--;
    if (lineEnd - start > INLINE_BYTES_MAX) throw new ProtocolError('malformed', 'too big inline request');
    if (!isComplete) {
      this.searched = (nul === -1 ? end : nul) - start;
      return NOT_COMPLETE;
    }
    this.searched = 0;
    const words = splitQuotedWords(bytes.toString('latin1', start, lineEnd));
    if (words === null) throw new ProtocolError('malformed', 'unbalanced quotes in request');
    const [first] = words;
    if (first !== undefined) {
      const name = first.toLowerCase();
      if (name === 'post' || name === 'host:') {
        throw new ProtocolError('cross-protocol', `an HTTP request on the Redis port (${name})`);
      }
      this.currentBytes = found + 1 - start;
      const argv = words.map((word) => Buffer.from(word, 'latin1'));
      if (this.onRequest?.(argv) === false) this.paused = true;
    }
    return found + 1;
  }

  /** Keeps a copy of `chunk` behind what is held. Bytes handed out earlier are not touched: only free space is written. */
  private append(chunk: Buffer): void {
    const length = this.heldEnd - this.heldStart;
    if (this.heldEnd + chunk.length > this.held.length) {
      const needed = length + chunk.length;
      // Doubling, but not past the end of a frame that is known: a long value then lies in a buffer of its size.
      const isEndKnown = this.argumentsLeft === 0 && this.scanned > needed;
      this.moveHeld(Math.max(needed, isEndKnown ? Math.min(2 * length, this.scanned) : 2 * length));
    }
    chunk.copy(this.held, this.heldEnd);
    this.heldEnd += chunk.length;
  }

  private moveHeld(capacity: number): void {
    const moved = Buffer.allocUnsafeSlow(capacity);
    const length = this.heldEnd - this.heldStart;
    if (length > 0) this.held.copy(moved, 0, this.heldStart, this.heldEnd);
    this.held = moved;
    this.heldStart = 0;
    this.heldEnd = length;
  }

  private dropHeld(): void {
    this.held = EMPTY;
    this.heldStart = 0;
    this.heldEnd = 0;
  }

  private checkBuffered(): void {
    const bytes = this.heldEnd - this.heldStart;
    const isWithinLimit = bytes <= this.limits.bufferBytesMax;
    if (isWithinLimit && (this.isAuthenticated || bytes <= UNAUTHENTICATED_BUFFER_BYTES_MAX)) return;
    this.failed = true;
    this.dropHeld();
    throw new ProtocolError('buffer-limit', `${bytes} bytes of unhandled input`);
  }
}

/**
 * The number of a header line that is not of the common form, as Redis's string2ll reads it: no sign but '-', no
 * leading zero, no blank. Returns NaN for what is no number; for a count, anything negative may stand for any other.
 */
function parseHeader(bytes: Buffer, at: number, lineEnd: number, isCount: boolean): number {
  if (!isCount && bytes[at] !== DOLLAR) {
    throw new ProtocolError('malformed', `expected '$', got '${String.fromCharCode(bytes[at] ?? 0)}'`);
  }
  const text = bytes.toString('latin1', at + 1, Math.min(lineEnd, at + 22));
  if (!/^(0|-?[1-9][0-9]{0,18})$/.test(text)) return Number.NaN;
  const exact = BigInt(text);
  return exact === BigInt.asIntN(64, exact) ? Number(exact) : Number.NaN;
}

/** Bytes at and after `end` may be stale or never written: they are not looked at. */
function findByte(bytes: Buffer, byte: number, from: number, end: number): number {
  const found = bytes.subarray(from, end).indexOf(byte);
  return found === -1 ? -1 : from + found;
}

function unexpectedParserOutput(error: Error): never {
  throw error;
}
