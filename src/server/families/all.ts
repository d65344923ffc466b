/** Every session command. */
import type { CommandSpec } from '../../commands/define.ts';
import type { SessionCommand } from '../session-command.ts';
import { aclCommands } from './acl.ts';
import { clientCommands } from './client.ts';
import { clusterCommands } from './cluster.ts';
import { configCommands } from './config.ts';
import { connectionCommands } from './connection.ts';
import { diagnosticsCommands } from './diagnostics.ts';
import { infoCommands } from './info.ts';
import { introspectionCommands } from './introspection.ts';
import { kahunaAsofCommands } from './kahuna-asof.ts';
import { kahunaClusterCommands } from './kahuna-cluster.ts';
import { kahunaHoldsCommands } from './kahuna-holds.ts';
import { kahunaTxCommands } from './kahuna-tx.ts';
import { replicationCommands } from './replication.ts';
import { scriptingCommands } from './scripting.ts';
import { serverCommands } from './server.ts';
import { transactionCommands } from './transactions.ts';

/** Commands, and containers of commands (which cannot be run themselves). */
export const sessionCommands: readonly (SessionCommand | CommandSpec)[] = [
  ...aclCommands,
  ...clientCommands,
  ...clusterCommands,
  ...configCommands,
  ...connectionCommands,
  ...diagnosticsCommands,
  ...infoCommands,
  ...introspectionCommands,
  ...kahunaAsofCommands,
  ...kahunaClusterCommands,
  ...kahunaHoldsCommands,
  ...kahunaTxCommands,
  ...replicationCommands,
  ...scriptingCommands,
  ...serverCommands,
  ...transactionCommands,
];
