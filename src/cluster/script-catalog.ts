/**
 * The cluster-wide script cache: ordinary keys of the metadata group, so that a script is durable on a majority when its
 * load is acknowledged, and every node has all of them in its own data store.
 *
 * A node may lag behind: whoever misses a script asks the leader of the group before it says so.
 */
import { createHash } from 'node:crypto';
import { assert } from '../base/assert.ts';
import { type DataCommand, defineCommand } from '../commands/define.ts';
import type { RecordReader } from '../partition/record-reader.ts';
import { SCRIPTS_FULL } from '../resp/errors.ts';
import { ErrorReply, OK, type Reply, ReplyError } from '../resp/reply.ts';
import { PagedString, toBytes } from '../values/string.ts';
import type { StringValue, Value } from '../values/value.ts';
import type { ScriptCatalog } from './api.ts';

/** Scripts in the cluster, and bytes of one script. */
export const SCRIPTS_MAX = 100_000;
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
      if (view.peek(SPACE, sha) !== undefined) return OK;
      if (view.keyCount(SPACE) >= SCRIPTS_MAX) throw new ReplyError(SCRIPTS_FULL);
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

/** Runs an internal command at the leader of the metadata group. */
export type MetadataCall = (command: DataCommand, args: readonly Buffer[]) => Promise<Reply>;

export class ReplicatedScripts implements ScriptCatalog {
  readonly #call: MetadataCall;
  readonly #reader: RecordReader;
  readonly #bodies = new Map<string, Buffer>();

  constructor(reader: RecordReader, call: MetadataCall) {
    this.#reader = reader;
    this.#call = call;
  }

  /** The metadata group changed on this node: what is remembered may be gone. */
  invalidate(): void {
    this.#bodies.clear();
  }

  get(sha: string): Buffer | undefined {
    const known = this.#bodies.get(sha);
    if (known !== undefined) return known;
    const value = this.#reader.readApplied(SPACE, sha);
    if (value === undefined) return undefined;
    return this.#remember(sha, Buffer.from(toBytes(asString(value))));
  }

  async find(sha: string): Promise<Buffer | undefined> {
    const here = this.get(sha);
    if (here !== undefined) return here;
    const [body] = await this.#ask(scriptRows.find, [Buffer.from(sha)]);
    return body instanceof Uint8Array ? this.#remember(sha, Buffer.from(body)) : undefined;
  }

  async load(body: Buffer): Promise<string> {
    const own = Buffer.from(body);
    const sha = createHash('sha1').update(own).digest('hex');
    await this.#ask(scriptRows.load, [Buffer.from(sha), own]);
    this.#remember(sha, own);
    return sha;
  }

  async exists(shas: readonly string[]): Promise<readonly boolean[]> {
    const found = await this.#ask(
      scriptRows.find,
      shas.map((sha) => Buffer.from(sha.toLowerCase(), 'latin1')),
    );
    return found.map((body) => body !== null);
  }

  async flush(): Promise<void> {
    await this.#ask(scriptRows.flush, []);
    this.#bodies.clear();
  }

  async #ask(command: DataCommand, args: readonly Buffer[]): Promise<readonly Reply[]> {
    const reply = await this.#call(command, args);
    if (reply instanceof ErrorReply) throw new ReplyError(reply);
    return Array.isArray(reply) ? (reply as readonly Reply[]) : [];
  }

  #remember(sha: string, body: Buffer): Buffer {
    if (this.#bodies.size >= CACHED_BODIES_MAX) this.#bodies.clear();
    this.#bodies.set(sha, body);
    return body;
  }
}
