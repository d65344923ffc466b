/**
 * Memory for the messages of transactions and of reads of the past, one after the other: an MGET over several partitions has dozens of
 * them, and memory outside the heap for each would be felt.
 */
import { ByteWriter } from '../base/bytes.ts';

const KEPT_BYTES_MAX = 64 * 1024;
const shared = new ByteWriter(1024);

/** For one message, up to the next call: a message that is part of another is finished before. */
export function beginMessage(): ByteWriter {
  shared.reset(KEPT_BYTES_MAX);
  return shared;
}

/** The bytes of the message, which belong to the caller. */
export function endMessage(writer: ByteWriter): Buffer {
  return Buffer.from(writer.finish());
}
