/** One client as CLIENT LIST and CLIENT INFO show it (networking.c catClientInfoString, 7.2). */
import { DEFAULT_USER } from './credentials.ts';
import type { Session } from './session.ts';

/** Without the line end. Fields that have no counterpart here hold what an idle Redis shows. */
export function describeClient(session: Session): string {
  const nowMs = session.context.platform.clock.monotonicMs();
  const { connection, transaction } = session;
  const memoryBytes = session.inputBytes + session.outputBytes + (transaction?.bytes ?? 0);
  const fields: readonly (readonly [string, string | number])[] = [
    ['id', session.id],
    ['addr', connection.remoteAddress],
    ['laddr', connection.localAddress],
    ['fd', session.id],
    ['name', session.name],
    ['age', seconds(nowMs - session.connectedAtMs)],
    ['idle', seconds(nowMs - session.lastActiveMs)],
    ['flags', flagsOf(session)],
    ['db', session.database],
    ['sub', 0],
    ['psub', 0],
    ['ssub', 0],
    ['multi', transaction === null ? -1 : transaction.queued.length],
    ['qbuf', session.inputBytes],
    ['qbuf-free', 0],
    ['argv-mem', 0],
    ['multi-mem', transaction?.bytes ?? 0],
    ['rbs', 0],
    ['rbp', 0],
    ['obl', 0],
    ['oll', session.pendingCount],
    ['omem', session.outputBytes],
    ['tot-mem', memoryBytes],
    ['events', 'r'],
    ['cmd', session.lastEntry?.fullName ?? 'NULL'],
    ['user', DEFAULT_USER],
    ['redir', -1],
    ['resp', session.protocol],
    ['lib-name', session.libraryName],
    ['lib-ver', session.libraryVersion],
  ];
  return fields.map(([name, value]) => `${name}=${value}`).join(' ');
}

function flagsOf(session: Session): string {
  let flags = '';
  if (session.isMonitor) flags += 'O';
  if (session.transaction !== null) flags += 'x';
  if (session.blockedWork !== null) flags += 'b';
  if (session.isReadOnly) flags += 'r';
  if (session.isNoEvict) flags += 'e';
  if (session.isNoTouch) flags += 'T';
  return flags === '' ? 'N' : flags;
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}
