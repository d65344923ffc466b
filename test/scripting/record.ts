/**
 * Writes golden/replies.json: what a real Redis 7.0 answers to the cases.
 *
 *   redis-server --port 7999 --save '' &
 *   node --import tsx test/scripting/record.ts 7999
 */
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { CASES, DATA, OTHER_KEY, type ScriptCase } from './cases.ts';
import { LIBRARY_CASES } from './library-cases.ts';

/** Length of the first whole reply in the text (one character a byte), or -1. */
function replyLength(text: string, start = 0): number {
  const end = text.indexOf('\r\n', start);
  if (end === -1) return -1;
  const kind = text.charAt(start);
  const count = Number(text.slice(start + 1, end));
  if (kind === '$' || kind === '=') {
    if (count < 0) return end + 2;
    return text.length >= end + 4 + count ? end + 4 + count : -1;
  }
  if (!'*%~>'.includes(kind) || count < 0) return end + 2;
  let position = end + 2;
  for (let item = 0; item < (kind === '%' ? count * 2 : count); item++) {
    position = replyLength(text, position);
    if (position === -1) return -1;
  }
  return position;
}

class Connection {
  readonly #socket;
  #received = '';
  #waiting: ((reply: string) => void) | null = null;

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.on('data', (chunk) => {
      this.#received += chunk.toString('latin1');
      const length = replyLength(this.#received);
      if (length === -1) return;
      const reply = this.#received.slice(0, length);
      this.#received = this.#received.slice(length);
      this.#waiting?.(reply);
    });
  }

  send(...words: readonly string[]): Promise<string> {
    const parts = words.map((word) => `$${word.length}\r\n${word}\r\n`);
    this.#socket.write(Buffer.from(`*${words.length}\r\n${parts.join('')}`, 'latin1'));
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

async function record(connection: Connection, { script, keys = [], args = [] }: ScriptCase): Promise<string> {
  await connection.send('FLUSHALL');
  // A new interpreter: settings of cjson outlive the script in Redis.
  await connection.send('SCRIPT', 'FLUSH', 'SYNC');
  for (const [name, value] of Object.entries(DATA)) await connection.send('SET', name, value);
  await connection.send('LPUSH', OTHER_KEY, '1');
  return connection.send('EVAL', script, String(keys.length), ...keys, ...args);
}

const connection = new Connection(Number(process.argv[2]));
const groups: string[] = [];
for (const [group, cases] of Object.entries({ ...CASES, ...LIBRARY_CASES })) {
  const rows: string[] = [];
  for (const entry of cases) {
    await connection.send('HELLO', '2');
    const resp2 = await record(connection, entry);
    await connection.send('HELLO', '3');
    const resp3 = await record(connection, entry);
    const same = resp2 === resp3 ? [] : [resp3];
    rows.push(JSON.stringify([entry.script, entry.keys ?? [], entry.args ?? [], resp2, ...same]));
  }
  groups.push(`${JSON.stringify(group)}: [\n${[...new Set(rows)].join(',\n')}\n]`);
}
connection.close();
writeFileSync(new URL('golden/replies.json', import.meta.url), `{\n${groups.join(',\n')}\n}\n`);
