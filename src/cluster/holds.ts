/**
 * Holds: moments that users keep alive for as long as they renew a lease (KAHUNA.HOLD).
 *
 * Problem. Every node collects old versions by itself, the time of nodes and partitions differs, replicas lag behind, nodes are cut
 * off or down and come back with an old state. Nothing that an acknowledged hold sees may be collected anywhere, by any of them, ever.
 *
 * Idea. The list of holds is a record of the metadata group: durable, one order of all changes, leases by that group's time. A hold is
 * acknowledged when the *log of every partition* says what is held: an entry with the oldest moment of the list, and the list's
 * revision. A node collects only what the entries that it has applied allow (partition/history-keeper.ts). So nobody has to be asked, and
 * a node that is down or cut off is no hindrance.
 *
 * Why nothing is collected that is held. Let entry e of a partition say that moments from f on are held.
 * - After e. A replica that has applied e collects nothing that is seen at f or later, until it applies an entry with a higher
 *   revision and a later floor. Such an entry follows from a list without the hold: it was released, or its lease was over,
 *   by an entry of the metadata group. An entry with a lower revision changes nothing, so messages may come late.
 * - Before e. A replica that has not applied e has collected at most up to the time in its log less the retention. Time in a log never
 *   falls, so that is at most e's time less the retention; and the leader accepts f only if it is not before that (holds.ts in
 *   partition/). Where there is no retention, history was kept for earlier holds alone: then at most up to what was let go by
 *   entries before e, which the partition's state remembers (`passed`).
 * - Where no history was kept before, it begins on each replica with the first such entry that it applies, before any later change of that
 *   partition; moments from the greatest timestamp of these entries on are whole. The hold begins there, and is told so. Every later
 *   one finds that moment in the states of the partitions, of which each has passed its own entry, and of the metadata group.
 * - A replica that gets a copy instead of entries gets the partition's state with it: if the copy was taken after e, it says what is
 *   held, and the versions come with it; if before, e follows.
 * - After a crash a node begins with what its own states say (history-keeper.ts), and replays the rest.
 * If the number of versions of a key is bounded too, versions may have gone that a hold in the past would want: reading such a key
 * is refused, as always. From e on they are kept.
 *
 * This needs the same `version-retention` on all nodes: with a shorter one a replica may have collected more. Then it refuses to
 * read what it has not; it never shows something wrong.
 *
 * Leases end, and logs are brought up to date, at the node that leads the metadata group: it looks now and then, so a hold may live
 * some seconds longer than its lease, never shorter.
 */
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { type GroupId, METADATA_GROUP, type Timestamp } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Clock } from '../base/platform.ts';
import type { Args } from '../commands/args.ts';
import { type DataCommand, defineCommand } from '../commands/define.ts';
import type { View } from '../commands/view.ts';
import { evaluationOf, hold, holdRow } from '../partition/holds.ts';
import { ReplicaDamaged } from '../partition/damage.ts';
import type { RecordReader } from '../partition/record-reader.ts';
import type { Replica } from '../partition/replica.ts';
import { fail, HOLD_LAPSED, historyGone, stepMalformed, TOO_MANY_HOLDS } from '../resp/errors.ts';
import { ErrorReply, type Reply, ReplyError } from '../resp/reply.ts';
import { parseInt64 } from '../values/integer.ts';
import { isStringValue, stringFromBytes, toBytes } from '../values/string.ts';

const SPACE = 1;
const KEY = 'holds';
/** Holds in the cluster. */
const HOLDS_MAX = 1_000;
const NO_HOLD: readonly number[] = [0, 0, 0, 0, 0, 0];
/** Pause between two tries to tell a partition, in ms. */
const AGAIN_MS = 1_000;

export interface Hold {
  readonly id: number;
  /** Who holds it, one character a byte. */
  readonly holder: string;
  readonly at: Timestamp;
  /** Time of the metadata group at which its lease is over, in ms. */
  readonly expiresAtMs: number;
}

/** What changing the list leads to. */
interface Changed {
  /** 0: there is no such hold. A hold that is new has the revision for its id. */
  readonly id: number;
  readonly at: Timestamp;
  readonly revision: Timestamp;
  readonly floor: Timestamp;
  readonly expiresAtMs: number;
  /** Where holds alone keep history, the metadata group has kept none before this moment. */
  readonly passed: Timestamp;
}

// ---------------------------------------------------------------------------------------------------------------
// Rows of the metadata group: they answer [id, moment, revision, floor, end of the lease, passed], all 0 if there is no such hold

