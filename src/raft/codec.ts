/**
 * The bytes of a message between the members of a group. Hot path: one message a follower a turn (benchmark:
 * test/raft/throughput.bench.ts); the header is fixed, so encoding is a row of stores.
 *
 *     u8  version 1
 *     u8  type (MESSAGE_TYPES)
 *     u8  flags: 1 = reject, 2 = has a snapshot; the others are 0
 *     u8  0
 *     u32 from, u32 to                                      1 … 2^32 - 1
 *     u64 term, logTerm, index, commit, rejectHint, context  each below 2^53
 *     f64 leaderTimeMs                                      finite, not negative
 *     u32 n, then n entries: u64 term | u8 type | u32 length | data     (indexes follow from `index`)
 *     if flagged: u64 index | u64 term | configuration (conf-codec.ts)
 *
 * The decoder trusts nothing: lengths, ranges, the order of terms and the content of configuration entries are checked,
 * and whatever is wrong throws RaftCodecError, so that a broken peer costs its link and not this node.
 */
import type { LogIndex, Term } from '../base/ids.ts';
import { decodeConfChange, readConfState, readNode, writeConfState } from './conf-codec.ts';
import { isMessageType, NO_ENTRIES } from './messages.ts';
import { ENTRY_TYPES, MESSAGE_TYPES } from './types.ts';
import type { Entry, EntryType, Message, MessageType, SnapshotMetadata } from './types.ts';
import { violated } from './violation.ts';
import { malformed, WireReader } from './wire.ts';
import type { WireWriter } from './wire.ts';

const VERSION = 1;
const FLAG_REJECT = 1;
const FLAG_SNAPSHOT = 2;
/** The smallest entry: more of them than fit into the bytes are refused before anything is allocated. */
const ENTRY_HEADER_BYTES = 13;

/** Appends the bytes of `message` to what `writer` holds. */
export function encodeMessage(message: Message, writer: WireWriter): void {
  writer.u8(VERSION);
  writer.u8(message.type);
  writer.u8((message.reject ? FLAG_REJECT : 0) | (message.snapshot === null ? 0 : FLAG_SNAPSHOT));
  writer.u8(0);
  writer.u32(message.from);
  writer.u32(message.to);
  writer.u53(message.term);
  writer.u53(message.logTerm);
  writer.u53(message.index);
  writer.u53(message.commit);
  writer.u53(message.rejectHint);
  writer.u53(message.context);
  writer.f64(message.leaderTimeMs);
  writer.u32(message.entries.length);
  let index = message.index;
  for (const entry of message.entries) {
    index++;
    if (entry.index !== index) violated(`entry ${entry.index} stands where ${index} belongs`);
    writer.u53(entry.term);
    writer.u8(entry.type);
    writer.u32(entry.data.length);
    writer.copy(entry.data);
  }
  const { snapshot } = message;
  if (snapshot === null) return;
  writer.u53(snapshot.index);
  writer.u53(snapshot.term);
  writeConfState(writer, snapshot.confState);
}

/** The message that takes up exactly `bytes`. Copies what it keeps. Throws RaftCodecError. */
export function decodeMessage(bytes: Uint8Array): Message {
  const reader = new WireReader(bytes);
  const version = reader.u8();
  if (version !== VERSION) malformed(`version ${version}, known is ${VERSION}`);
  const type = reader.u8();
  if (!isMessageType(type)) malformed(`message type ${type}`);
  const flags = reader.u8();
  if (flags > (FLAG_REJECT | FLAG_SNAPSHOT)) malformed(`flags ${flags}`);
  if (reader.u8() !== 0) malformed('reserved byte is set');
  const from = readNode(reader);
  const to = readNode(reader);
  const term = reader.u53();
  const logTerm = reader.u53();
  const index = reader.u53();
  const commit = reader.u53();
  const rejectHint = reader.u53();
  const context = reader.u53();
  const leaderTimeMs = reader.f64();
  if (!Number.isFinite(leaderTimeMs) || leaderTimeMs < 0) malformed(`leader time ${leaderTimeMs}`);
  if (term === 0) malformed('term 0');
  if (logTerm > term) malformed(`log term ${logTerm} above term ${term}`);
  const entries = readEntries(reader, type, { term, logTerm, index });
  const snapshot = (flags & FLAG_SNAPSHOT) === 0 ? null : readSnapshot(reader, term);
  if ((snapshot !== null) !== (type === MESSAGE_TYPES.snapshot)) malformed('snapshot missing or out of place');
  reader.end();
  return {
    type,
    from,
    to,
    term,
    logTerm,
    index,
    commit,
    entries,
    reject: (flags & FLAG_REJECT) !== 0,
    rejectHint,
    context,
    snapshot,
    leaderTimeMs,
  };
}

interface EntryBounds {
  readonly term: Term;
  readonly logTerm: Term;
  readonly index: LogIndex;
}

function readEntries(reader: WireReader, type: MessageType, before: EntryBounds): readonly Entry[] {
  const count = reader.u32();
  if (count === 0) return NO_ENTRIES;
  if (type !== MESSAGE_TYPES.append) malformed('entries out of place');
  if (count > reader.remaining / ENTRY_HEADER_BYTES) malformed(`${count} entries in ${reader.remaining} bytes`);
  if (before.index + count > Number.MAX_SAFE_INTEGER) malformed('log index of more than 53 bits');
  // Entries of one message are dropped from the log at about the same time, so they may share their memory.
  reader.ownRest();
  const entries: Entry[] = [];
  let last = before.logTerm;
  for (let i = 1; i <= count; i++) {
    const term = reader.u53();
    if (term < last || term > before.term || term === 0) malformed(`entry of term ${term} after term ${last}`);
    last = term;
    const entryType = readEntryType(reader);
    const data = reader.take(reader.u32());
    if (entryType === ENTRY_TYPES.confChange) decodeConfChange(data);
    entries.push({ term, index: before.index + i, type: entryType, data });
  }
  return entries;
}

function readEntryType(reader: WireReader): EntryType {
  const type = reader.u8();
  if (type === ENTRY_TYPES.normal || type === ENTRY_TYPES.confChange) return type;
  return malformed(`entry type ${type}`);
}

function readSnapshot(reader: WireReader, messageTerm: Term): SnapshotMetadata {
  const index = reader.u53();
  const term = reader.u53();
  if (index === 0 || term === 0 || term > messageTerm) malformed(`snapshot at ${index} of term ${term}`);
  const confState = readConfState(reader);
  if (confState.voters.length === 0) malformed('snapshot without voters');
  return { index, term, confState };
}
