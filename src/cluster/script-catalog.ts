/**
 * The cluster-wide script cache: ordinary keys of the metadata group, so that a script is durable on a majority when its
 * load is acknowledged, and every node has all of them in its own data store.
 *
 * A node may lag behind: whoever misses a script asks the leader of the group before it says so.
 */
import { createHash } from 'node:crypto';
import { assert } from '../base/assert.ts';
import type { LogIndex, Timestamp } from '../base/ids.ts';
import { type DataCommand, defineCommand } from '../commands/define.ts';
import { ReplicaDamaged } from '../partition/damage.ts';
import type { Job } from '../partition/job.ts';
import type { LoadedKey, RecordReader } from '../partition/record-reader.ts';
import { SCRIPTS_FULL } from '../resp/errors.ts';
import { ErrorReply, OK, type Reply, ReplyError } from '../resp/reply.ts';
import { PagedString, toBytes } from '../values/string.ts';
import type { StringValue, Value } from '../values/value.ts';
import type { ScriptCatalog } from './api.ts';

/** Scripts in the cluster, and bytes of one script. */
const SCRIPTS_MAX = 100_000;
/** Bodies kept in the memory of a node; more are read from its disk. */
const CACHED_BODIES_MAX = 1_000;
const SPACE = 0;

const internal = {
  group: 'scripting',
  since: '0.1.0',
  complexity: 'O(1)',
  args: [],
  arity: -1,
} as const;

export const scriptRows = {
  load: defineCommand({
    ...internal,
    name: '%SCRIPT-LOAD',
    summary: 'Stores a script; internal',
    flags: ['write', 'no_mandatory_keys'],
    run: (view, args): Reply => {
      const sha = args.text();
      const body = args.value();
      const isNew = view.peek(SPACE, sha) === undefined;
      if (isNew && view.keyCount(SPACE) >= SCRIPTS_MAX) throw new ReplyError(SCRIPTS_FULL);
      // Also if it is there: the index of this entry is one at which every node that has applied it has the script.
      view.put(SPACE, sha, body, 0);
      return OK;
    },
  }),
  find: defineCommand({
    ...internal,
    name: '%SCRIPT-FIND',
    summary: 'Returns scripts by their SHA1, null where there is none; internal',
    flags: ['readonly', 'no_mandatory_keys'],
    run: (view, args): Reply => {
      const found: Reply[] = [];
      while (args.remaining > 0) {
        const key = view.find(SPACE, args.text());
        found.push(key === undefined ? null : toBytes(asString(key.value)));
      }
      return found;
    },
  }),
  flush: defineCommand({
    ...internal,
    name: '%SCRIPT-FLUSH',
    summary: 'Forgets all scripts; internal',
    flags: ['write', 'no_mandatory_keys'],
    run: (view): Reply => {
      view.flush(SPACE);
      return OK;
    },
  }),
} satisfies Record<string, DataCommand>;

function asString(value: Value): StringValue {
  assert(typeof value === 'string' || value instanceof PagedString, 'the metadata group holds strings');
  return value;
}

/** The metadata group, as the catalogue needs it. */
export interface MetadataGroup {
  /** Runs an internal command at its leader. */
  call(command: DataCommand, args: readonly Buffer[]): Promise<{ readonly reply: Reply; readonly index: LogIndex }>;
  /** Resolves when every connected node has applied the index. */
  appliedEverywhere(index: LogIndex): Promise<void>;
  /** Commit timestamp of the last flush that this node has applied. */
  flushedAt(): Timestamp;
}

export class ReplicatedScripts implements ScriptCatalog {
  readonly #group: MetadataGroup;
  readonly #reader: RecordReader;
  readonly #bodies = new Map<string, Buffer>();
  /** Flush up to which `#bodies` is right. */
  #flushedAt: Timestamp = 0;

  constructor(reader: RecordReader, group: MetadataGroup) {
    this.#reader = reader;
    this.#group = group;
  }

