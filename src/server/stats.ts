/**
 * Counters of the server (hot path: `recordCall` runs once a command; plain fields and one typed array, no allocation
 * after the first call of a command).
 *
 * Times are microseconds between dispatch and answer, so for a write they contain its replication; Redis counts only
 * the execution. Histograms have power-of-two bounds like those of LATENCY HISTOGRAM.
 */
import type { ErrorReply } from '../resp/reply.ts';
import { ERROR_PREFIXES_MAX } from './limits.ts';

/** Bucket i counts calls of at most 2^i µs (and more than 2^(i-1)); the last one everything above. 2^30 µs = 18 min. */
export const HISTOGRAM_BUCKETS = 31;

/** One command's counters; CONFIG RESETSTAT zeroes them. */
export class CommandStats {
  calls = 0;
  usec = 0;
  rejected = 0;
  failed = 0;
  histogram: Uint32Array | null = null;

  recordCall(usec: number, isFailed: boolean): void {
    this.calls++;
    this.usec += usec;
    if (isFailed) this.failed++;
    const histogram = (this.histogram ??= new Uint32Array(HISTOGRAM_BUCKETS));
    // 32 - clz32(n - 1) is the smallest i with 2^i >= n, for n >= 1.
    const whole = usec <= 1 ? 1 : usec >= 1_073_741_824 ? 1_073_741_824 : Math.ceil(usec);
    const bucket = 32 - Math.clz32(whole - 1);
    histogram[bucket] = (histogram[bucket] ?? 0) + 1;
  }

  reset(): void {
    this.calls = 0;
    this.usec = 0;
    this.rejected = 0;
    this.failed = 0;
    this.histogram = null;
  }

  /** Upper bound in µs of the bucket in which the given share (0 … 1) of the calls is reached; 0 without calls. */
  percentileUsec(share: number): number {
    if (this.histogram === null) return 0;
    let total = 0;
    for (const count of this.histogram) total += count;
    const wanted = Math.max(1, Math.ceil(total * share));
    let seen = 0;
    for (let i = 0; i < HISTOGRAM_BUCKETS; i++) {
      seen += this.histogram[i] ?? 0;
      if (seen >= wanted) return 2 ** i;
    }
    return 2 ** (HISTOGRAM_BUCKETS - 1);
  }
}

export interface Rates {
  readonly opsPerSecond: number;
  readonly inputKbps: number;
  readonly outputKbps: number;
}

/** Counters of the whole node. */
export class ServerStats {
  commandsProcessed = 0;
  connectionsReceived = 0;
  connectionsRejected = 0;
  /** Connections that were refused, by protected mode and by maxclients together, and failed accepts. */
  acceptFailures = 0;
  inputBytes = 0;
  outputBytes = 0;
  errorReplies = 0;
  protocolErrors = 0;
  outputLimitDisconnects = 0;
  idleDisconnects = 0;
  sessionFailures = 0;
  authFailures = 0;
  /** Highest number of clients at once. */
  clientsPeak = 0;
  readonly errorsByPrefix = new Map<string, number>();

  #rates: Rates = { opsPerSecond: 0, inputKbps: 0, outputKbps: 0 };
  #sampledAtMs = 0;
  #sampledCommands = 0;
  #sampledInput = 0;
  #sampledOutput = 0;

  recordError(reply: ErrorReply): void {
    this.errorReplies++;
    const text = reply.text;
    const space = text.indexOf(' ');
    const prefix = space === -1 ? text : text.slice(0, space);
    const known = this.errorsByPrefix.get(prefix);
    if (known !== undefined) this.errorsByPrefix.set(prefix, known + 1);
    else if (this.errorsByPrefix.size < ERROR_PREFIXES_MAX) this.errorsByPrefix.set(prefix, 1);
    else this.errorsByPrefix.set('OTHER', (this.errorsByPrefix.get('OTHER') ?? 0) + 1);
  }

  /** Called by the housekeeping; the rates hold until the next call. */
  sample(nowMs: number): void {
    const seconds = (nowMs - this.#sampledAtMs) / 1000;
    if (this.#sampledAtMs > 0 && seconds > 0) {
      this.#rates = {
        opsPerSecond: Math.round((this.commandsProcessed - this.#sampledCommands) / seconds),
        inputKbps: (this.inputBytes - this.#sampledInput) / 1024 / seconds,
        outputKbps: (this.outputBytes - this.#sampledOutput) / 1024 / seconds,
      };
    }
    this.#sampledAtMs = nowMs;
    this.#sampledCommands = this.commandsProcessed;
    this.#sampledInput = this.inputBytes;
    this.#sampledOutput = this.outputBytes;
  }

  rates(): Rates {
    return this.#rates;
  }

  /** CONFIG RESETSTAT. */
  reset(): void {
    this.commandsProcessed = 0;
    this.connectionsReceived = 0;
    this.connectionsRejected = 0;
    this.acceptFailures = 0;
    this.inputBytes = 0;
    this.outputBytes = 0;
    this.errorReplies = 0;
    this.protocolErrors = 0;
    this.outputLimitDisconnects = 0;
    this.idleDisconnects = 0;
    this.sessionFailures = 0;
    this.authFailures = 0;
    this.errorsByPrefix.clear();
    this.#sampledAtMs = 0;
    this.#rates = { opsPerSecond: 0, inputKbps: 0, outputKbps: 0 };
  }
}
