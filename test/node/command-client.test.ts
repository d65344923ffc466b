/** Proves the client on a server of a few lines, that answers what the test says. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { KahunaError } from '../../src/base/errors.ts';
import { CommandClient } from '../../src/node/command-client.ts';
import { PushReply, type Reply, Status } from '../../src/resp/reply.ts';

describe('the command client', () => {
  let server: Server;
  let peer: Promise<Socket>;
  let unsolicited: Reply[] = [];

  async function connect(): Promise<CommandClient> {
    server = createServer();
    peer = once(server, 'connection').then(([socket]) => socket as Socket);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    unsolicited = [];
    return CommandClient.connect({
      host: '127.0.0.1',
      port: (server.address() as AddressInfo).port,
      connectTimeoutMs: 5_000,
      onUnsolicited: (reply) => unsolicited.push(reply),
    });
  }

  afterEach(() => server.close());

  it('sends words as bytes, and gives replies to their commands in order, pushes to nobody', async () => {
    const client = await connect();
    const socket = await peer;
    const replies = Promise.all([client.call(['GET', '\xff']), client.call(['PING'])]);
    const sent: Buffer[] = [];
    while (Buffer.concat(sent).length < 34) sent.push(...((await once(socket, 'data')) as Buffer[]));
    assert.equal(Buffer.concat(sent).toString('latin1'), '*2\r\n$3\r\nGET\r\n$1\r\n\xff\r\n*1\r\n$4\r\nPING\r\n');
    socket.write('$2\r\nab\r\n>1\r\n+x\r\n+PONG\r\n');
    assert.deepEqual(await replies, ['ab', new Status('PONG')]);
    assert.deepEqual(unsolicited, [new PushReply([new Status('x')])]);
    client.close();
  });

  it('what waits when the connection ends fails, and so does what comes after', async () => {
    const client = await connect();
    const socket = await peer;
    const reply = client.call(['PING']);
    socket.end();
    await assert.rejects(reply, isConnectionError);
    await assert.rejects(client.call(['PING']), isConnectionError);
    assert.equal(client.isClosed, true);
  });

  it('a server that does not speak the protocol ends the connection, not the program', async () => {
    const client = await connect();
    const socket = await peer;
    const reply = client.call(['PING']);
    socket.write('HTTP/1.1 400 Bad Request\r\n');
    await assert.rejects(reply, (error: Error) => isConnectionError(error) && error.message.includes('no reply'));
  });
});

function isConnectionError(error: unknown): boolean {
  return error instanceof KahunaError && error.code === 'CONNECTION';
}
