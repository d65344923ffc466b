/** What a stream is made of. Arguments are strings whose characters are bytes (latin1): they print and shrink well. */

export type ClientIndex = 0 | 1;

export interface CommandStep {
  readonly kind: 'command';
  readonly client: ClientIndex;
  readonly args: readonly string[];
}

/** A whole SCAN iteration; `args` follow the cursor. Compared as a set once the cursor is 0 again. */
export interface ScanStep {
  readonly kind: 'scan';
  readonly client: ClientIndex;
  readonly args: readonly string[];
}

export type Step = CommandStep | ScanStep;

/**
 * How the steps reach the servers: one at a time, each on the connection of its client; all at once in one write; or
 * one at a time, each through the next node (only streams without state of a connection).
 */
export type Delivery = 'one-by-one' | 'pipelined' | 'rotating';

export interface Stream {
  readonly delivery: Delivery;
  readonly steps: readonly Step[];
}

/** A TTL in a generated command that becomes a number of its own once its place in the stream is known; see `numbered`. */
export function ttlMark(unit: 's' | 'ms', size: number): string {
  return `\u0001ttl-${unit}-${size}`;
}

/**
 * Replaces TTL marks by numbers that differ by at least 7 s within a stream. Equal relative TTLs would make GT and LT
 * depend on whether the clock moved between two commands.
 */
export function numbered(steps: readonly Step[]): Step[] {
  let count = 0;
  return steps.map((step) => ({
    ...step,
    args: step.args.map((arg) => {
      const mark = /^\u0001ttl-(s|ms)-(\d+)$/.exec(arg);
      if (mark === null) return arg;
      count += 1;
      const seconds = Number(mark[2]) * 100_000 + count * 7;
      return String(mark[1] === 's' ? seconds : seconds * 1000);
    }),
  }));
}

/** As one would type it into redis-cli. */
export function formatArgs(args: readonly string[]): string {
  return args.map(formatArg).join(' ');
}

function formatArg(arg: string): string {
  const isPlain = arg.length > 0 && arg.length <= 200 && /^[!#-&(-[\]-~]+$/.test(arg);
  if (isPlain) return arg;
  const shown = arg.length > 400 ? arg.slice(0, 400) : arg;
  let text = '';
  for (const char of shown) {
    const code = char.charCodeAt(0);
    if (char === '"' || char === '\\') text += `\\${char}`;
    else if (code >= 32 && code < 127) text += char;
    else text += `\\x${code.toString(16).padStart(2, '0')}`;
  }
  return arg.length > 400 ? `"${text}…(${arg.length} bytes)"` : `"${text}"`;
}

export function formatStream(stream: Stream): string {
  const lines = stream.steps.map((step, index) => {
    const label = step.kind === 'scan' ? 'SCAN … ' : '';
    return `  ${String(index + 1).padStart(3)}  client ${step.client}>  ${label}${formatArgs(step.args)}`;
  });
  return [`  delivery: ${stream.delivery}`, ...lines].join('\n');
}