/** Arguments: holder, moment, lease in ms. The same holder of the same moment renews. A hold that is new has its revision for an id. */
const acquireRow = row('%HOLD-ACQUIRE', 'write', (view, args) => {
  const holder = args.text();
  const at = numberOf(args);
  const expiresAtMs = view.nowMs + numberOf(args);
  const holds = liveHolds(view);
  const present = holds.find((one) => one.holder === holder && one.at === at);
  if (present === undefined && holds.length >= HOLDS_MAX) fail(TOO_MANY_HOLDS);
  const changed = { id: present?.id ?? view.timestamp, holder, at, expiresAtMs: otherThan(present, expiresAtMs) };
  return store(view, [...holds.filter((one) => one !== present), changed], changed);
});

/** Whoever renews a hold leaves it with another end of its lease: so it can be told whether anybody has. */
function otherThan(present: Hold | undefined, expiresAtMs: number): number {
  return present?.expiresAtMs === expiresAtMs ? expiresAtMs + 1 : expiresAtMs;
}

/** Arguments: id, lease in ms. */
const renewRow = row('%HOLD-RENEW', 'write', (view, args) => {
  const id = numberOf(args);
  const expiresAtMs = view.nowMs + numberOf(args);
  const holds = liveHolds(view);
  const present = holds.find((one) => one.id === id);
  if (present === undefined) return NO_HOLD;
  const changed = { ...present, expiresAtMs: otherThan(present, expiresAtMs) };
  return store(view, [...holds.filter((one) => one !== present), changed], changed);
});

/** A hold turned out to begin later. Arguments: id, moment. */
const moveRow = row('%HOLD-MOVE', 'write', (view, args) => {
  const id = numberOf(args);
  const at = numberOf(args);
  const holds = liveHolds(view);
  const present = holds.find((one) => one.id === id);
  if (present === undefined) return NO_HOLD;
  const changed = { ...present, at };
  return store(view, [...holds.filter((one) => one !== present), changed], changed);
});

/** Arguments: id, and of a hold that is to be released only if nobody has renewed it since, the end of its lease, in ms. */
const releaseRow = row('%HOLD-RELEASE', 'write', (view, args) => {
  const id = numberOf(args);
  const expiresAtMs = args.remaining === 0 ? null : numberOf(args);
  const holds = liveHolds(view);
  const present = holds.find((one) => one.id === id);
  if (present === undefined || (expiresAtMs !== null && present.expiresAtMs !== expiresAtMs)) return NO_HOLD;
  return store(
    view,
    holds.filter((one) => one !== present),
    present,
  );
});

/** Forgets holds whose leases are over. */
const expireRow = row('%HOLD-EXPIRE', 'write', (view) => {
  const holds = liveHolds(view);
  if (holds.length === storedHolds(view).length) return NO_HOLD;
  return store(view, holds, { id: 0, at: 0, expiresAtMs: 0 });
});

/** Answers with id, holder, moment and what is left of the lease, of each. */
const listRow = row('%HOLD-LIST', 'readonly', (view) =>
  liveHolds(view).map(({ id, holder, at, expiresAtMs }) => [id, holder, at, expiresAtMs - view.nowMs]),
);

export const holdRows: readonly DataCommand[] = [acquireRow, renewRow, moveRow, releaseRow, expireRow, listRow];

function row(name: string, flag: 'readonly' | 'write', run: (view: View, args: Args) => Reply): DataCommand {
  return defineCommand({
    name,
    group: 'kahuna',
    since: '0.2.0',
    summary: 'The list of holds; internal',
    complexity: 'O(N)',
    flags: [flag, 'no_mandatory_keys'],
    args: [],
    arity: -1,
    run,
  });
}

function storedHolds(view: View): readonly Hold[] {
  const value = view.peek(SPACE, KEY)?.value;
  return value === undefined || !isStringValue(value) ? [] : decodeHolds(toBytes(value));
}

function liveHolds(view: View): readonly Hold[] {
  return storedHolds(view).filter(({ expiresAtMs }) => expiresAtMs > view.nowMs);
}

/** The metadata group has data of its own on all nodes: its log says what is held as those of the partitions do. */
function store(view: View, holds: readonly Hold[], { id, at, expiresAtMs }: Omit<Hold, 'holder'>): Reply {
  const revision = view.timestamp;
  const floor = holds.length === 0 ? 0 : Math.min(...holds.map((one) => one.at));
  view.put(SPACE, KEY, stringFromBytes(encodeHolds(holds)), 0);
  const passed = hold(evaluationOf(view), { revision, floor, retentionMs: 0 });
  return [id, at, revision, floor, expiresAtMs, passed];
}

/** The list as this node has applied it. Damage is reported where it is met; the list is then empty. */
export function readHolds(reader: RecordReader): readonly Hold[] {
  try {
    const value = reader.readKey(SPACE, KEY)?.value;
    return value === undefined || value === null || !isStringValue(value) ? [] : decodeHolds(toBytes(value));
  } catch (error) {
    if (error instanceof ReplicaDamaged) return [];
    throw error;
  }
}

