/**
 * The verbs of the text scenarios: one row each, `arguments` as they are written. What a verb says is its output.
 *
 * Arguments are words; `name=value` gives an option. Lists of nodes are written 1,2,3.
 */
import assert from 'node:assert/strict';
import { formatConfState, formatMessage, messageName } from '../../src/raft/messages.ts';
import { BLANK_CONF } from '../../src/raft/membership.ts';
import { encodeConfChange } from '../../src/raft/conf-codec.ts';
import { ENTRY_TYPES, MESSAGE_TYPES } from '../../src/raft/types.ts';
import type { ConfChange, ConfState, Entry, Message } from '../../src/raft/types.ts';
import { SimDisk } from './simulation/disk.ts';
import { DEFAULT_CONFIG, formatEntries } from './scenario-group.ts';
import type { ScenarioGroup } from './scenario-group.ts';

export interface Words {
  readonly plain: readonly string[];
  readonly options: ReadonlyMap<string, string>;
}

interface Verb {
  readonly arguments: string;
  readonly run: (group: ScenarioGroup, words: Words) => void;
}

const encoder = new TextEncoder();

/** Options of `group` that are settings of every core. */
const SETTINGS = [
  'electionTicks',
  'heartbeatTicks',
  'idleHeartbeatTicks',
  'appendBytesMax',
  'inflightMessagesMax',
  'inflightBytesMax',
  'uncommittedBytesMax',
  'voteDelayTicks',
] as const;
type Setting = (typeof SETTINGS)[number];

