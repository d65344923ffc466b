/** What every network promises. Run it with `networkContract` from a test file. */
import assert from 'node:assert/strict';
import type { Connection, ConnectionHandler, Listener, Network } from '../../src/base/platform.ts';

export interface NetworkEnvironment {
  readonly server: Network;
  readonly client: Network;
  /** What the server listens on, and the client connects to. */
  readonly host: string;
  /** A port that nobody listens on. */
  readonly freePort: number;
  /** Lets things happen until the condition holds; throws past a bound. */
  until(condition: () => boolean): Promise<void>;
  /** What `promise` becomes, when what it needs has happened. */
  settled<T>(promise: Promise<T>): Promise<T>;
  /** Lets everything happen that is under way. */
  quiet(): Promise<void>;
}

class End {
  readonly connection: Connection;
  readonly received: Buffer[] = [];
  drains = 0;
  ends = 0;
  readonly closed: string[] = [];

  /** `keepsOpen`: when the other side says that it sends no more, this one goes on until it ends. */
  constructor(connection: Connection, keepsOpen = false) {
    this.connection = connection;
    const handler: ConnectionHandler = {
      // A chunk is the network's again after the call.
      onData: (chunk) => this.received.push(Buffer.from(chunk)),
      onDrain: () => {
        this.drains++;
      },
      onClose: (error) => this.closed.push(error?.message ?? 'clean'),
    };
    const onEnd = (): void => {
      this.ends++;
    };
    connection.attach(keepsOpen ? { ...handler, onEnd } : handler);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }
}

export function networkContract(name: string, createEnvironment: () => NetworkEnvironment): void {
  describe(`Network: ${name}`, () => {
    let environment: NetworkEnvironment;
    let listener: Listener | null = null;
    const ends: End[] = [];

    beforeEach(() => {
      environment = createEnvironment();
    });
    afterEach(async () => {
      for (const end of ends.splice(0)) end.connection.destroy();
      if (listener !== null) await environment.settled(listener.close());
      listener = null;
    });

    async function pair(options: { readonly keepsOpen?: boolean } = {}): Promise<{ client: End; server: End }> {
      const { host, server, client, until, settled } = environment;
      const accepted: End[] = [];
      listener ??= await settled(
        server.listen({ host, port: 0 }, (connection) => accepted.push(new End(connection, options.keepsOpen))),
      );
      const { port } = listener;
      const near = new End(await settled(client.connect({ host, port, timeoutMs: 5_000 })), options.keepsOpen);
      await until(() => accepted.length > 0);
      const [far] = accepted;
      assert.ok(far !== undefined);
      ends.push(near, far);
      return { client: near, server: far };
    }

    it('carries bytes both ways, in order, whatever they are written in', async () => {
      const { client, server } = await pair();
      const sent = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251));
      for (let at = 0; at < sent.length; at += 7_777) client.connection.write(sent.subarray(at, at + 7_777));
      server.connection.write(Buffer.from('back'));
      await environment.until(() => server.bytes.length === sent.length && client.bytes.length === 4);
      assert.ok(server.bytes.equals(sent));
      assert.equal(client.bytes.toString(), 'back');
    });

    it('names both ends alike on both sides', async () => {
      const { client, server } = await pair();
      assert.equal(client.connection.remoteAddress, server.connection.localAddress);
      assert.equal(client.connection.localAddress, server.connection.remoteAddress);
    });

    it('keeps what is corked until it is uncorked', async () => {
      const { client, server } = await pair();
      client.connection.cork();
      client.connection.write(Buffer.from('a'));
      client.connection.write(Buffer.from('b'));
      await environment.quiet();
      assert.equal(server.bytes.length, 0);
      client.connection.uncork();
      await environment.until(() => server.bytes.toString() === 'ab');
    });

    it('counts what a paused reader does not take, and says when it is all gone', async () => {
      const { client, server } = await pair();
      server.connection.pause();
      const chunk = Buffer.alloc(256 * 1024, 1);
      let written = 0;
      while (client.connection.bufferedBytes < 4 * chunk.length) {
        client.connection.write(chunk);
        written += chunk.length;
        await environment.quiet();
        assert.ok(written < 1024 * 1024 * 1024, 'the other side takes it all');
      }
      assert.equal(client.drains, 0);
      server.connection.resume();
      await environment.until(() => server.received.reduce((sum, { length }) => sum + length, 0) === written);
      await environment.until(() => client.drains > 0);
      assert.equal(client.connection.bufferedBytes, 0);
    });

    it('delivers what was written before the end, then tells the other side, which ends too', async () => {
      const { client, server } = await pair();
      client.connection.write(Buffer.from('last words'));
      client.connection.end();
      await environment.until(() => client.closed.length > 0 && server.closed.length > 0);
      assert.equal(server.bytes.toString(), 'last words');
      assert.deepEqual([client.closed, server.closed], [['clean'], ['clean']]);
    });

    it('lets a side that wants to go on answer after the other one has said its last', async () => {
      const { client, server } = await pair({ keepsOpen: true });
      client.connection.write(Buffer.from('question'));
      client.connection.end();
      await environment.until(() => server.ends === 1);
      assert.deepEqual(server.closed, []);
      server.connection.write(Buffer.from('answer'));
      server.connection.end();
      await environment.until(() => client.closed.length > 0 && server.closed.length > 0);
      assert.equal(client.bytes.toString(), 'answer');
    });

    it('tells both sides once when one destroys the connection, and takes nothing afterwards', async () => {
      const { client, server } = await pair();
      client.connection.destroy();
      await environment.until(() => client.closed.length > 0 && server.closed.length > 0);
      client.connection.write(Buffer.from('x'));
      client.connection.end();
      client.connection.destroy();
      await environment.quiet();
      assert.deepEqual([client.closed.length, server.closed.length], [1, 1]);
      assert.equal(server.bytes.length, 0);
    });

    it('refuses a connection to a port that nobody listens on', async () => {
      const { client, host, freePort, settled } = environment;
      await assert.rejects(settled(client.connect({ host, port: freePort, timeoutMs: 5_000 })), /ECONNREFUSED/);
    });

    it('refuses to listen twice on one port, and to be reached once it is closed', async () => {
      const { client, server, host, settled } = environment;
      await pair();
      assert.ok(listener !== null && listener.port > 0);
      const { port } = listener;
      await assert.rejects(settled(server.listen({ host, port }, () => undefined)), /EADDRINUSE/);
      for (const end of ends.splice(0)) end.connection.destroy();
      await settled(listener.close());
      listener = null;
      await assert.rejects(settled(client.connect({ host, port, timeoutMs: 5_000 })), /ECONNREFUSED/);
    });
  });
}
