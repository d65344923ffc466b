/**
 * Answers that a snapshot brought along: the log they were in stayed with the sender, but a request may still be
 * repeated here. They lie in one record of the node's own, outside every partition's range, and are never changed; the
 * next snapshot replaces them.
 *
 *   u8 format = 1 | u32 number | each: u32 node | u64 boot epoch | u64 counter | u32 bytes | encoded reply
 */
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { KahunaError } from '../base/errors.ts';
import { type GroupId, SLOT_COUNT } from '../base/ids.ts';
import { encodeRecordKey } from '../storage/data/keys.ts';
import type { DataStore } from '../storage/data/types.ts';
import type { RecordedAnswer } from './entry-format.ts';

/** Space number of a node's own records, beside those of the metadata group. */
export const NODE_SPACE = 255;
const FORMAT = 1;

export interface CarriedAnswers {
  readonly answers: readonly RecordedAnswer[];
}

export function carriedAnswersKey(group: GroupId): Uint8Array {
  return encodeRecordKey(SLOT_COUNT, NODE_SPACE, `answers:${group}`);
}

export function encodeCarriedAnswers(answers: readonly RecordedAnswer[]): Uint8Array {
  const writer = new ByteWriter(1024);
  writer.u8(FORMAT);
  writer.u32(answers.length);
  for (const answer of answers) {
    writer.u32(answer.node);
    writer.u64(answer.epoch);
    writer.u64(answer.counter);
    writer.u32(answer.reply.length);
    writer.bytes(answer.reply);
  }
  return writer.finish();
}

export function decodeCarriedAnswers(bytes: Uint8Array): readonly RecordedAnswer[] {
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  if (format !== FORMAT) throw new KahunaError('STATE_FORMAT', `carried answers have format ${format}, not ${FORMAT}`);
  const answers: RecordedAnswer[] = [];
  for (let left = reader.u32(); left > 0; left--) {
    const node = reader.u32();
    const epoch = reader.u64();
    const counter = reader.u64();
    answers.push({ node, epoch, counter, reply: reader.bytes(reader.u32()) });
  }
  reader.expectEnd();
  return answers;
}

export function readCarriedAnswers(data: DataStore, group: GroupId): CarriedAnswers | undefined {
  const record = data.get(carriedAnswersKey(group));
  return record === undefined ? undefined : { answers: decodeCarriedAnswers(record.payload) };
}
