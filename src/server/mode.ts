/** How the node presents itself to clients that ask: INFO redis_mode, HELLO mode, cluster_enabled. */
import type { ServerContext } from './context.ts';

/** `cluster-enabled`: clients that look ask for MOVED-style routing then; CLUSTER commands work either way. */
export function isClusterMode(context: Pick<ServerContext, 'settings'>): boolean {
  return context.settings.values['cluster-enabled'];
}
