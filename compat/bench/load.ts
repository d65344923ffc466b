/** redis-benchmark as the load generator: the same program, written in C, against every server. */
import { spawn } from 'node:child_process';

import { RespClient } from '../harness/client.ts';
import type { Endpoint } from '../harness/deployment.ts';

export type Operation = 'SET' | 'GET' | 'INCR' | 'EVALSHA';

export interface Load {
  readonly operation: Operation;
  readonly clients: number;
  readonly pipeline: number;
}

export interface Rate {
  /** Requests a second. */
  readonly rps: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly requests: number;
  /** EVALSHA only: the share of calls that found their key and deleted it. */
  readonly hitShare: number | null;
}

export const KEY_COUNT = 100_000;
export const VALUE_SIZE = 64;
const REQUESTS_MAX = 4_000_000;

/** The release of a lock, as every lock library sends it. */
const COMPARE_AND_DELETE =
  "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";

/** Remembers how fast each server took each load, so that later rounds need no calibration. */
export class LoadGenerator {
  readonly #binary: string;
  readonly #seconds: number;
  readonly #lastRate = new Map<string, number>();
  /** Over all runs, calibration included. */
  requestsSent = 0;

  constructor(binary: string, seconds: number) {
    this.#binary = binary;
    this.#seconds = seconds;
  }

  /** One measurement of about the chosen length. */
  async measure(endpoint: Endpoint, load: Load): Promise<Rate> {
    const id = `${endpoint.port} ${load.operation} ${load.clients} ${load.pipeline}`;
    const inFlight = load.clients * load.pipeline;
    let expected = this.#lastRate.get(id);
    if (expected === undefined) {
      expected = (await this.#run(endpoint, load, Math.max(2_000, inFlight * 4))).rps;
      expected = (await this.#run(endpoint, load, clamp(expected * 0.5, inFlight * 4))).rps;
    }
    const rate = await this.#run(endpoint, load, clamp(expected * this.#seconds, inFlight * 10));
    this.#lastRate.set(id, rate.rps);
    return rate;
  }

  async #run(endpoint: Endpoint, load: Load, requests: number): Promise<Rate> {
    this.requestsSent += requests;
    const args = [
      '-h',
      endpoint.host,
      '-p',
      String(endpoint.port),
      '-c',
      String(load.clients),
      '-P',
      String(load.pipeline),
    ];
    args.push('-n', String(requests), '--csv');
    if (load.operation !== 'EVALSHA') {
      args.push('-t', load.operation.toLowerCase(), '-r', String(KEY_COUNT), '-d', String(VALUE_SIZE));
      return parseCsv(await output(this.#binary, args), requests, null);
    }
    const locks = await fillLocks(endpoint, requests);
    args.push('-r', String(requests), 'EVALSHA', locks.sha, '1', 'lock:__rand_int__', 'owner');
    const csv = await output(this.#binary, args);
    const left = await countKeys(endpoint);
    await clear(endpoint);
    return parseCsv(csv, requests, (locks.count - left) / requests);
  }
}

function clamp(requests: number, min: number): number {
  return Math.round(Math.min(REQUESTS_MAX, Math.max(min, requests)));
}

function parseCsv(csv: string, requests: number, hitShare: number | null): Rate {
  const cells = (csv.trim().split('\n').at(-1) ?? '').split('","').map((cell) => Number(cell.replaceAll('"', '')));
  const [, rps, , , p50Ms, , p99Ms] = cells;
  if (rps === undefined || !(rps > 0) || p50Ms === undefined || p99Ms === undefined) {
    throw new Error(`redis-benchmark printed ${JSON.stringify(csv.slice(0, 500))}`);
  }
  return { rps, p50Ms, p99Ms, requests, hitShare };
}

/** What a program prints. @throws with its errors if it fails, or prints any. */
export function output(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('latin1')));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString('latin1')));
    child.once('error', reject);
    child.once('close', (code) => {
      const isError = code !== 0 || /^(Error|-?ERR)/m.test(err);
      if (isError)
        reject(
          new Error(`${command} ${args.join(' ')}: code ${String(code)}: ${err.slice(0, 500)}${out.slice(0, 300)}`),
        );
      else resolve(out);
    });
  });
}

/** Every key that GET will ask for, as redis-benchmark names them. */
export async function fillKeys(endpoint: Endpoint): Promise<void> {
  const value = 'x'.repeat(VALUE_SIZE);
  await fill(endpoint, KEY_COUNT, (index) => ['SET', `key:${String(index).padStart(12, '0')}`, value]);
}

async function fillLocks(endpoint: Endpoint, count: number): Promise<{ readonly sha: string; readonly count: number }> {
  await clear(endpoint);
  const client = await RespClient.connect(endpoint);
  const loaded = await client.must('SCRIPT', 'LOAD', COMPARE_AND_DELETE);
  client.close();
  if (loaded.type !== 'bulk') throw new Error('SCRIPT LOAD did not answer with a digest');
  await fill(endpoint, count, (index) => ['SET', `lock:${String(index).padStart(12, '0')}`, 'owner']);
  return { sha: loaded.bytes.toString(), count };
}

/** `count` requests in pipelines, over a few connections at once. @throws on any error reply */
export async function fill(
  endpoint: Endpoint,
  count: number,
  request: (index: number) => readonly string[],
): Promise<void> {
  const pipelineLength = 500;
  let next = 0;
  const worker = async (): Promise<void> => {
    const client = await RespClient.connect(endpoint);
    while (next < count) {
      const first = next;
      next = Math.min(count, first + pipelineLength);
      const requests = Array.from({ length: next - first }, (_, offset) => request(first + offset));
      for (const { value } of await client.pipeline(requests)) {
        if (value.type === 'error') throw new Error(`while filling: ${value.text}`);
      }
    }
    client.close();
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

export async function clear(endpoint: Endpoint): Promise<void> {
  const client = await RespClient.connect(endpoint);
  await client.must('FLUSHALL');
  client.close();
}

async function countKeys(endpoint: Endpoint): Promise<number> {
  const client = await RespClient.connect(endpoint);
  const size = await client.must('DBSIZE');
  client.close();
  return size.type === 'integer' ? Number(size.text) : 0;
}
