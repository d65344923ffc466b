/**
 * Wrong clocks: nodes run under libfaketime, which reads from a file what the clock shall show. Two kinds, since one process
 * cannot have both:
 *
 * - steps: the wall clock is set while the node runs, its monotonic clock is true;
 * - rates: both clocks of a node run too fast or too slow from its start on, each node by another amount.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { RespClient } from '../harness/client.ts';
import type { KahunaNode, NodeSpecials } from '../harness/kahuna.ts';
import { itemsOf, textOf } from '../harness/resp.ts';

export type ClockKind = 'steps' | 'rates';

/** The library looks into its file this often, seconds. */
const CACHE_SECONDS = 1;

export class FakeClocks {
  readonly kind: ClockKind;
  readonly #library: string;
  readonly #files = new Map<string, string>();

  constructor(library: string, kind: ClockKind) {
    this.#library = library;
    this.kind = kind;
  }

  /** How a node is started. `rate` 1.01 = one percent too fast. */
  specialsOf(name: string, folder: string, rate: number): NodeSpecials {
    const file = join(folder, `${name}.clock`);
    this.#files.set(name, file);
    this.#write(name, this.kind === 'rates' ? `+0 x${rate.toFixed(4)}` : '+0');
    return {
      env: {
        LD_PRELOAD: this.#library,
        FAKETIME_TIMESTAMP_FILE: file,
        FAKETIME_CACHE_DURATION: String(CACHE_SECONDS),
        ...(this.kind === 'steps' ? { FAKETIME_DONT_FAKE_MONOTONIC: '1' } : {}),
      },
    };
  }

  /** Sets the wall clock of a node to so much after, or before, the truth. It takes a second or two until it sees that. */
  step(node: KahunaNode, offsetMs: number): void {
    if (this.kind !== 'steps') throw new Error('these clocks are not set, they run wrong');
    this.#write(node.name, `${offsetMs < 0 ? '-' : '+'}${(Math.abs(offsetMs) / 1000).toFixed(3)}`);
  }

  #write(name: string, text: string): void {
    const file = this.#files.get(name);
    if (file === undefined) throw new Error(`${name} has no clock of ours`);
    writeFileSync(file, `${text}\n`);
  }
}

/** How far the node's wall clock is ahead of ours, ms. @throws if it does not answer */
export async function wallOffsetMs(node: KahunaNode): Promise<number> {
  const client = await RespClient.connect({ ...node.endpoint, connectTimeoutMs: 1_000 });
  try {
    const [second, microsecond] = itemsOf(await client.must('TIME')).map((item) => Number(textOf(item)));
    return (second ?? 0) * 1000 + (microsecond ?? 0) / 1000 - Date.now();
  } finally {
    client.close();
  }
}
