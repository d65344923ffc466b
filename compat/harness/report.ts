/** Tables on the terminal, and the summary lines by which a run says what it did. */

/** Columns as wide as their content; numbers to the right. */
export function table(headers: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headers.map((header, column) =>
    Math.max(header.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => pad(cell, widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(headers), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

function pad(cell: string, width: number): string {
  return /^[\d.,+-]+( ?[%×a-zA-Z/]+)?$/.test(cell) ? cell.padStart(width) : cell.padEnd(width);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

/** Passed, failed, or proved nothing; the last fails a run as well. */
export type Verdict = 'passed' | 'failed' | 'skipped';

export interface StepResult {
  readonly name: string;
  readonly verdict: Verdict;
  readonly tookMs: number;
  /** One line: what was done, in numbers. */
  readonly summary: string;
}

export function stepLine(result: StepResult): string {
  return `${result.verdict.toUpperCase().padEnd(7)} ${result.name.padEnd(28)} ${seconds(result.tookMs).padStart(8)}  ${result.summary}`;
}
