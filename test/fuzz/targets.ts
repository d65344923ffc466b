/** Every door through which foreign bytes come in. */
import type { FuzzTarget } from './target.ts';
import { clientTargets } from './targets/clients.ts';
import { logTargets } from './targets/log.ts';
import { linkTargets } from './targets/links.ts';
import { momentTargets } from './targets/moments.ts';
import { peerTargets } from './targets/peers.ts';
import { recordTargets } from './targets/records.ts';
import { startTargets } from './targets/starting.ts';
import { streamTargets } from './targets/streams.ts';
import { transactionTargets } from './targets/transactions.ts';

export const targets: readonly FuzzTarget[] = [
  ...streamTargets,
  ...clientTargets,
  ...peerTargets,
  ...linkTargets,
  ...transactionTargets,
  ...momentTargets,
  ...recordTargets,
  ...logTargets,
  ...startTargets,
];
