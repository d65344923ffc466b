/** What etcd says of itself: `etcdctl check perf --load=l` against three nodes on this machine. It runs for a minute. */
import { startEtcd } from '../harness/etcd.ts';
import { findToolOrSay } from '../harness/tools.ts';
import { spawnSync } from 'node:child_process';

export interface EtcdRate {
  readonly writesPerSecond: number;
  /** What it printed, without the progress bar. */
  readonly report: string;
}

/** Null if etcd is not installed. */
export async function measureEtcd(): Promise<EtcdRate | null> {
  const server = findToolOrSay('etcd', 'the comparison with etcd');
  const client = findToolOrSay('etcdctl', 'the comparison with etcd');
  if (server === null || client === null) return null;
  const cluster = await startEtcd(server);
  try {
    const endpoints = cluster.clientUrls.join(',');
    // A failed check ends with code 1 and still reports the rate, which is all that counts here.
    const result = spawnSync(client, [`--endpoints=${endpoints}`, 'check', 'perf', '--load=l'], {
      encoding: 'utf8',
      env: { ...process.env, ETCDCTL_API: '3' },
      timeout: 180_000,
    });
    const report = `${result.stdout}\n${result.stderr}`
      .split(/[\r\n]+/)
      .filter((line) => /PASS|FAIL/.test(line))
      .join('; ');
    const rate = /(\d+(?:\.\d+)?) writes\/s/.exec(report)?.[1];
    if (rate === undefined) throw new Error(`etcdctl check perf printed ${result.stdout}${result.stderr}`);
    return { writesPerSecond: Number(rate), report };
  } finally {
    await cluster.stop();
  }
}
