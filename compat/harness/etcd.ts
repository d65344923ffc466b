/** Three etcd nodes, the yardstick for a replicated log with fsync on every member. */
import { join } from 'node:path';

import { ServerProcess, removeFolder, temporaryFolder } from './process.ts';
import { freePorts } from './ports.ts';
import { waitFor } from './wait.ts';

export interface EtcdCluster {
  readonly clientUrls: readonly string[];
  stop(): Promise<void>;
}

export async function startEtcd(binary: string, nodeCount = 3): Promise<EtcdCluster> {
  const folder = temporaryFolder('etcd');
  const ports = await freePorts(nodeCount * 2);
  const members = Array.from({ length: nodeCount }, (_, index) => ({
    name: `e${index + 1}`,
    clientUrl: `http://127.0.0.1:${ports[index * 2] ?? 0}`,
    peerUrl: `http://127.0.0.1:${ports[index * 2 + 1] ?? 0}`,
  }));
  const initialCluster = members.map((member) => `${member.name}=${member.peerUrl}`).join(',');
  const servers = members.map((member) =>
    ServerProcess.start({
      name: member.name,
      command: binary,
      args: [
        ...['--name', member.name, '--data-dir', join(folder, member.name), '--initial-cluster', initialCluster],
        ...['--initial-cluster-state', 'new', '--listen-client-urls', member.clientUrl],
        ...['--advertise-client-urls', member.clientUrl, '--listen-peer-urls', member.peerUrl],
        ...['--initial-advertise-peer-urls', member.peerUrl],
      ],
      logFile: join(folder, `${member.name}.log`),
    }),
  );
  for (const [index, member] of members.entries()) {
    await waitFor({ what: `etcd ${member.name} healthy`, timeoutMs: 20_000, everyMs: 50 }, async () => {
      if (servers[index]?.isRunning !== true) throw new Error(servers[index]?.logTail());
      const response = await fetch(`${member.clientUrl}/health`);
      return response.ok && (await response.text()).includes('true');
    });
  }
  return {
    clientUrls: members.map((member) => member.clientUrl),
    async stop() {
      await Promise.all(servers.map((server) => server.kill()));
      removeFolder(folder);
    },
  };
}
