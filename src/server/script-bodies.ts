/**
 * EVAL and EVALSHA are evaluated at a leader that may never have seen the script; so the entry node makes sure that the
 * cluster-wide catalogue has the body before the command travels. (Hot path: `isScriptKnown` runs for each of them.)
 */
import { createHash } from 'node:crypto';
import type { ScriptCatalog } from '../cluster/api.ts';
import { ENTRY } from './command-table.ts';
import type { CommandEntry } from './command-table.ts';
import type { ServerContext } from './context.ts';
import { SCRIPT_DIGESTS_MAX, SCRIPT_DIGEST_BODY_BYTES_MAX } from './limits.ts';

/** Digests of the bodies that clients repeat, so that a repeated EVAL hashes nothing. */
export class ScriptDigests {
  /** Forgotten as a whole when it holds SCRIPT_DIGESTS_MAX. */
  #byBody = new Map<string, string>();

  /** 40 lower-case hex digits. */
  of(body: Buffer): string {
    if (body.length > SCRIPT_DIGEST_BODY_BYTES_MAX) return sha1Hex(body);
    const text = body.toString('latin1');
    const known = this.#byBody.get(text);
    if (known !== undefined) return known;
    const digest = sha1Hex(body);
    if (this.#byBody.size >= SCRIPT_DIGESTS_MAX) this.#byBody = new Map();
    this.#byBody.set(text, digest);
    return digest;
  }
}

/** Whether this node's copy of the catalogue has the script. A malformed command counts as known: its leader says why. */
export function isScriptKnown(
  { cluster, scriptDigests }: Pick<ServerContext, 'cluster' | 'scriptDigests'>,
  entry: CommandEntry,
  argv: readonly Buffer[],
): boolean {
  const script = argv[1];
  if (script === undefined) return true;
  if ((entry.bits & ENTRY.scriptDigest) !== 0) {
    return script.length !== 40 || cluster.scripts.get(script.toString('latin1').toLowerCase()) !== undefined;
  }
  return cluster.scripts.get(scriptDigests.of(script)) !== undefined;
}

/** Loads or finds the script; false if the cluster has none of this digest. Rejects with ReplyError. */
export async function ensureScript(
  catalog: ScriptCatalog,
  entry: CommandEntry,
  argv: readonly Buffer[],
): Promise<boolean> {
  const script = argv[1];
  if (script === undefined) return true;
  if ((entry.bits & ENTRY.scriptDigest) !== 0) {
    return (await catalog.find(script.toString('latin1').toLowerCase())) !== undefined;
  }
  // What is refused before it runs (a bad numkeys) leaves no trace in the catalogue.
  entry.spec.keysOf?.(argv);
  await catalog.load(script);
  return true;
}

function sha1Hex(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('hex');
}
