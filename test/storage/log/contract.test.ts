/** The contract of RaftLog, on the double and on the real disk. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeDisk } from '../../../src/node/platform-disk.ts';
import { raftLogContract } from '../../contracts/raft-log.ts';
import { MemoryDisk } from '../../doubles/memory-disk.ts';
import { SeededRandom } from '../../doubles/seeded-random.ts';

raftLogContract('the memory disk', () =>
  Promise.resolve({
    disk: new MemoryDisk({ random: new SeededRandom(1) }),
    directory: 'log',
    cleanUp: () => Promise.resolve(),
  }),
);

raftLogContract('the real disk', async () => {
  const root = await mkdtemp(join(tmpdir(), 'kahuna-log-'));
  return {
    disk: nodeDisk,
    directory: join(root, 'data', 'log'),
    cleanUp: () => rm(root, { recursive: true, force: true }),
  };
});