export const VERBS: Readonly<Record<string, Verb>> = {
  group: {
    arguments:
      'voters=1,2,3 [learners=4] [blank=5] [held] [setting=value …]: a new group with empty logs; held: commit notices are',
    run: (group, words) => {
      group.nodes.clear();
      group.network = [];
      const settings: Partial<Record<Setting, number>> = {};
      for (const name of SETTINGS) if (words.options.has(name)) settings[name] = option(words, name, 0);
      group.config = { ...DEFAULT_CONFIG, ...settings, holdsCommitNotices: words.plain.includes('held') };
      const confState = confOf(words);
      const base = { index: 0, term: 0, confState };
      for (const id of [...confState.voters, ...confState.learners]) group.boot(id, new SimDisk(base));
      for (const id of numbers(words.options.get('blank'))) group.boot(id, group.blankDisk());
    },
  },
  node: {
    arguments:
      'id voters=1,2,3 log=1,1,2 [term=2] [vote=0] [commit=0] [applied=0]: starts a node whose log has these terms',
    run: (group, words) => {
      const id = number(words, 0);
      const terms = numbers(words.options.get('log'));
      const disk = new SimDisk({ index: 0, term: 0, confState: confOf(words) });
      disk.entries = terms.map((term, i) => ({
        term,
        index: i + 1,
        type: ENTRY_TYPES.normal,
        data: encoder.encode(`old${i + 1}`),
      }));
      const lastTerm = terms[terms.length - 1] ?? 0;
      disk.hardState = {
        term: option(words, 'term', lastTerm),
        vote: option(words, 'vote', 0),
        commit: option(words, 'commit', 0),
      };
      disk.applied = { index: option(words, 'applied', 0), hash: 0 };
      group.say(group.describe(group.boot(id, disk)));
    },
  },
  tick: {
    arguments: 'id [count]',
    run: (group, words) => {
      const { core } = group.node(number(words, 0));
      for (let i = 0; i < number(words, 1, 1); i++) core.tick();
    },
  },
  campaign: { arguments: 'id', run: (group, words) => group.node(number(words, 0)).core.campaign() },
  lead: {
    arguments:
      'id: wins an election with the votes of everybody else, made by hand; nothing of the new leader is sent yet',
    run: (group, words) => {
      const node = group.node(number(words, 0));
      const voters = node.core.confState.voters.filter((voter) => voter !== node.id);
      node.core.campaign();
      for (const type of ['preVoteResponse', 'voteResponse']) {
        for (const voter of voters) {
          const term = type === 'preVoteResponse' ? node.core.term + 1 : node.core.term;
          node.core.step(
            messageOf({ plain: [type, `${voter}->${node.id}`], options: new Map([['term', String(term)]]) }),
          );
        }
        if (type === 'preVoteResponse') {
          group.ready(node);
          group.persist(node, Infinity);
        }
      }
      group.network = group.network.filter((message) => message.from !== node.id);
      group.takeLines();
      group.say(group.describe(node));
    },
  },
  forget: {
    arguments: 'id: the follower forgets its leader',
    run: (group, words) => group.node(number(words, 0)).core.forgetLeader(),
  },
  propose: {
    arguments: 'id word …: one entry a word',
    run: (group, words) => {
      const { core } = group.node(number(words, 0));
      const indexes = words.plain.slice(1).map((word) => core.propose(encoder.encode(word)));
      group.say(indexes.map((index) => (index === 0 ? 'refused' : `at ${index}`)).join(', '));
    },
  },
  conf: {
    arguments: 'id [joint] +4 -1 learner:5 …: a configuration change',
    run: (group, words) => {
      const { core } = group.node(number(words, 0));
      const index = core.proposeConfChange(changeOf(words.plain.slice(1)));
      group.say(index === 0 ? 'refused' : `at ${index}: ${formatConfState(core.confState)}`);
    },
  },
  read: {
    arguments: 'id context',
    run: (group, words) => sayRefusal(group, group.node(number(words, 0)).core.readIndex(number(words, 1))),
  },
  forward: {
    arguments: 'id context: a read of a follower, through the leader',
    run: (group, words) => sayRefusal(group, group.node(number(words, 0)).core.forwardReadIndex(number(words, 1))),
  },
  transfer: {
    arguments: 'id target',
    run: (group, words) => sayRefusal(group, group.node(number(words, 0)).core.transferLeadership(number(words, 1))),
  },
  unreachable: {
    arguments: 'id peer',
    run: (group, words) => group.node(number(words, 0)).core.reportUnreachable(number(words, 1)),
  },
  reachable: {
    arguments: 'id peer: there is a new connection',
    run: (group, words) => group.node(number(words, 0)).core.reportReachable(number(words, 1)),
  },
  report: {
    arguments: 'id peer delivered|failed: the end of a snapshot stream',
    run: (group, words) =>
      group.node(number(words, 0)).core.reportSnapshot(number(words, 1), words.plain[2] === 'delivered'),
  },
  compact: {
    arguments: 'id index',
    run: (group, words) => {
      const { core, disk } = group.node(number(words, 0));
      disk.compact(core.snapshotMetadata(number(words, 1)), { index: core.appliedIndex, hash: 0 });
      core.compact(number(words, 1));
    },
  },
  install: {
    arguments: 'id done|failed: the end of a snapshot installation',
    run: (group, words) => {
      const node = group.node(number(words, 0));
      const { installing } = node;
      assert.ok(installing !== null, 'nothing is being installed');
      node.installing = null;
      if (words.plain[1] === 'done') {
        node.disk.installSnapshot(installing, 0);
        node.core.snapshotInstalled(installing.index);
      } else {
        node.core.snapshotInstalled(0);
      }
    },
  },
  ready: { arguments: 'id: takes one Ready', run: (group, words) => group.ready(group.node(number(words, 0))) },
  persist: {
    arguments: 'id [number]: the flush of all Readys (up to that one) ends',
    run: (group, words) => group.persist(group.node(number(words, 0)), number(words, 1, Infinity)),
  },
  deliver: {
    arguments: '[from->to] [type]: delivers what is under way',
    run: (group, words) => {
      if (group.deliver(pattern(words)) === 0) group.say('nothing');
    },
  },
  drop: {
    arguments: '[from->to] [type]: loses what is under way',
    run: (group, words) => {
      const isMeant = pattern(words);
      for (const message of group.network.filter(isMeant)) group.say(`lost ${formatMessage(message)}`);
      group.network = group.network.filter((message) => !isMeant(message));
    },
  },
  network: {
    arguments: 'shows what is under way',
    run: (group) => {
      for (const message of group.network) group.say(formatMessage(message));
    },
  },
  stabilize: {
    arguments: '[1,2,3] [quiet]: runs these nodes (or all) until nothing moves; what goes to others waits',
    run: (group, words) => {
      const isQuiet = words.plain.includes('quiet');
      const list = words.plain.find((word) => word !== 'quiet');
      group.stabilize(list === undefined ? [...group.nodes.keys()] : numbers(list));
      if (isQuiet) group.takeLines();
    },
  },
  crash: {
    arguments: 'id: stops the node and starts it from what its disk holds',
    run: (group, words) => {
      const id = number(words, 0);
      group.say(group.describe(group.boot(id, group.node(id).disk)));
    },
  },
  wipe: {
    arguments: 'id: the node loses its disk and is started again',
    run: (group, words) => {
      const id = number(words, 0);
      const { disk } = group.node(id);
      disk.lose({ index: 0, term: 0, confState: group.node(id).core.confState });
      group.boot(id, disk);
    },
  },
  found: {
    arguments: 'id: all others have said that they are blank',
    run: (group, words) => sayRefusal(group, group.node(number(words, 0)).core.found()),
  },
  status: {
    arguments: '[id]',
    run: (group, words) => {
      const nodes = words.plain.length === 0 ? [...group.nodes.values()] : [group.node(number(words, 0))];
      for (const node of nodes) group.say(group.describe(node));
    },
  },
  log: {
    arguments: 'id',
    run: (group, words) => {
      const { core } = group.node(number(words, 0));
      group.say(formatEntries(core.entriesFrom(core.firstIndex, Infinity)) || 'empty');
    },
  },
  progress: {
    arguments: 'id: what the leader knows of the others',
    run: (group, words) => {
      for (const peer of group.node(number(words, 0)).core.followers()) {
        group.say(
          `${peer.id}: ${peer.state} match ${peer.match} next ${peer.next}${peer.isRecentlyActive ? '' : ', inactive'}`,
        );
      }
    },
  },
  step: {
    arguments:
      'type from->to term=3 [index= logTerm= commit= context= hint= reject=1 log=terms change=+4,-1 snapshot=index@term voters=]: a message made by hand',
    run: (group, words) => {
      const message = messageOf(words);
      group.say(formatMessage(message));
      group.node(message.to).core.step(message);
    },
  },
};

