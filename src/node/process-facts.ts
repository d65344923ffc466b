/** What INFO tells about this process, from the operating system. */
import { randomBytes } from 'node:crypto';
import { machine, release, totalmem, type } from 'node:os';
import type { ProcessFacts } from '../server/facts.ts';

export function readProcessFacts(): ProcessFacts {
  return {
    pid: process.pid,
    os: `${type()} ${release()} ${machine()}`,
    archBits: 64,
    executable: process.argv[1] ?? process.execPath,
    runtimeVersion: process.version,
    runId: randomBytes(20).toString('hex'),
    totalMemoryBytes: totalmem(),
    memory: () => {
      const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
      return { residentBytes: rss, heapUsedBytes: heapUsed, heapTotalBytes: heapTotal, externalBytes: external };
    },
    cpu: () => {
      const { user, system } = process.cpuUsage();
      return { userSeconds: user / 1e6, systemSeconds: system / 1e6 };
    },
  };
}
