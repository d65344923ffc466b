/** Servers that a test talks to, whatever they are: started by the harness, or already running somewhere. */
import { RespClient } from './client.ts';
import { describeEnd, type ServerProcess } from './process.ts';
import type { Argument } from './resp.ts';
import { waitFor } from './wait.ts';

export interface Endpoint {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export interface Deployment {
  /** 'redis', 'kahuna-1', 'kahuna-3', 'kahuna-3x8' (three nodes, eight partitions) or what the caller named it. */
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
  /**
   * Starts again what has ended by itself, and waits until all is ready. Returns the last words of what had ended; empty
   * if all was running, or if the harness did not start these servers.
   */
  revive(): Promise<string>;
  stop(): Promise<void>;
}

/** Servers that run already, given as `host:port,host:port`. */
export function attach(name: string, addresses: string): Deployment {
  const endpoints = addresses.split(',').map((address, index): Endpoint => {
    const colon = address.lastIndexOf(':');
    const port = Number(address.slice(colon + 1));
    if (colon < 1 || !Number.isInteger(port)) throw new Error(`not host:port: ${address}`);
    return { name: `${name}#${index + 1}`, host: address.slice(0, colon), port };
  });
  return { name, endpoints, revive: () => Promise.resolve(''), stop: () => Promise.resolve() };
}

export interface ReadyOptions {
  readonly timeoutMs: number;
  /** What a ready server answers without an error; default `PING`. */
  readonly probe?: readonly Argument[];
  /** Watched while waiting: a server that has ended will never be ready. */
  readonly process?: ServerProcess;
}

/** Until the server answers the probe without an error. @throws with the end of its log if it ends or stays silent. */
export async function untilReady(endpoint: Endpoint, options: ReadyOptions): Promise<void> {
  const probe = options.probe ?? ['PING'];
  let lastAnswer = 'no answer';
  try {
    await waitFor(
      { what: `${endpoint.name} ready on ${endpoint.port}`, timeoutMs: options.timeoutMs, everyMs: 10 },
      async () => {
        const end = options.process?.end ?? null;
        lastAnswer = end === null ? await answerOf(endpoint, probe) : `ended with ${describeEnd(end)}`;
        return lastAnswer === 'ok' || end !== null;
      },
    );
    if (lastAnswer !== 'ok') throw new Error(lastAnswer);
  } catch (error) {
    const log = options.process === undefined ? '' : `\n${options.process.logTail()}`;
    throw new Error(`${endpoint.name} did not become ready (${lastAnswer})${log}`, { cause: error });
  }
}

async function answerOf(endpoint: Endpoint, probe: readonly Argument[]): Promise<string> {
  let client: RespClient | null = null;
  try {
    client = await RespClient.connect({ ...endpoint, connectTimeoutMs: 500, callTimeoutMs: 2_000 });
    const outcome = await client.outcome(...probe);
    return outcome.class === 'ok' ? 'ok' : outcome.reason;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    client?.close();
  }
}
