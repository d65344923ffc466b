import { createClient, createCluster } from 'redis';

import { runNodeRedis } from '../programs/node-redis.mjs';

await runNodeRedis({ createClient, createCluster, scanPages: true });