/** varint n, each: u64 id | u64 moment | u64 end of the lease, ms | varint bytes, holder. On disk: append-only. */
export function encodeHolds(holds: readonly Hold[]): Uint8Array {
  const writer = new ByteWriter(256);
  writer.varint(holds.length);
  for (const { id, holder, at, expiresAtMs } of holds) {
    writer.u64(id);
    writer.u64(at);
    writer.u64(expiresAtMs);
    writer.latin1(holder);
  }
  return writer.finish();
}

/** Throws KahunaError 'BYTES_MALFORMED'. */
export function decodeHolds(bytes: Uint8Array): readonly Hold[] {
  const reader = new ByteReader(bytes);
  const holds: Hold[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    const id = reader.u64();
    const at = reader.u64();
    const expiresAtMs = reader.u64();
    const holder = reader.latin1();
    holds.push({ id, at, expiresAtMs, holder });
  }
  reader.expectEnd();
  return holds;
}

function numberOf(args: Args): number {
  const number = parseInt64(args.bytes());
  return typeof number === 'number' && number >= 0 ? number : fail(stepMalformed('a number is none'));
}

// ---------------------------------------------------------------------------------------------------------------

export interface HoldsHost {
  readonly clock: Clock;
  readonly log: Logger;
  /** Partitions, without the metadata group. */
  readonly groups: readonly GroupId[];
  retentionMs(): number;
  /** Has a command evaluated by the leader of a group. */
  call(
    group: GroupId,
    command: DataCommand,
    args: readonly Buffer[],
    options: { readonly deadlineMs?: number },
  ): Promise<Reply>;
  /** A moment that is not before anything acknowledged earlier. */
  latest(deadlineMs: number): Promise<Timestamp>;
  /** No partition commits anything at or below the moment any more. */
  pass(at: Timestamp, deadlineMs: number): Promise<void>;
  /** The metadata group on this node. */
  metadata(): Replica | undefined;
  /** What its record of holds says here; empty if it has none. */
  stored(): readonly Hold[];
}

/** What users of KAHUNA.HOLD may ask. All reject with ReplyError. */
export interface HoldsApi {
  /** `at` 0 = now. Resolves when it holds everywhere. */
  acquire(
    holder: string,
    wanted: { readonly at: Timestamp; readonly leaseMs: number },
    deadlineMs: number,
  ): Promise<{ readonly id: number; readonly at: Timestamp }>;
  /** False if there is no such hold any more. */
  renew(id: number, leaseMs: number, deadlineMs: number): Promise<boolean>;
  release(id: number, deadlineMs: number): Promise<boolean>;
  list(
    deadlineMs: number,
  ): Promise<
    readonly { readonly id: number; readonly holder: string; readonly at: Timestamp; readonly ttlMs: number }[]
  >;
}

export class Holds implements HoldsApi {
  readonly #host: HoldsHost;
  /** Revision that the log of each partition says, as far as this node knows; while it leads the metadata group. */
  readonly #told = new Map<GroupId, Timestamp>();
  #isLooking = false;
  #againMs = 0;

  constructor(host: HoldsHost) {
    this.#host = host;
  }

