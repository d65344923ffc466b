/**
 * Loopback ports for servers that are killed and started again on the same port. They lie below the range from which
 * the kernel serves outgoing connections, so that no client of the test can sit on a port while its server is down.
 */
import { createServer } from 'node:net';

const FIRST = 17_000;
const LAST = 31_999;
let next = FIRST + ((process.pid * 97) % (LAST - FIRST));

/** Ports that were free a moment ago; each is handed out once a process. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let attempts = 0; ports.length < count; attempts += 1) {
    if (attempts > 2_000) throw new Error(`found only ${ports.length} of ${count} free ports in ${FIRST}-${LAST}`);
    next = next >= LAST ? FIRST : next + 1;
    if (await isFree(next)) ports.push(next);
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
