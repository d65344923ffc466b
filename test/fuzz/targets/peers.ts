/** What other nodes send, as payloads: Raft's messages, requests and answers, snapshots, the handshake's parts. */
import { ByteWriter } from '../../../src/base/bytes.ts';
import { readAnswer, readRequest, writeAnswer, writeRequest } from '../../../src/cluster/request-codec.ts';
import {
  readFinding,
  readLook,
  readVerdict,
  writeFinding,
  writeLook,
  writeVerdict,
} from '../../../src/cluster/scrub-codec.ts';
import {
  decodeEnd,
  decodeHeader,
  decodeRecords,
  encodeEnd,
  encodeHeader,
  SNAPSHOT_PURPOSES,
  writeRecords,
} from '../../../src/cluster/snapshot-format.ts';
import type { DataCommand } from '../../../src/commands/define.ts';
import { dataCommands } from '../../../src/commands/index.ts';
import { decodeCarriedAnswers, encodeCarriedAnswers } from '../../../src/partition/carried-answers.ts';
import { Job } from '../../../src/partition/job.ts';
import {
  decodePartitionState,
  emptyPartitionState,
  encodePartitionState,
} from '../../../src/partition/partition-state.ts';
import { decodeMessage, encodeMessage } from '../../../src/raft/codec.ts';
import { decodeConfChange, decodeConfState, encodeConfChange, encodeConfState } from '../../../src/raft/conf-codec.ts';
import { draftMessage, type MessageDraft } from '../../../src/raft/messages.ts';
import { ENTRY_TYPES, MESSAGE_TYPES, type Message } from '../../../src/raft/types.ts';
import { WireWriter } from '../../../src/raft/wire.ts';
import {
  decodeChallenge,
  decodeHello,
  encodeChallenge,
  encodeHello,
  PURPOSES,
} from '../../../src/transport/handshake.ts';
import { codecTarget } from './round-trip.ts';

const CONF = { voters: [1, 2, 3], votersOutgoing: [1, 2], learners: [4], learnersNext: [] };
const CHANGE = {
  changes: [
    { kind: 'addVoter', node: 4 },
    { kind: 'remove', node: 1 },
  ],
  joint: true,
  context: Buffer.from('why'),
} as const;

const rows = new Map<string, DataCommand>();
for (const row of dataCommands) for (const one of [row, ...row.subcommands]) rows.set(one.name, one);

/** Writing a request needs no more of a command than its name. */
function row(name: string): DataCommand {
  return rows.get(name) ?? ({ name } as DataCommand);
}

export function raftBytes(message: Message): Uint8Array {
  const writer = new WireWriter();
  encodeMessage(message, writer);
  return writer.take();
}

function message(type: Message['type'], fields: Partial<MessageDraft> = {}): Message {
  return { ...draftMessage(type, 2, 1, 9), ...fields };
}

export function raftMessages(): readonly Message[] {
  const entry = { term: 8, index: 6, type: ENTRY_TYPES.normal, data: Buffer.from('entry') };
  const change = { term: 9, index: 7, type: ENTRY_TYPES.confChange, data: encodeConfChange(CHANGE) };
  return [
    ...Object.values(MESSAGE_TYPES)
      .filter((type) => type !== MESSAGE_TYPES.snapshot)
      .map((type) => message(type, { index: 5, logTerm: 8, commit: 4, context: 3, leaderTimeMs: 1_700_000_000_000.5 })),
    message(MESSAGE_TYPES.append, { index: 5, logTerm: 8, commit: 5, entries: [entry, change] }),
    message(MESSAGE_TYPES.appendResponse, { index: 5, reject: true, rejectHint: 3 }),
    message(MESSAGE_TYPES.snapshot, { snapshot: { index: 50, term: 8, confState: { ...CONF, learners: [4] } } }),
  ];
}

const OWNER = { complete: () => undefined, retry: () => undefined };

