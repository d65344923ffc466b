/**
 * Hot path: one message a follower a turn (benchmark: npm run raft:bench). Every message is built here, field
 * by field in one order, so that all of them share one hidden class and `step` stays monomorphic; hence the mutable
 * draft and the four positional parameters.
 */
import type { NodeId, Term } from '../base/ids.ts';
import { ENTRY_TYPES, MESSAGE_TYPES } from './types.ts';
import type { ConfState, Entry, Message, MessageType, SnapshotMetadata } from './types.ts';

/** A message while its maker still fills it in. */
export type MessageDraft = { -readonly [Field in keyof Message]: Message[Field] };

export const NO_ENTRIES: readonly Entry[] = Object.freeze([]);

/** `context` of a vote that the leader asked for by `timeoutNow`. */
export const VOTE_FOR_TRANSFER = 1;

export function draftMessage(type: MessageType, from: NodeId, to: NodeId, term: Term): MessageDraft {
  return {
    type,
    from,
    to,
    term,
    logTerm: 0,
    index: 0,
    commit: 0,
    entries: NO_ENTRIES,
    reject: false,
    rejectHint: 0,
    context: 0,
    snapshot: null,
    leaderTimeMs: 0,
  };
}

const NAMES: readonly (string | undefined)[] = nameTable();

function nameTable(): (string | undefined)[] {
  const names: (string | undefined)[] = [];
  for (const [name, type] of Object.entries(MESSAGE_TYPES)) names[type] = name;
  return names;
}

/** The name of a type as in MESSAGE_TYPES; undefined for a number that is none. */
export function messageName(type: number): string | undefined {
  return NAMES[type];
}

export function isMessageType(type: number): type is MessageType {
  return NAMES[type] !== undefined;
}

/** True if only a leader sends this type, so that its sender is the leader of the message's term. */
export function isFromLeader(type: MessageType): boolean {
  return (
    type === MESSAGE_TYPES.append ||
    type === MESSAGE_TYPES.heartbeat ||
    type === MESSAGE_TYPES.snapshot ||
    type === MESSAGE_TYPES.reinstate
  );
}

function isResponse(type: MessageType): boolean {
  return type === MESSAGE_TYPES.appendResponse || type === MESSAGE_TYPES.heartbeatResponse;
}

/** One line for logs and scenarios: `1->2 append term 3 log 7@2 commit 5 entries 8@3`. What is 0 or absent is left out. */
export function formatMessage(m: Message): string {
  let line = `${m.from}->${m.to} ${messageName(m.type) ?? `type ${m.type}`} term ${m.term}`;
  if (m.index !== 0 || m.logTerm !== 0 || m.entries.length > 0) line += ` log ${m.index}@${m.logTerm}`;
  if (m.reject) line += m.rejectHint === 0 ? ' reject' : ` reject hint ${m.rejectHint}`;
  if (m.commit !== 0) line += isResponse(m.type) ? ` amnesia ${m.commit}` : ` commit ${m.commit}`;
  if (m.context !== 0) line += ` context ${m.context}`;
  if (m.entries.length > 0) line += ` entries ${m.entries.map(formatEntry).join(' ')}`;
  if (m.snapshot !== null) line += ` ${formatSnapshot(m.snapshot)}`;
  return line;
}

export function formatEntry(entry: Entry): string {
  const kind = entry.type === ENTRY_TYPES.confChange ? ':conf' : entry.data.length === 0 ? ':empty' : '';
  return `${entry.index}@${entry.term}${kind}`;
}

export function formatSnapshot(snapshot: SnapshotMetadata): string {
  return `snapshot ${snapshot.index}@${snapshot.term} ${formatConfState(snapshot.confState)}`;
}

/** `voters 1,2,3 outgoing 1,2 learners 4 next 2`, leaving out what is empty. */
export function formatConfState(conf: ConfState): string {
  let text = `voters ${conf.voters.join(',')}`;
  if (conf.votersOutgoing.length > 0) text += ` outgoing ${conf.votersOutgoing.join(',')}`;
  if (conf.learners.length > 0) text += ` learners ${conf.learners.join(',')}`;
  if (conf.learnersNext.length > 0) text += ` next ${conf.learnersNext.join(',')}`;
  return text;
}
