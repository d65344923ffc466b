/**
 * What a client may conclude from what it saw. Everything that a test of faults proves rests on these three classes: a wrong
 * class invents violations or hides them.
 *
 * | seen                                                                          | class   |
 * |-------------------------------------------------------------------------------|---------|
 * | a normal reply                                                                | ok      |
 * | no connection; an error reply, other than the next row                        | failed  |
 * | `-UNCERTAIN`; the connection ended or the client gave up after the first byte | unknown |
 *
 * `failed` is a claim: nothing was applied, nor ever will be. Callers check it.
 */
import type { RespValue } from './resp.ts';

export type Outcome =
  | { readonly class: 'ok'; readonly value: RespValue }
  | { readonly class: 'failed'; readonly reason: string; readonly seen: 'error-reply' | 'no-connection' }
  | { readonly class: 'unknown'; readonly reason: string };

/** Error replies after which the outcome is open. */
const UNKNOWN_PREFIXES: readonly string[] = ['UNCERTAIN'];

export function outcomeOfReply(value: RespValue): Outcome {
  const text = value.type === 'error' ? value.text : value.type === 'blob-error' ? value.bytes.toString('utf8') : null;
  if (text === null) return { class: 'ok', value };
  const prefix = text.split(' ', 1)[0] ?? '';
  if (UNKNOWN_PREFIXES.includes(prefix)) return { class: 'unknown', reason: text };
  return { class: 'failed', reason: text, seen: 'error-reply' };
}