/** The bytes of a request as its entry node writes them. */
export function requestBytes(fields: {
  readonly argvs: readonly (readonly string[])[];
  readonly isTransaction?: boolean;
  readonly group?: number;
  readonly term?: number;
}): Uint8Array {
  const { argvs, isTransaction = false, group = 1, term = 1 } = fields;
  const calls = argvs.map((argv) => ({
    command: row(argv[0] ?? ''),
    argv: argv.map((word) => Buffer.from(word)),
    database: 0,
  }));
  const job = new Job({
    owner: OWNER,
    call: isTransaction ? null : (calls[0] ?? null),
    transaction: isTransaction ? { calls, watched: [{ database: 1, key: Buffer.from('w'), version: 77 }] } : null,
    protocol: 3,
    deadlineMs: 1_000,
    strand: 5,
    node: 2,
    epoch: 1,
    counter: 9,
  });
  const writer = new ByteWriter(64);
  writeRequest(writer, job, { group, term, nowMs: 0 });
  return writer.finishCopy();
}

function requestAgain(input: Buffer): Uint8Array {
  const decoded = readRequest(input, (name) => rows.get(name));
  const { call, transaction, protocol, strand, counter, remainingMs, group, term } = decoded;
  const job = new Job({
    owner: OWNER,
    call,
    transaction,
    protocol,
    deadlineMs: remainingMs,
    strand,
    node: 2,
    epoch: 1,
    counter,
  });
  const { isRetry, isUnblocked, isNoTouch } = decoded;
  Object.assign(job, { isRetry, isUnblocked, isNoTouch });
  const writer = new ByteWriter(64);
  writeRequest(writer, job, { group, term, nowMs: 0 });
  return writer.finishCopy();
}

function answerBytes(answer: Parameters<typeof writeAnswer>[1]): Uint8Array {
  const writer = new ByteWriter(64);
  writeAnswer(writer, answer);
  return writer.finishCopy();
}

function recordsBytes(records: Parameters<typeof writeRecords>[1]): Uint8Array {
  const writer = new ByteWriter(64);
  writeRecords(writer, records);
  return writer.finishCopy();
}

/** What one call writes, as bytes of their own. */
function written(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter(64);
  write(writer);
  return writer.finishCopy();
}

const scrubbed = { group: 1, look: 2, term: 3, index: 70, start: Buffer.from([0, 1]), end: Buffer.from([0, 9]) };
const scrubHash = {
  hash: '0123456789abcdef'.repeat(2),
  count: 6,
  stateFormat: 3,
  stateChecksum: 8,
  end: Buffer.from([0, 7]),
};

const hello = {
  clusterId: 'c0ffee',
  node: 2,
  bootEpoch: 2 ** 52,
  purpose: PURPOSES.link,
  nonce: new Uint8Array(32).fill(7),
};

