/** Every door through which foreign bytes come in. */
import type { FuzzTarget } from './target.ts';
import { peerTargets } from './targets/peers.ts';
import { recordTargets } from './targets/records.ts';

export const targets: readonly FuzzTarget[] = [...peerTargets, ...recordTargets];
