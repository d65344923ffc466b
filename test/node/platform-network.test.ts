/** The contract of Network on real sockets, and what only they have: time-outs that nobody answers. */
import assert from 'node:assert/strict';
import { nodeNetwork } from '../../src/node/platform-network.ts';
import { networkContract } from '../contracts/network.ts';

const BOUND_MS = 5_000;

/** Rounds of the event loop until the condition holds. */
async function until(condition: () => boolean): Promise<void> {
  for (const startedMs = performance.now(); !condition(); ) {
    if (performance.now() - startedMs > BOUND_MS) throw new Error(`the condition did not hold within ${BOUND_MS} ms`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function rounds(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** tcpmux: nobody has it. */
const FREE_PORT = 1;

networkContract('the real one', () => ({
  server: nodeNetwork,
  client: nodeNetwork,
  host: '127.0.0.1',
  freePort: FREE_PORT,
  until,
  settled: (promise) => promise,
  quiet: rounds,
}));

describe('platform-network', () => {
  it('gives up a connection that nobody accepts within its time', async () => {
    // TEST-NET-1 (RFC 5737): nobody is there. Where there is no route at all, that is said at once.
    const connecting = nodeNetwork.connect({ host: '192.0.2.1', port: 9, timeoutMs: 50 });
    await assert.rejects(
      connecting,
      /no connection to 192\.0\.2\.1:9 within 50 ms|ENETUNREACH|EHOSTUNREACH|ECONNREFUSED/,
    );
  });

  it('refuses a host that is no name', async () => {
    await assert.rejects(nodeNetwork.listen({ host: 'no such host.invalid', port: 0 }, () => undefined));
  });
});
