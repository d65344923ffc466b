/**
 * The scrub: the leader of a partition lets all replicas hash the same range of records at the same applied index, range after
 * range, for ever, slowly.
 *
 * Problem. A seal proves that a record is what was once written under its key. It does not prove that it is the newest, and says
 * nothing about a record that is not there: LevelDB can lose synced writes, and a flipped bit in one of its tables can bring
 * old values back. Only another replica knows better.
 *
 * Idea. What the newest records and the partition's state are at an index follows from the log. So the leader names a range and an
 * index, the last of its log in that moment; the message follows the entries on the same link, so a replica hears of
 * it before it can have applied anything beyond. Each takes a view exactly there (partition/scrub-point.ts), hashes the range
 * (scrub-participant.ts), and tells the leader.
 *
 * - A *look* is one range, one index: about LOOK_BYTES of records. Replicas that hold the same end it at the same key.
 * - A *round* is every range of a partition once (scrub-rounds.ts). After a pause the next one begins.
 * - Replicas that differ are looked at again, at a later index if there is one: nobody is judged by one look. Whoever differs from
 *   a strict majority of the voters in both (scrub-verdict.ts) is told so, and is rebuilt from its leader (quarantine.ts); the leader
 *   itself hands over first. Without a majority nobody can say who is right: the log says where, and what to do; the next round
 *   begins soon, since whoever was away may settle it.
 * - A replica that could not look (it lags, it was started anew, it is being rebuilt) is given another chance or two,
 *   and is then left out of this range until the next round.
 *
 * Invariants: never more than half of the voters are condemned by one look; only what was seen twice is condemned; one look at a
 * time a leading node, and one a replica; a look that is not answered ends by time.
 *
 * The rate bounds what a node reads *as a leader*, so each replica of a group reads as much again for it. A record counts for more than its
 * bytes (RECORD_COST_BYTES), so that the processor time of small records is bounded as well.
 *
 * Rejected: comparing whole partitions (one long snapshot each, and nothing learned of where); Merkle trees kept up to date with each
 * write (they cost every write, to find faster what hardly ever happens); comparing in the past, at a timestamp (versions
 * are collected at each node's own pace, and usually not kept at all).
 */
import { compareBytes } from '../base/bytes.ts';
import type { NodeId } from '../base/ids.ts';
import type { LogFields } from '../base/log.ts';
import type { Clock, Random, TimerHandle, Timers } from '../base/platform.ts';
import type { Transport } from '../transport/transport.ts';
import type { ScrubReport } from './api.ts';
import { MESSAGE_KINDS } from './message-kinds.ts';
import {
  readFinding,
  readLook,
  readVerdict,
  type ScrubFinding,
  type ScrubHash,
  type ScrubLook,
  writeFinding,
  writeLook,
  writeVerdict,
} from './scrub-codec.ts';
import { LOOK_MAX_MS, type LookCost, reasonOf, ScrubParticipant, shownRange } from './scrub-participant.ts';
import {
  isCurrent,
  rangeLeft,
  type ScrubRound,
  ScrubRounds,
  type ScrubRoundsHost,
  type Suspicion,
} from './scrub-rounds.ts';
import { compareReplicas } from './scrub-verdict.ts';

/** Newest records of one look, bytes. */
const LOOK_BYTES = 1024 * 1024;
/** When replicas differ, the second look goes as far as the longest of the first, up to this. */
const SECOND_LOOK_BYTES = 4 * LOOK_BYTES;
/** What a record costs beside its bytes, as so many bytes more (measured: compat/bench/scrub.ts). */
const RECORD_COST_BYTES = 512;
/** What a look costs beside its records, so that many small partitions cost little too. */
const LOOK_COST_BYTES = 16 * 1024;
/** The leader waits longer than any replica looks, in ms. */
const ANSWER_MAX_MS = LOOK_MAX_MS + 2_000;
/** Between two looks, whatever the rate, in ms. */
const LOOK_PAUSE_MS = 1;
/** Longest time between two looks at what is to be done: settings may have changed. */
const IDLE_MS = 1_000;

export interface ScrubHost extends ScrubRoundsHost {
  readonly node: NodeId;
  readonly platform: { readonly clock: Clock; readonly timers: Timers; readonly random: Random };
  readonly transport: Pick<Transport, 'begin' | 'end' | 'isUp'>;
  /** Messages were written in this turn. */
  readonly wake: () => void;
}

interface Look {
  readonly round: ScrubRound;
  readonly wanted: ScrubLook;
  readonly startedMs: number;
  readonly awaited: Set<NodeId>;
  /** Are connected, and could not look or did not answer. */
  readonly missed: Set<NodeId>;
  readonly found: Map<NodeId, ScrubFinding['found']>;
  readonly timer: TimerHandle;
  cost: LookCost;
}

/** What each replica holds, in a form in which equal is the same. */
type Said = ReadonlyMap<NodeId, string>;

