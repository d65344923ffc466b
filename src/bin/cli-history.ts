/** What was typed at the prompt, kept in ~/.kahunacli_history (or KAHUNACLI_HISTFILE; empty = nowhere). */
import { appendFileSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const LINES_MAX = 1_000;
/** Lines that may hold a password stay out of it. */
const SECRET = /\b(?:auth|hello|acl|config\s+set)\b/i;

/** For readline: the newest line first. */
export function readHistory(): { readonly history: string[]; readonly historySize: number } {
  try {
    const lines = readFileSync(historyPath(), 'utf8').split('\n').filter(Boolean);
    return { history: lines.slice(-LINES_MAX).reverse(), historySize: LINES_MAX };
  } catch {
    // There is none yet, or it cannot be read: the prompt works without.
    return { history: [], historySize: LINES_MAX };
  }
}

export function keepInHistory(line: string): void {
  if (line.trim() === '' || SECRET.test(line)) return;
  try {
    appendFileSync(historyPath(), `${line}\n`, { mode: 0o600 });
  } catch {
    // A home that cannot be written to costs the history, nothing else.
  }
}

function historyPath(): string {
  return process.env['KAHUNACLI_HISTFILE'] ?? join(homedir(), '.kahunacli_history');
}
