/**
 * EVAL and EVALSHA are evaluated at a leader that may never have seen the script; so the entry node makes sure that the
 * cluster-wide catalogue has the body before the command travels. (Hot path: `isScriptKnown` runs for each of them.)
 */
import { createHash } from 'node:crypto';
import { scriptKeyCount } from '../commands/scripts.ts';
import type { ErrorReply } from '../resp/reply.ts';
import { ReplyError } from '../resp/reply.ts';
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

/**
 * The error of a command that is refused before its script runs: a bad numkeys, which counts before an unknown digest,
 * or a body that is no program. Such a body leaves no trace in the catalogue. Null if there is nothing to object to.
 */
export function scriptRefusal(
  { compileScript, scriptDigests }: Pick<ServerContext, 'compileScript' | 'scriptDigests'>,
  entry: CommandEntry,
  argv: readonly Buffer[],
): ErrorReply | null {
  try {
    scriptKeyCount(argv);
  } catch (error) {
    if (error instanceof ReplyError) return error.reply;
    throw error;
  }
  const script = argv[1];
  if (script === undefined || (entry.bits & ENTRY.scriptDigest) !== 0) return null;
  return compileScript(scriptDigests.of(script), script);
}

/**
 * Loads or finds the script of a command that `scriptRefusal` lets pass; false if the cluster has none of this digest.
 * Rejects with ReplyError.
 */
export async function ensureScript(
  { cluster }: Pick<ServerContext, 'cluster'>,
  entry: CommandEntry,
  argv: readonly Buffer[],
): Promise<boolean> {
  const script = argv[1];
  if (script === undefined) return true;
  if ((entry.bits & ENTRY.scriptDigest) !== 0) {
    return (await cluster.scripts.find(script.toString('latin1').toLowerCase())) !== undefined;
  }
  await cluster.scripts.load(script);
  return true;
}

function sha1Hex(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('hex');
}