function sayRefusal(group: ScenarioGroup, isAccepted: boolean): void {
  if (!isAccepted) group.say('refused');
}

function number(words: Words, position: number, fallback?: number): number {
  const word = words.plain[position];
  if (word === undefined && fallback !== undefined) return fallback;
  const value = Number(word);
  assert.ok(Number.isInteger(value), `argument ${position + 1} is no whole number: ${word ?? 'absent'}`);
  return value;
}

function option(words: Words, name: string, fallback: number): number {
  return Number(words.options.get(name) ?? fallback);
}

function numbers(list: string | undefined): number[] {
  return list === undefined || list === '' ? [] : list.split(',').map(Number);
}

function confOf(words: Words): ConfState {
  return {
    ...BLANK_CONF,
    voters: numbers(words.options.get('voters')),
    learners: numbers(words.options.get('learners')),
  };
}

function changeOf(words: readonly string[]): ConfChange {
  const changes = words
    .filter((word) => word !== 'joint')
    .map((word): ConfChange['changes'][number] => {
      if (word.startsWith('learner:')) return { kind: 'addLearner', node: Number(word.slice(8)) };
      return { kind: word.startsWith('+') ? 'addVoter' : 'remove', node: Number(word.slice(1)) };
    });
  return { changes, joint: words.includes('joint'), context: new Uint8Array(0) };
}

/** `1->2`, `1->*`, `*->2`, a type, or both; no word means everything. */
function pattern(words: Words): (message: Message) => boolean {
  const link = words.plain.find((word) => word.includes('->'));
  const type = words.plain.find((word) => !word.includes('->'));
  const [from, to] = link?.split('->') ?? ['*', '*'];
  return (message) =>
    (from === '*' || message.from === Number(from)) &&
    (to === '*' || message.to === Number(to)) &&
    (type === undefined || messageName(message.type) === type);
}

function messageOf(words: Words): Message {
  const [name, link] = words.plain;
  const type = Object.values(MESSAGE_TYPES).find((candidate) => messageName(candidate) === name);
  const [from, to] = (link ?? '').split('->').map(Number);
  assert.ok(type !== undefined && from !== undefined && to !== undefined, `no message: ${words.plain.join(' ')}`);
  const index = option(words, 'index', 0);
  const entries = numbers(words.options.get('log')).map((term, i): Entry => {
    return { term, index: index + 1 + i, type: ENTRY_TYPES.normal, data: encoder.encode(`new${index + 1 + i}`) };
  });
  const change = words.options.get('change');
  if (change !== undefined) {
    const data = encodeConfChange(changeOf(change.split(',')));
    entries.push({
      term: option(words, 'term', 1),
      index: index + 1 + entries.length,
      type: ENTRY_TYPES.confChange,
      data,
    });
  }
  return {
    type,
    from,
    to,
    term: option(words, 'term', 1),
    logTerm: option(words, 'logTerm', 0),
    index,
    commit: option(words, 'commit', 0),
    entries,
    reject: words.options.has('reject'),
    rejectHint: option(words, 'hint', 0),
    context: option(words, 'context', 0),
    snapshot: snapshotOf(words),
    leaderTimeMs: 0,
  };
}

function snapshotOf(words: Words): Message['snapshot'] {
  const [index, term] = (words.options.get('snapshot') ?? '').split('@').map(Number);
  return index === undefined || term === undefined ? null : { index, term, confState: confOf(words) };
}