  /** The metadata group was applied further on this node: a flush forgets what is remembered. */
  applied(): void {
    const flushedAt = this.#group.flushedAt();
    if (flushedAt === this.#flushedAt) return;
    this.#flushedAt = flushedAt;
    this.#bodies.clear();
  }

  /** Damage is reported where it is met; then the leader is asked, as for a script that is not here yet. */
  #read(sha: string): LoadedKey | undefined {
    try {
      return this.#reader.readKey(SPACE, sha);
    } catch (error) {
      if (error instanceof ReplicaDamaged) return undefined;
      throw error;
    }
  }

  get(sha: string): Buffer | undefined {
    const known = this.#bodies.get(sha);
    if (known !== undefined) return known;
    const stored = this.#read(sha);
    if (stored === undefined || stored.value === null || stored.timestamp <= this.#group.flushedAt()) return undefined;
    return this.#remember(sha, Buffer.from(toBytes(asString(stored.value))));
  }

  /**
   * The entry node of a request knows its scripts; this node's copy may lag: then they are fetched before it is evaluated. False if
   * nothing is missing, else `then` is called when they were asked for, found or not.
   */
  mustFetch({ call, transaction }: Pick<Job, 'call' | 'transaction'>, then: () => void): boolean {
    const calls = call === null ? (transaction?.calls ?? []) : [call];
    const missing = calls
      .filter(({ command }) => command.name.startsWith('EVALSHA'))
      .map(({ argv }) => (argv[1]?.toString('latin1') ?? '').toLowerCase())
      .filter((sha) => this.get(sha) === undefined);
    if (missing.length === 0) return false;
    Promise.all(missing.map((sha) => this.find(sha))).then(then, then);
    return true;
  }

  async find(sha: string): Promise<Buffer | undefined> {
    const here = this.get(sha);
    if (here !== undefined) return here;
    const flushedAt = this.#flushedAt;
    const { replies } = await this.#ask(scriptRows.find, [Buffer.from(sha)]);
    const [found] = replies;
    // From another node it comes decoded, as one character a byte.
    const body = typeof found === 'string' ? Buffer.from(found, 'latin1') : found;
    if (!(body instanceof Uint8Array)) return undefined;
    // Forgotten while the answer was on its way: good for this request, not for the next.
    return flushedAt === this.#flushedAt ? this.#remember(sha, Buffer.from(body)) : Buffer.from(body);
  }

  async load(body: Buffer): Promise<string> {
    return (await this.#load(body)).sha;
  }

  async loadEverywhere(body: Buffer): Promise<string> {
    const { sha, index } = await this.#load(body);
    await this.#group.appliedEverywhere(index);
    return sha;
  }

  async #load(body: Buffer): Promise<{ readonly sha: string; readonly index: LogIndex }> {
    const own = Buffer.from(body);
    const sha = createHash('sha1').update(own).digest('hex');
    const flushedAt = this.#flushedAt;
    const { index } = await this.#ask(scriptRows.load, [Buffer.from(sha), own]);
    // A flush that came meanwhile may have come after it.
    if (flushedAt === this.#flushedAt) this.#remember(sha, own);
    return { sha, index };
  }

  async exists(shas: readonly string[]): Promise<readonly boolean[]> {
    const { replies } = await this.#ask(
      scriptRows.find,
      shas.map((sha) => Buffer.from(sha.toLowerCase(), 'latin1')),
    );
    return replies.map((body) => body !== null);
  }

  async flush(): Promise<void> {
    const { index } = await this.#ask(scriptRows.flush, []);
    this.#bodies.clear();
    await this.#group.appliedEverywhere(index);
  }

  async #ask(
    command: DataCommand,
    args: readonly Buffer[],
  ): Promise<{ readonly replies: readonly Reply[]; readonly index: LogIndex }> {
    const { reply, index } = await this.#group.call(command, args);
    if (reply instanceof ErrorReply) throw new ReplyError(reply);
    return { replies: Array.isArray(reply) ? (reply as readonly Reply[]) : [], index };
  }

  #remember(sha: string, body: Buffer): Buffer {
    if (this.#bodies.size >= CACHED_BODIES_MAX) this.#bodies.clear();
    this.#bodies.set(sha, body);
    return body;
  }
}
