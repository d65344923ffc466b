/**
 * Fencing tokens, and how plain `SET key value NX PX ttl` gets one.
 *
 * Most lock libraries take a lock by SET with NX and an expiry. What they lack is a number that grows with each new holder,
 * by which the protected resource can refuse one that was paused and comes late. So whoever wins such a SET is given a token: the
 * record of a lock of the same name counts it, and `KAHUNA.LOCK TOKEN key` tells it.
 *
 * - Tokens of a name are one rising sequence, whether KAHUNA.LOCK or SET grants them, in whichever of the sixteen databases.
 * - A token that SET grants is the commit timestamp of that SET (or one more than the last, if that is greater). Timestamps
 *   rise for ever, so such a record may be forgotten without its tokens ever starting over. That matters because names are
 *   often used once (keys that make a request idempotent): the record goes TOKEN_KEPT_MS after the end of the last lease.
 * - A name that KAHUNA.LOCK has ever granted keeps its record for ever: its tokens count from 1.
 *
 * What remains: FENCE lets a late holder pass if its successor's lease has been over for longer than TOKEN_KEPT_MS; and a name that
 * is used in both ways, first by SET, then not at all for as long, then by KAHUNA.LOCK, starts again from 1.
 */
import { Lock } from '../values/lock.ts';
import { LOCK_SPACE } from '../values/value.ts';
import type { View } from './view.ts';

const HOUR_MS = 3_600_000;
/** How long the token of SET NX is remembered after the end of its lease. */
const TOKEN_KEPT_MS = 24 * HOUR_MS;

export function findLock(view: View, name: string): Lock | undefined {
  const value = view.find(LOCK_SPACE, name)?.value;
  return value instanceof Lock ? value : undefined;
}

/** The key `name` was set by NX with an expiry at `expiresAtMs` (partition time): a new token is granted. */
export function grantByKey(view: View, name: string, expiresAtMs: number): void {
  // No lock can be asked for by this name.
  if (name === '') return;
  const { countsLookups } = view;
  view.countsLookups = false;
  const found = view.peek(LOCK_SPACE, name);
  const lock = found?.value instanceof Lock ? found.value : undefined;
  const token = Math.max((lock?.highestToken ?? 0) + 1, view.timestamp);
  const isHeld = lock !== undefined && lock.owner !== null && lock.expiresAtMs > view.nowMs;
  const granted = isHeld
    ? new Lock({
        token: lock.token,
        highestToken: token,
        owner: lock.owner,
        expiresAtMs: lock.expiresAtMs,
        acquiredAt: lock.acquiredAt,
      })
    : new Lock({ token, owner: null, expiresAtMs: 0, acquiredAt: 0 });
  view.put(
    LOCK_SPACE,
    name,
    granted,
    found?.expiresAtMs === 0 ? 0 : keptUntil(view, found?.expiresAtMs ?? 0, expiresAtMs),
  );
  view.countsLookups = countsLookups;
}

function keptUntil(view: View, presentMs: number, expiresAtMs: number): number {
  const lastMs = Math.max(expiresAtMs, view.nowMs) + TOKEN_KEPT_MS;
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(presentMs, lastMs));
}
