import { Cluster, Redis } from 'ioredis';

import { runIoredis } from '../programs/ioredis.mjs';

await runIoredis({ Redis, Cluster });