export class Scrub {
  readonly #host: ScrubHost;
  readonly #participant: ScrubParticipant;
  readonly #rounds: ScrubRounds;
  #look: Look | null = null;
  #lookCount = 0;
  /** What the last look has cost, and when it began: the rate says when the next one may. */
  #lastCost = 0;
  #lastStartedMs = 0;
  #timer: TimerHandle | null = null;
  #isClosed = false;

  constructor(host: ScrubHost) {
    this.#host = host;
    this.#rounds = new ScrubRounds(host);
    this.#participant = new ScrubParticipant({
      timers: host.platform.timers,
      log: host.log,
      replicaOf: (group) => host.replicas().get(group),
    });
  }

  get report(): ScrubReport {
    return this.#rounds.report;
  }

  start(): void {
    this.#tickAfter(IDLE_MS);
  }

  /** Resolves when nothing of it is left: the store may be closed then. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#look?.timer.cancel();
    this.#look = null;
    await this.#participant.close();
  }

  // -------------------------------------------------------------------------------------------------------------
  // One look

  #tickAfter(delayMs: number): void {
    this.#timer?.cancel();
    if (this.#isClosed) return;
    this.#timer = this.#host.platform.timers.after(delayMs, () => {
      this.#tick();
    });
  }

  #tick(): void {
    if (this.#look !== null && !isCurrent(this.#look.round)) this.#giveUp(this.#look);
    const rate = this.#host.settings.bytesPerSecond();
    if (this.#look !== null || rate === 0) {
      this.#tickAfter(IDLE_MS);
      return;
    }
    const restMs = this.#lastStartedMs + (this.#lastCost * 1_000) / rate - this.#nowMs;
    if (restMs > 0) {
      this.#tickAfter(Math.min(IDLE_MS, restMs));
      return;
    }
    const next = this.#rounds.next();
    this.#tickAfter('inMs' in next ? Math.min(IDLE_MS, next.inMs) : IDLE_MS);
    if ('round' in next) this.#begin(next.round);
  }

  #begin(round: ScrubRound): void {
    const { node: self, platform, transport, wake } = this.#host;
    const { replica, term, suspicion } = round;
    const { start, end } = rangeLeft(round);
    const wanted: ScrubLook = {
      group: replica.group,
      look: ++this.#lookCount,
      term,
      // Whatever is proposed later has a greater index, and leaves this node after the message.
      index: replica.lastIndex,
      start,
      end: suspicion?.end ?? end,
      bytesMax: suspicion === null ? LOOK_BYTES : SECOND_LOOK_BYTES,
    };
    const look: Look = {
      round,
      wanted,
      startedMs: this.#nowMs,
      awaited: new Set([self]),
      missed: new Set(),
      found: new Map(),
      timer: platform.timers.after(ANSWER_MAX_MS, () => {
        this.#late(look);
      }),
      cost: { readBytes: 0, readCount: 0 },
    };
    this.#look = look;
    for (const { id } of replica.core.followers()) {
      if (this.#sendLook(id, wanted)) look.awaited.add(id);
      else if (transport.isUp(id)) look.missed.add(id);
    }
    wake();
    this.#participant.look(wanted, (found, cost) => {
      look.cost = cost;
      this.#hear(self, { ...wanted, found });
    });
  }

  #hear(from: NodeId, { group, look: number, term, found }: ScrubFinding): void {
    const look = this.#look;
    if (look === null || look.wanted.group !== group) return;
    if (look.wanted.look !== number || look.wanted.term !== term || !look.awaited.delete(from)) return;
    look.found.set(from, found);
    if (found === 'missed') look.missed.add(from);
    if (look.awaited.size === 0) this.#end(look);
  }

  #late(look: Look): void {
    if (this.#look !== look) return;
    for (const node of look.awaited) look.missed.add(node);
    this.#end(look);
  }

  #giveUp(look: Look): void {
    look.timer.cancel();
    this.#look = null;
  }

  #end(look: Look): void {
    this.#giveUp(look);
    if (this.#isClosed || !isCurrent(look.round)) return;
    const { readBytes, readCount } = look.cost;
    this.#lastCost = LOOK_COST_BYTES + readBytes + readCount * RECORD_COST_BYTES;
    this.#lastStartedMs = look.startedMs;
    this.#judge(look);
    this.#tickAfter(LOOK_PAUSE_MS);
  }

  // -------------------------------------------------------------------------------------------------------------
  // Judgement

  #judge(look: Look): void {
    const { round } = look;
    const own = look.found.get(this.#host.node);
    if (own === 'damaged') {
      this.#rounds.abandon(round);
      return;
    }
    if (own === undefined || own === 'missed') {
      // What this node has proposed is not committed, or not applied: nothing to compare with.
      this.#rounds.pause(round);
      return;
    }
    const { said, end } = opinions(look, own);
    const comparison = compareReplicas(said, round.replica.core.confState);
    if (comparison.kind === 'equal') this.#agreed(look, own, said);
    // Without a majority anybody may be wrong.
    else if (comparison.kind === 'undecided')
      this.#differ(look, own, { said, end, nodes: [...said.keys()], guilty: [] });
    else this.#differ(look, own, { said, end, nodes: comparison.nodes, guilty: comparison.nodes });
  }

  #agreed(look: Look, own: ScrubHash, said: Said): void {
    const { round, missed, found } = look;
    const members = round.replica.core.followers().length + 1;
    const isSomebodyMissing = members > [...found.values()].filter((one) => one !== 'missed').length;
    // Who holds something else may be the one that is missing now.
    const isWorthwhile = missed.size > 0 || (round.suspicion !== null && isSomebodyMissing);
    if (isWorthwhile && this.#rounds.mayTryAgain(round)) return;
    if (isSomebodyMissing) {
      this.#rounds.lacks(round);
      if (round.suspicion !== null) this.#undecided(look, said);
    } else if (round.suspicion !== null) {
      this.#host.log.warn('replicas held different data, and hold the same now', told(look, said));
    }
    this.#rounds.advance(round, own);
  }

  /** `guilty`: differ from a majority. Who was not under suspicion before is so from now on. */
  #differ(
    look: Look,
    own: ScrubHash,
    by: Suspicion & { readonly said: Said; readonly guilty: readonly NodeId[] },
  ): void {
    const { round } = look;
    const { suspicion } = round;
    const { nodes, end, said } = by;
    if (suspicion === null) {
      this.#host.log.warn('replicas hold different data; they are compared once more', told(look, said));
      this.#rounds.differs(round, { nodes, end });
      return;
    }
    const guilty = by.guilty.filter((node) => suspicion.nodes.includes(node));
    if (guilty.length > 0) {
      this.#rounds.advance(round, own);
      this.#condemn(guilty, look);
    } else if (this.#rounds.mayTryAgain(round)) {
      round.suspicion = { nodes, end: suspicion.end };
    } else {
      this.#undecided(look, said);
      this.#rounds.advance(round, own);
    }
  }

  #undecided(look: Look, said: Said): void {
    this.#rounds.report.undecided++;
    this.#host.log.error('replicas hold different data, and no majority of them says which is right', {
      ...told(look, said),
      advice: 'wait for replicas that are away; if one is known to have failed, rebuild it from an empty directory',
    });
  }

  /** The majority of the voters holds something else than these. */
  #condemn(nodes: readonly NodeId[], { round, wanted }: Look): void {
    const { log, node: self, transport } = this.#host;
    const { group, index } = wanted;
    for (const node of nodes) {
      this.#rounds.report.condemned++;
      const range = shownRange(wanted);
      log.error('a replica differs from most others: it is rebuilt from them', { group, node, index, range });
      if (node === self) continue;
      const writer = transport.begin(node, MESSAGE_KINDS.scrubVerdict, false);
      if (writer === null) continue;
      writeVerdict(writer, wanted);
      transport.end(node);
    }
    this.#host.wake();
    if (nodes.includes(self)) round.replica.quarantine(reasonOf(wanted));
  }

  // -------------------------------------------------------------------------------------------------------------
  // Messages

  /** A message of another node, of any kind. Throws KahunaError 'BYTES_MALFORMED' or 'SCRUB_MALFORMED'. */
  received(from: NodeId, kind: number, payload: Uint8Array): void {
    if (kind === MESSAGE_KINDS.scrubLook) this.#asked(from, readLook(payload));
    else if (kind === MESSAGE_KINDS.scrubFinding) this.#hear(from, readFinding(payload));
    else if (kind === MESSAGE_KINDS.scrubVerdict) this.#participant.condemned(from, readVerdict(payload));
  }

  #asked(from: NodeId, wanted: ScrubLook): void {
    const { transport, wake } = this.#host;
    this.#participant.look(wanted, (found) => {
      const writer = transport.begin(from, MESSAGE_KINDS.scrubFinding, false);
      if (writer === null) return;
      const { group, look, term } = wanted;
      writeFinding(writer, { group, look, term, found });
      transport.end(from);
      wake();
    });
  }

  #sendLook(to: NodeId, look: ScrubLook): boolean {
    const writer = this.#host.transport.begin(to, MESSAGE_KINDS.scrubLook, true);
    if (writer === null) return false;
    writeLook(writer, look);
    this.#host.transport.end(to);
    return true;
  }

  get #nowMs(): number {
    return this.#host.platform.clock.monotonicMs();
  }
}

/** What was found, and how far the longest look went. */
function opinions({ found, missed }: Look, own: ScrubHash): { readonly said: Said; readonly end: Uint8Array } {
  const said = new Map<NodeId, string>();
  let { end } = own;
  for (const [node, one] of found) {
    if (one === 'missed' || one === 'damaged') continue;
    if (one.stateFormat !== own.stateFormat) {
      // Of another version of this program, which writes the state otherwise.
      found.set(node, 'missed');
      missed.add(node);
      continue;
    }
    said.set(node, `${one.hash} ${one.count} ${one.stateChecksum} ${Buffer.from(one.end).toString('hex')}`);
    if (compareBytes(one.end, end) > 0) ({ end } = one);
  }
  return { said, end };
}

function told({ wanted, missed }: Look, said: Said): LogFields {
  const { group, index } = wanted;
  return { group, index, range: shownRange(wanted), said: Object.fromEntries(said), missed: [...missed] };
}
