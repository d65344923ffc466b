/** All faults. A seed draws from this table; a row more is one more fault. */
import { DISK_FAULTS } from './disks.ts';
import type { Fault } from './fault.ts';
import { NETWORK_FAULTS } from './network.ts';
import { POINT_FAULTS } from './points.ts';
import { PROCESS_FAULTS } from './processes.ts';

const ROWS = [...NETWORK_FAULTS, ...PROCESS_FAULTS, ...DISK_FAULTS, ...POINT_FAULTS] as const;
export type FaultName = (typeof ROWS)[number]['name'];
export const FAULTS: readonly Fault<FaultName>[] = ROWS;

const BY_NAME: ReadonlyMap<string, Fault<FaultName>> = new Map(FAULTS.map((fault) => [fault.name, fault]));

export function faultNamed(name: string): Fault<FaultName> {
  const fault = BY_NAME.get(name);
  if (fault === undefined) throw new Error(`no fault is called ${name}`);
  return fault;
}
