/**
 * The bytes of configurations and of their changes. They outlive a process: changes lie in the log, configurations in
 * checkpoints; so the kinds are numbered, append-only, and the first byte is a version.
 *
 *     change         u8 version 1 | u8 joint (0, 1) | u16 n | n × (u8 kind, u32 node) | u32 length | context
 *     configuration  u8 version 1 | 4 × (u16 n, n × u32 node): voters, outgoing, learners, next learners
 */
import type { NodeId } from '../base/ids.ts';
import { MEMBERS_MAX, objectionToConf } from './membership.ts';
import type { ConfChange, ConfState } from './types.ts';
import { malformed, WireReader, WireWriter } from './wire.ts';

const VERSION = 1;

type ChangeKind = ConfChange['changes'][number]['kind'];

const CHANGE_KINDS = { addVoter: 1, addLearner: 2, remove: 3 } as const satisfies Record<ChangeKind, number>;

export function encodeConfChange(change: ConfChange): Uint8Array {
  const writer = new WireWriter(64);
  writer.u8(VERSION);
  writer.u8(change.joint ? 1 : 0);
  writer.u16(change.changes.length);
  for (const { kind, node } of change.changes) {
    writer.u8(CHANGE_KINDS[kind]);
    writer.u32(node);
  }
  writer.u32(change.context.length);
  writer.copy(change.context);
  return writer.take();
}

/** Throws RaftCodecError. The context is a copy. */
export function decodeConfChange(bytes: Uint8Array): ConfChange {
  const reader = new WireReader(bytes);
  expectVersion(reader);
  const joint = reader.u8();
  if (joint > 1) malformed(`joint flag ${joint}`);
  const count = reader.u16();
  if (count > MEMBERS_MAX) malformed(`${count} changes at once`);
  const changes: { kind: ChangeKind; node: NodeId }[] = [];
  for (let i = 0; i < count; i++) changes.push({ kind: readKind(reader), node: readNode(reader) });
  const context = reader.copy(reader.u32());
  reader.end();
  return { changes, joint: joint === 1, context };
}

function readKind(reader: WireReader): ChangeKind {
  const number = reader.u8();
  switch (number) {
    case CHANGE_KINDS.addVoter:
      return 'addVoter';
    case CHANGE_KINDS.addLearner:
      return 'addLearner';
    case CHANGE_KINDS.remove:
      return 'remove';
    default:
      return malformed(`kind of change ${number}`);
  }
}

export function encodeConfState(conf: ConfState): Uint8Array {
  const writer = new WireWriter(64);
  writeConfState(writer, conf);
  return writer.take();
}

/** Throws RaftCodecError. */
export function decodeConfState(bytes: Uint8Array): ConfState {
  const reader = new WireReader(bytes);
  const conf = readConfState(reader);
  reader.end();
  return conf;
}

export function writeConfState(writer: WireWriter, conf: ConfState): void {
  writer.u8(VERSION);
  writeNodes(writer, conf.voters);
  writeNodes(writer, conf.votersOutgoing);
  writeNodes(writer, conf.learners);
  writeNodes(writer, conf.learnersNext);
}

export function readConfState(reader: WireReader): ConfState {
  expectVersion(reader);
  const conf: ConfState = {
    voters: readNodes(reader),
    votersOutgoing: readNodes(reader),
    learners: readNodes(reader),
    learnersNext: readNodes(reader),
  };
  const objection = objectionToConf(conf);
  if (objection !== null) malformed(objection);
  return conf;
}

function writeNodes(writer: WireWriter, nodes: readonly NodeId[]): void {
  writer.u16(nodes.length);
  for (const node of nodes) writer.u32(node);
}

function readNodes(reader: WireReader): NodeId[] {
  const count = reader.u16();
  if (count > MEMBERS_MAX) malformed(`${count} members`);
  const nodes: NodeId[] = [];
  for (let i = 0; i < count; i++) nodes.push(readNode(reader));
  return nodes;
}

export function readNode(reader: WireReader): NodeId {
  const node = reader.u32();
  if (node === 0) malformed('node id 0');
  return node;
}

function expectVersion(reader: WireReader): void {
  const version = reader.u8();
  if (version !== VERSION) malformed(`version ${version}, known is ${VERSION}`);
}