export const peerTargets = [
  codecTarget({
    name: 'raft-message',
    about: 'messages between members of a group: refused, or the same bytes again',
    seeds: () => raftMessages().map(raftBytes),
    again: (input) => raftBytes(decodeMessage(input)),
  }),
  codecTarget({
    name: 'conf-change',
    about: 'a change of membership in the log',
    seeds: () => [
      encodeConfChange(CHANGE),
      encodeConfChange({ changes: [], joint: false, context: new Uint8Array(0) }),
    ],
    again: (input) => encodeConfChange(decodeConfChange(input)),
  }),
  codecTarget({
    name: 'conf-state',
    about: 'a membership',
    seeds: () => [encodeConfState(CONF), encodeConfState({ ...CONF, votersOutgoing: [], learners: [] })],
    again: (input) => encodeConfState(decodeConfState(input)),
  }),
  codecTarget({
    name: 'request',
    about: 'requests that another node forwards',
    seeds: () => [
      requestBytes({ argvs: [['GET', 'k']] }),
      requestBytes({ argvs: [['SET', 'k', 'v', 'PX', '100']] }),
      requestBytes({
        argvs: [
          ['MGET', 'a', 'b'],
          ['INCR', 'c'],
        ],
        isTransaction: true,
      }),
    ],
    words: [...rows.keys()],
    again: requestAgain,
  }),
  codecTarget({
    name: 'answer',
    about: 'answers to forwarded requests',
    seeds: () => [
      answerBytes({ counter: 9, isRepeat: false, group: 1, term: 3, index: 70, reply: Buffer.from('+OK\r\n') }),
      answerBytes({ counter: 2 ** 40, isRepeat: true, group: 1, term: 3, index: 0, reply: new Uint8Array(0) }),
    ],
    again: (input) => answerBytes(readAnswer(input)),
  }),
  codecTarget({
    name: 'scrub-look',
    about: 'a leader asks what a range holds',
    seeds: () => [written((writer) => writeLook(writer, { ...scrubbed, bytesMax: 1024 }))],
    again: (input) => written((writer) => writeLook(writer, readLook(input))),
  }),
  codecTarget({
    name: 'scrub-finding',
    about: 'what a replica found in a range',
    seeds: () =>
      ([scrubHash, 'missed', 'damaged'] as const).map((found) =>
        written((writer) => writeFinding(writer, { ...scrubbed, found })),
      ),
    again: (input) => written((writer) => writeFinding(writer, readFinding(input))),
  }),
  codecTarget({
    name: 'scrub-verdict',
    about: 'a leader says that a replica differs from most',
    seeds: () => [written((writer) => writeVerdict(writer, scrubbed))],
    again: (input) => written((writer) => writeVerdict(writer, readVerdict(input))),
  }),
  codecTarget({
    name: 'snapshot-header',
    about: 'what a snapshot begins with',
    seeds: () => [
      encodeHeader({
        purpose: SNAPSHOT_PURPOSES.catchUp,
        historyFloor: 5,
        group: 1,
        message: raftBytes(raftMessages().at(-1) ?? message(MESSAGE_TYPES.heartbeat)),
        state: encodePartitionState(emptyPartitionState(CONF)),
        answers: encodeCarriedAnswers([]),
      }),
    ],
    again: (input) => encodeHeader(decodeHeader(input)),
  }),
  codecTarget({
    name: 'snapshot-records',
    about: 'the records of a snapshot, as a list',
    seeds: () => [recordsBytes([]), recordsBytes([{ key: Buffer.from('key'), sealed: Buffer.from('sealed') }])],
    again: (input) => recordsBytes(decodeRecords(input)),
  }),
  codecTarget({
    name: 'snapshot-end',
    about: 'what a snapshot ends with',
    seeds: () => [encodeEnd({ recordCount: 3, partCount: 1 })],
    again: (input) => encodeEnd(decodeEnd(input)),
  }),
  codecTarget({
    name: 'carried-answers',
    about: 'answers that a snapshot brings along',
    seeds: () => [
      encodeCarriedAnswers([{ node: 1, epoch: 2, counter: 3, reply: Buffer.from(':1\r\n') }]),
      encodeCarriedAnswers([]),
    ],
    again: (input) => encodeCarriedAnswers(decodeCarriedAnswers(input)),
  }),
  codecTarget({
    name: 'partition-state',
    about: 'counters and membership of a partition',
    seeds: () => [encodePartitionState(emptyPartitionState(CONF))],
    again: (input) => encodePartitionState(decodePartitionState(input)),
  }),
  codecTarget({
    name: 'hello',
    about: 'the first message of a handshake',
    seeds: () => [encodeHello(hello), encodeHello({ ...hello, purpose: PURPOSES.snapshot, clusterId: '' })],
    again: (input) => encodeHello(decodeHello(input)),
  }),
  codecTarget({
    name: 'challenge',
    about: 'the second message of a handshake',
    seeds: () => [encodeChallenge({ ...hello, proof: new Uint8Array(32).fill(9) })],
    again: (input) => encodeChallenge(decodeChallenge(input)),
  }),
];
