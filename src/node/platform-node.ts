/** The real clock, timers, randomness and process, handed to everything below. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Logger } from '../base/log.ts';
import {
  type Clock,
  FATAL_EXIT_CODES,
  type FatalReason,
  type Platform,
  type ProcessControl,
  type Random,
  type TimerHandle,
  type Timers,
} from '../base/platform.ts';
import { nodeDisk } from './platform-disk.ts';
import { nodeNetwork } from './platform-network.ts';

const clock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};

class NodeTimers implements Timers {
  #due: (() => void)[] = [];

  after(delayMs: number, callback: () => void): TimerHandle {
    // Node turns what does not fit into 31 bits into 1 ms; nothing here waits for weeks.
    const timeout = setTimeout(callback, Math.min(delayMs, 2 ** 31 - 1));
    return {
      cancel: () => {
        clearTimeout(timeout);
      },
    };
  }

  endOfTurn(callback: () => void): void {
    this.#due.push(callback);
    if (this.#due.length === 1) setImmediate(this.#run);
  }

  readonly #run = (): void => {
    const due = this.#due;
    this.#due = [];
    for (const callback of due) callback();
  };
}

const POOL_BYTES = 4096;

/** Unpredictable numbers, drawn from the system in blocks. */
class SystemRandom implements Random {
  #pool: Buffer = Buffer.alloc(0);
  #next = 0;

  u32(): number {
    if (this.#next + 4 > this.#pool.length) {
      this.#pool = randomBytes(POOL_BYTES);
      this.#next = 0;
    }
    const value = this.#pool.readUInt32LE(this.#next);
    this.#next += 4;
    return value;
  }

  float(): number {
    return this.u32() / 2 ** 32;
  }

  bytes(count: number): Uint8Array {
    return randomBytes(count);
  }

  fork(): Random {
    return new SystemRandom();
  }
}

/** Identifies the machine's boot; empty where the system does not tell. */
function machineBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

class NodeProcess implements ProcessControl {
  readonly machineBootId = machineBootId();
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  fatal(reason: FatalReason, message: string, cause?: unknown): never {
    this.#log.error('the node stops', { reason, message, cause });
    process.exit(FATAL_EXIT_CODES[reason]);
  }
}

export function createNodePlatform(log: Logger): Platform {
  return {
    clock,
    timers: new NodeTimers(),
    random: new SystemRandom(),
    process: new NodeProcess(log),
    network: nodeNetwork,
    disk: nodeDisk,
  };
}
