/** Mistakes in the comparison of replicas. */
import { ScrubParticipant } from '../../../src/cluster/scrub-participant.ts';
import { Applier } from '../../../src/partition/applier.ts';
import { Replica } from '../../../src/partition/replica.ts';
import { aimed, counting, type PlantedBug } from './bug.ts';
import { all, method } from './patch.ts';

const quick = { ...counting, scrubIntervalMs: 200 };

export const SCRUB_BUGS: readonly PlantedBug[] = [
  {
    name: 'replicas are compared at whatever each has applied',
    plant: () =>
      method(Applier.prototype, 'stopAt', () => {
        return (_, reached) => {
          reached(true);
        };
      }),
    options: aimed({ ...quick, faults: [] }),
    firstSeed: 1,
  },
  {
    name: 'a replica that differs from most is not rebuilt',
    plant: () =>
      all(
        method(ScrubParticipant.prototype, 'condemned', () => () => undefined),
        method(Replica.prototype, 'quarantine', (quarantine) => {
          return function (this: Replica, reason) {
            if (!reason.startsWith('its data differs')) quarantine.call(this, reason);
          };
        }),
      ),
    options: aimed({ ...quick, faults: ['strayRecord'] }),
    firstSeed: 1,
  },
];
