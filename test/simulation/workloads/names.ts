/** The workloads that there are. */
export const WORKLOADS = [
  'counter',
  'register',
  'lock',
  'sequence',
  'expiry',
  'transaction',
  'scan',
  'longString',
  'script',
  'append',
  'catalog',
  'fence',
  'flush',
  'set',
  'wait',
  'watch',
  'past',
  'pair',
] as const;
export type WorkloadName = (typeof WORKLOADS)[number];
