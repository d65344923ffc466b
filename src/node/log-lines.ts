/**
 * Log lines for a person at a terminal: time, level, event, fields. What ends the node is said in full, with its cause;
 * machines get the same events as JSON.
 */

/** `line` is one event as JSON, with its line end. */
export function lineForPeople(line: string): string {
  const event = parsed(line);
  if (typeof event !== 'object' || event === null) return line;
  const { level, time, msg, ...fields } = event as Readonly<Record<string, unknown>>;
  const clock = typeof time === 'string' ? time.slice(11, 23) : '';
  const words = Object.entries(fields).map(([name, value]) => `${name}=${shown(value)}`);
  const said = `${clock} ${String(level).padEnd(5)} ${String(msg)}${words.length === 0 ? '' : `  ${words.join(' ')}`}\n`;
  return fields['reason'] === 'invariant' && isError(fields['cause'])
    ? `${said}${String(fields['cause'].stack)}\n`
    : said;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // Cut by a crash, or printed by something else: shown as it is.
    return null;
  }
}

interface SerializedError {
  readonly message: unknown;
  readonly stack: unknown;
}

function isError(value: unknown): value is SerializedError {
  return typeof value === 'object' && value !== null && 'stack' in value && 'message' in value;
}

/** An error is its message; its stack is for the JSON log, and for our own bugs. */
function shown(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(isError(value) ? value.message : value);
}
