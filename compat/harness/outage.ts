/**
 * How long a cluster does not serve. Probers write through the nodes that live, one request at a time each; the time
 * without service is the longest stretch in which not one write of any of them was acknowledged.
 */
import { ConnectionLost, RespClient } from './client.ts';
import type { Endpoint } from './deployment.ts';
import { pause, waitFor } from './wait.ts';

export interface OutageResult {
  readonly longestGapMs: number;
  /** Acknowledged writes, all probers. */
  readonly okCount: number;
  /** What clients of living nodes were told instead of OK; empty is the promise. */
  readonly errors: readonly string[];
}

const PROBERS_PER_NODE = 2;
/** Writes must flow for this long before the fault and after service is back. */
const STEADY_MS = 1_000;

export class OutageProbe {
  readonly #endpoints: readonly Endpoint[];
  readonly #key: string;
  readonly #errors: string[] = [];
  #isStopped = false;
  #okCount = 0;
  #lastOkMs = performance.now();
  #longestGapMs = 0;

  constructor(endpoints: readonly Endpoint[], key: string) {
    this.#endpoints = endpoints;
    this.#key = key;
  }

  /** Runs `fault` between two stretches of steady service. `timeoutMs` bounds the wait for service after it. */
  async around(fault: () => Promise<void>, timeoutMs: number): Promise<OutageResult> {
    const probers = this.#endpoints.flatMap((endpoint) =>
      Array.from({ length: PROBERS_PER_NODE }, (_, index) =>
        this.#probe(endpoint, `${this.#key}:${endpoint.name}:${index}`),
      ),
    );
    await waitFor({ what: 'writes before the fault', timeoutMs }, () => this.#okCount >= probers.length * 10);
    await pause(STEADY_MS);
    this.#longestGapMs = 0;
    this.#lastOkMs = performance.now();
    const faultAtMs = performance.now();
    await fault();
    const okAtFault = this.#okCount;
    await waitFor({ what: 'writes after the fault', timeoutMs }, () => this.#okCount > okAtFault + probers.length * 10);
    await pause(STEADY_MS);
    this.#isStopped = true;
    await Promise.all(probers);
    if (performance.now() - faultAtMs < STEADY_MS) throw new Error('the probe ended before its time');
    return { longestGapMs: this.#longestGapMs, okCount: this.#okCount, errors: this.#errors };
  }

  async #probe(endpoint: Endpoint, key: string): Promise<void> {
    let client: RespClient | null = null;
    for (let count = 0; !this.#isStopped; count += 1) {
      try {
        client ??= await RespClient.connect(endpoint);
      } catch (error) {
        this.#errors.push(`${endpoint.name}: ${error instanceof ConnectionLost ? error.message : String(error)}`);
        await pause(20);
        continue;
      }
      const outcome = await client.outcome('SET', key, String(count));
      if (outcome.class === 'ok') {
        this.#noteOk();
        continue;
      }
      this.#errors.push(`${endpoint.name}: ${outcome.class}: ${outcome.reason}`);
      if (!client.isOpen) client = null;
      await pause(5);
    }
    client?.close();
  }

  #noteOk(): void {
    const nowMs = performance.now();
    this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastOkMs);
    this.#lastOkMs = nowMs;
    this.#okCount += 1;
  }
}
