/** What INFO tells about the process; `node/` reads it from the operating system, tests make it up. */

export interface ProcessFacts {
  readonly pid: number;
  /** As `uname -srm` prints it. */
  readonly os: string;
  readonly archBits: number;
  readonly executable: string;
  readonly runtimeVersion: string;
  /** 40 hex digits, different at each start. */
  readonly runId: string;
  readonly totalMemoryBytes: number;
  memory(): ProcessMemory;
  cpu(): ProcessCpu;
}

export interface ProcessMemory {
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  readonly heapTotalBytes: number;
  /** Buffers and other memory outside the JavaScript heap. */
  readonly externalBytes: number;
}

export interface ProcessCpu {
  readonly userSeconds: number;
  readonly systemSeconds: number;
}

/** For tests and simulations: a process of which nothing is known. */
export const unknownProcess: ProcessFacts = {
  pid: 0,
  os: 'unknown',
  archBits: 64,
  executable: '',
  runtimeVersion: '',
  runId: '0'.repeat(40),
  totalMemoryBytes: 0,
  memory: () => ({ residentBytes: 0, heapUsedBytes: 0, heapTotalBytes: 0, externalBytes: 0 }),
  cpu: () => ({ userSeconds: 0, systemSeconds: 0 }),
};
