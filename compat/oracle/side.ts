/** One of the two servers that are compared, with the connections of a stream. */
import { RespClient } from '../harness/client.ts';
import type { Deployment } from '../harness/deployment.ts';
import { type Frame, itemsOf, printable, textOf } from '../harness/resp.ts';
import { waitFor, within } from '../harness/wait.ts';
import type { ClientIndex } from './steps.ts';

const REPLY_TIMEOUT_MS = 15_000;

/** How many keys, in all databases, expire within a second, or have expired and are still counted (and perhaps drawn). */
const COUNT_EXPIRING = `local expiring = 0
for database = 0, 15 do
  redis.call('SELECT', database)
  local keys = redis.call('KEYS', '*')
  expiring = expiring + redis.call('DBSIZE') - #keys
  for _, key in ipairs(keys) do
    local left = redis.call('PTTL', key)
    if left >= 0 and left <= 1000 then expiring = expiring + 1 end
  end
end
return expiring`;

export interface SideOptions {
  readonly protocol: 2 | 3;
  /** Node of client 0; client 1 takes the next one. */
  readonly firstNode: number;
  /** A connection to every node for every client. */
  readonly rotates: boolean;
  /** No script may count keys. */
  readonly hasSeveralPartitions: boolean;
}

export class Side {
  readonly name: string;
  /** By client, then by node. */
  readonly #connections: readonly (readonly RespClient[])[];
  /** Apart from the streams: has no transaction, database or protocol of theirs. */
  readonly #control: RespClient;
  readonly #hasSeveralPartitions: boolean;
  #turn = 0;

  private constructor(
    name: string,
    { connections, control }: { connections: readonly (readonly RespClient[])[]; control: RespClient },
    hasSeveralPartitions: boolean,
  ) {
    this.#hasSeveralPartitions = hasSeveralPartitions;
    this.name = name;
    this.#connections = connections;
    this.#control = control;
  }

  static async open(deployment: Deployment, options: SideOptions): Promise<Side> {
    const { endpoints } = deployment;
    const connect = (endpoint: Deployment['endpoints'][number] | undefined, protocol: 2 | 3): Promise<RespClient> => {
      if (endpoint === undefined) throw new Error(`${deployment.name} has no nodes`);
      return RespClient.connect({ ...endpoint, protocol });
    };
    const connections = await Promise.all(
      [0, 1].map((client) => {
        const chosen = options.rotates ? endpoints : [endpoints[(options.firstNode + client) % endpoints.length]];
        return Promise.all(chosen.map((endpoint) => connect(endpoint, options.protocol)));
      }),
    );
    const control = await connect(endpoints[options.firstNode % endpoints.length], 2);
    return new Side(deployment.name, { connections, control }, options.hasSeveralPartitions);
  }

  /** Empty databases, empty script cache. */
  async clear(): Promise<void> {
    const connection = this.#connection(0);
    await within(`${this.name} FLUSHALL`, REPLY_TIMEOUT_MS, connection.must('FLUSHALL'));
    await within(`${this.name} SCRIPT FLUSH`, REPLY_TIMEOUT_MS, connection.must('SCRIPT', 'FLUSH'));
  }

  /** Until no key is about to expire, nor has expired and is still there. @throws NoReply */
  async settle(): Promise<void> {
    await this.#answer(
      ['EVAL'],
      waitFor({ what: `${this.name}: keys that expire`, timeoutMs: REPLY_TIMEOUT_MS, everyMs: 1 }, async () => {
        if (this.#hasSeveralPartitions) return (await this.#expiringKeys()) === 0;
        const reply = await this.#control.must('EVAL', COUNT_EXPIRING, '0');
        return reply.type === 'integer' && reply.text === '0';
      }),
    );
  }

  /** As COUNT_EXPIRING, one command after the other. */
  async #expiringKeys(): Promise<number> {
    let expiring = 0;
    for (let database = 0; database < 16; database++) {
      await this.#control.must('SELECT', String(database));
      const keys = itemsOf(await this.#control.must('KEYS', '*')).flatMap((item) =>
        item.type === 'bulk' ? [item.bytes] : [],
      );
      expiring += Number(textOf(await this.#control.must('DBSIZE'))) - keys.length;
      for (const key of keys) {
        const left = Number(textOf(await this.#control.must('PTTL', key)));
        if (left >= 0 && left <= 1_000) expiring += 1;
      }
    }
    return expiring;
  }

  async send(client: ClientIndex, args: readonly string[]): Promise<Frame> {
    return this.#answer(args, this.#connection(client).frame(bytesOf(args)));
  }

  /** All in one write, on one connection. */
  sendAll(client: ClientIndex, commands: readonly (readonly string[])[]): Promise<Frame[]> {
    return this.#answer(commands[0] ?? [], this.#connection(client).pipeline(commands.map(bytesOf)));
  }

  /** Keys of a whole iteration, sorted, or the error reply. A key may come twice by contract, so it counts once. */
  async scan(client: ClientIndex, args: readonly string[]): Promise<string> {
    const keys = new Set<string>();
    let cursor = '0';
    for (let calls = 0; calls < 10_000; calls += 1) {
      const { value } = await this.send(client, ['SCAN', cursor, ...args]);
      if (value.type === 'error') return `-${value.text}`;
      const [next, page] = itemsOf(value);
      if (next === undefined || page === undefined) return 'not a SCAN reply';
      for (const item of itemsOf(page)) keys.add(item.type === 'bulk' ? printable(item.bytes) : 'not a bulk string');
      cursor = textOf(next) ?? '0';
      if (cursor === '0') return [...keys].sort().join(' ');
    }
    return 'a cursor that never ends';
  }

  /** Pushes or replies that nobody asked for. */
  unsolicited(): string[] {
    return this.#connections
      .flat()
      .flatMap((connection) => connection.unsolicited.map((frame) => printable(frame.raw)));
  }

  close(): void {
    for (const connection of this.#connections.flat()) connection.close();
    this.#control.close();
  }

  #connection(client: ClientIndex): RespClient {
    const connections = this.#connections[client] ?? [];
    this.#turn += 1;
    const connection = connections[this.#turn % connections.length];
    if (connection === undefined) throw new Error('a side without connections');
    return connection;
  }

  async #answer<T>(args: readonly string[], reply: Promise<T>): Promise<T> {
    try {
      return await within('reply', REPLY_TIMEOUT_MS, reply);
    } catch (error) {
      throw new NoReply(`${this.name}, ${args[0] ?? ''}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

export class NoReply extends Error {
  override readonly name = 'NoReply';
}

function bytesOf(args: readonly string[]): Buffer[] {
  return args.map((arg) => Buffer.from(arg, 'latin1'));
}
