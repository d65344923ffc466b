/** All faults by name. */
import { CLOCK_FAULTS } from './clocks.ts';
import { DISK_FAULTS } from './disks.ts';
import type { FaultRow } from './fault.ts';
import { NETWORK_FAULTS } from './network.ts';
import { PROCESS_FAULTS } from './processes.ts';

export const FAULTS: readonly FaultRow[] = [...PROCESS_FAULTS, ...NETWORK_FAULTS, ...DISK_FAULTS, ...CLOCK_FAULTS];

/** @throws if there is none of that name */
export function faultNamed(name: string): FaultRow {
  const row = FAULTS.find((candidate) => candidate.name === name);
  if (row === undefined)
    throw new Error(`no fault is named ${name}; there are ${FAULTS.map((fault) => fault.name).join(', ')}`);
  return row;
}
