/** The node's memory, as INFO, MEMORY STATS and the metrics show it. */
import { residentBytesMax } from '../config/settings.ts';
import type { ServerContext } from './context.ts';

/** Bytes, unless it says keys. */
export interface MemoryReport {
  /** What the JavaScript heap and its buffers use. */
  readonly usedBytes: number;
  readonly heapBytes: number;
  /** Resident set of the process. */
  readonly processBytes: number;
  readonly peakBytes: number;
  readonly startupBytes: number;
  /** Values resident in memory, of all replicas on this node. */
  readonly residentBytes: number;
  readonly residentKeys: number;
  readonly maxBytes: number;
  /** Log kept for followers. */
  readonly logBytes: number;
  /** Input and output buffers of clients. */
  readonly clientBytes: number;
}

export function memoryReport(context: ServerContext): MemoryReport {
  const memory = context.facts.memory();
  const usedBytes = memory.heapUsedBytes + memory.externalBytes;
  context.memoryMarks.see(usedBytes);
  const report = { residentBytes: 0, residentKeys: 0, logBytes: 0, clientBytes: 0 };
  for (const replica of context.cluster.replicaStatus()) {
    report.residentBytes += replica.residentBytes;
    report.residentKeys += replica.residentKeys;
    report.logBytes += replica.logBytes;
  }
  for (const session of context.clients.all()) report.clientBytes += session.inputBytes + session.outputBytes;
  return {
    ...report,
    usedBytes,
    heapBytes: memory.heapTotalBytes,
    processBytes: memory.residentBytes,
    peakBytes: context.memoryMarks.peakBytes,
    startupBytes: context.memoryMarks.startupBytes,
    maxBytes: residentBytesMax(context.settings.values),
  };
}

/** Remembers the memory at the start and the highest that was seen; looked at by the housekeeping and by reports. */
export class MemoryMarks {
  startupBytes = 0;
  peakBytes = 0;

  see(usedBytes: number): void {
    if (this.startupBytes === 0) this.startupBytes = usedBytes;
    if (usedBytes > this.peakBytes) this.peakBytes = usedBytes;
  }
}