  async acquire(
    holder: string,
    { at, leaseMs }: { readonly at: Timestamp; readonly leaseMs: number },
    deadlineMs: number,
  ): Promise<{ readonly id: number; readonly at: Timestamp }> {
    const wanted = at === 0 ? await this.#host.latest(deadlineMs) : at;
    const args = [Buffer.from(holder, 'latin1'), numeral(wanted), numeral(leaseMs)];
    const acquired = await this.#change(acquireRow, args, deadlineMs);
    try {
      const from = Math.max(acquired.at, await this.#tellAll(acquired, acquired.at, deadlineMs));
      if (at !== 0 && from > at) throw new ReplyError(historyGone(at, from));
      if (from > acquired.at) {
        // Here history begins: that is what is held.
        const moved = await this.#change(moveRow, [numeral(acquired.id), numeral(from)], deadlineMs);
        if (moved.id === 0) throw new ReplyError(HOLD_LAPSED);
      }
      // What is asked for after the answer is not part of 'now'.
      if (at === 0) await this.#host.pass(from, deadlineMs);
      return { id: acquired.id, at: from };
    } catch (error) {
      this.#undo(acquired, deadlineMs);
      throw error;
    }
  }

  async renew(id: number, leaseMs: number, deadlineMs: number): Promise<boolean> {
    return (await this.#change(renewRow, [numeral(id), numeral(leaseMs)], deadlineMs)).id !== 0;
  }

  /** Partitions are told later. */
  async release(id: number, deadlineMs: number): Promise<boolean> {
    return (await this.#change(releaseRow, [numeral(id)], deadlineMs)).id !== 0;
  }

  async list(deadlineMs: number): ReturnType<HoldsApi['list']> {
    const reply = await this.#host.call(METADATA_GROUP, listRow, [], { deadlineMs });
    return rowsOf(reply).map(([id, holder, at, ttlMs]) => ({
      id: Number(id),
      holder: textOf(holder ?? null),
      at: Number(at),
      ttlMs: Number(ttlMs),
    }));
  }

  /**
   * Takes back a hold of which nobody was told: one that was new, and that nobody else, with the same name and moment, has
   * acquired since. If this fails as well, its lease ends.
   */
  #undo({ id, revision, expiresAtMs }: Changed, deadlineMs: number): void {
    if (id !== revision) return;
    this.#change(releaseRow, [numeral(id), numeral(expiresAtMs)], deadlineMs).catch(() => undefined);
  }

  async #change(command: DataCommand, args: readonly Buffer[], deadlineMs?: number): Promise<Changed> {
    const options = deadlineMs === undefined ? {} : { deadlineMs };
    const reply = await this.#host.call(METADATA_GROUP, command, args, options);
    const [id = 0, at = 0, revision = 0, floor = 0, expiresAtMs = 0, passed = 0] = rowOf(reply).map(Number);
    return { id, at, revision, floor, expiresAtMs, passed };
  }

  /** Every partition says in its log what is held. Resolves with the moment from which on all is kept everywhere. */
  async #tellAll(held: Changed, wanted: Timestamp, deadlineMs: number): Promise<Timestamp> {
    const moments = await Promise.all(this.#host.groups.map((group) => this.#tell(group, held, deadlineMs)));
    // What the metadata group itself keeps begins with the list, where it did not keep any before; or with an earlier hold, though
    // nothing may have come of that one.
    const isLater = moments.some((moment) => moment > wanted);
    const passed = this.#host.retentionMs() === 0 ? held.passed : 0;
    return Math.max(wanted, ...moments, passed, isLater ? held.revision : 0);
  }

  async #tell(
    group: GroupId,
    { revision, floor }: { readonly revision: Timestamp; readonly floor: Timestamp },
    deadlineMs?: number,
  ): Promise<Timestamp> {
    const args = [numeral(revision), numeral(floor), numeral(this.#host.retentionMs())];
    const reply = await this.#host.call(group, holdRow, args, deadlineMs === undefined ? {} : { deadlineMs });
    if (reply instanceof ErrorReply) throw new ReplyError(reply);
    return Number(reply);
  }

  // -------------------------------------------------------------------------------------------------------------
  // At the leader of the metadata group

  /** Called now and then: leases that are over end, and partitions that were not told are. */
  look(): void {
    const metadata = this.#host.metadata();
    if (metadata?.isServing !== true) {
      this.#told.clear();
      return;
    }
    const nowMs = this.#host.clock.monotonicMs();
    if (this.#isLooking || nowMs < this.#againMs) return;
    const { holds } = metadata.applier.state;
    const isOver = this.#host.stored().some(({ expiresAtMs }) => expiresAtMs <= metadata.time.now());
    const untold = this.#host.groups.filter((group) => (this.#told.get(group) ?? 0) < holds.revision);
    if (!isOver && untold.length === 0) return;
    this.#isLooking = true;
    this.#againMs = nowMs + AGAIN_MS;
    this.#attend(isOver, untold, holds).then(
      () => {
        this.#isLooking = false;
      },
      (error: unknown) => {
        this.#isLooking = false;
        const text = error instanceof ReplyError ? error.reply.text : String(error);
        this.#host.log.debug('could not bring the holds up to date', { error: text });
      },
    );
  }

  async #attend(
    isOver: boolean,
    untold: readonly GroupId[],
    held: { readonly revision: Timestamp; readonly floor: Timestamp },
  ): Promise<void> {
    if (isOver) await this.#change(expireRow, []);
    await Promise.all(
      untold.map(async (group) => {
        await this.#tell(group, held);
        this.#told.set(group, held.revision);
      }),
    );
  }
}

function numeral(number: number): Buffer {
  return Buffer.from(String(number));
}

function rowOf(reply: Reply): readonly Reply[] {
  if (reply instanceof ErrorReply) throw new ReplyError(reply);
  return Array.isArray(reply) ? (reply as readonly Reply[]) : [];
}

function rowsOf(reply: Reply): readonly (readonly Reply[])[] {
  return rowOf(reply).map(rowOf);
}

function textOf(reply: Reply): string {
  return reply instanceof Uint8Array ? Buffer.from(reply).toString('latin1') : typeof reply === 'string' ? reply : '';
}
