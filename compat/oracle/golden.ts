/**
 * Asks a real Redis what the golden files of test/commands say. Run by hand, never by the suite:
 *
 *   redis-server --port 7999 --save '' &
 *   npx tsx compat/oracle/golden.ts 7999            prints every difference
 *   npx tsx compat/oracle/golden.ts 7999 --write    puts Redis's replies into the files
 *
 * Scenarios marked !kahuna are left alone.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { showBulk } from '../../test/commands/client.ts';
import { type Target, linesOf, parseScenarios, preambleOf, replay } from '../../test/commands/golden.ts';

class Redis implements Target {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #waiting: ((text: string) => void) | null = null;

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      const parsed = parseReply(this.#received, 0);
      if (parsed === null || this.#waiting === null) return;
      this.#received = this.#received.subarray(parsed.end);
      const waiting = this.#waiting;
      this.#waiting = null;
      waiting(parsed.text);
    });
  }

  run(words: readonly string[]): Promise<string> {
    const parts = words.map((word) => `$${word.length}\r\n${word}\r\n`);
    this.#socket.write(Buffer.from(`*${words.length}\r\n${parts.join('')}`, 'latin1'));
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  async reset(): Promise<void> {
    await this.run(['SELECT', '0']);
    await this.run(['FLUSHALL']);
  }

  async select(database: number): Promise<void> {
    await this.run(['SELECT', String(database)]);
  }

  async putOther(key: string): Promise<void> {
    await this.run(['RPUSH', key, 'element']);
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  close(): void {
    this.#socket.destroy();
  }
}

interface Parsed {
  readonly text: string;
  readonly end: number;
}

/** One RESP2 reply as text (see client.ts), or null if it is not whole. */
function parseReply(bytes: Buffer, start: number): Parsed | null {
  const lineEnd = bytes.indexOf('\r\n', start);
  if (lineEnd === -1) return null;
  const head = bytes.toString('latin1', start, lineEnd);
  const end = lineEnd + 2;
  const count = Number(head.slice(1));
  if (head[0] === '$') {
    if (count === -1) return { text: 'nil', end };
    if (bytes.length < end + count + 2) return null;
    return { text: showBulk(bytes.toString('latin1', end, end + count)), end: end + count + 2 };
  }
  if (head[0] === '*') return count === -1 ? { text: 'nil*', end } : parseItems(bytes, end, count);
  return { text: head, end };
}

function parseItems(bytes: Buffer, start: number, count: number): Parsed | null {
  const items: string[] = [];
  let end = start;
  for (let i = 0; i < count; i++) {
    const item = parseReply(bytes, end);
    if (item === null) return null;
    items.push(item.text);
    end = item.end;
  }
  return { text: `[${items.join(', ')}]`, end };
}

const [port = '7999', mode] = process.argv.slice(2);
const redis = new Redis(Number(port));
const folder = new URL('../../test/commands/golden/', import.meta.url);
for (const file of readdirSync(folder).sort()) {
  const path = new URL(file, folder);
  const text = readFileSync(path, 'latin1');
  const blocks: string[] = [];
  for (const scenario of parseScenarios(text)) {
    const known = linesOf(scenario);
    const lines = scenario.isOwn ? known : await replay(scenario, redis);
    blocks.push(lines.join('\n'));
    if (mode !== '--write') reportDifferences(`${file}: ${scenario.title}`, lines, known);
  }
  if (mode === '--write') writeFileSync(path, `${preambleOf(text)}${blocks.join('\n').trimEnd()}\n`, 'latin1');
}
redis.close();

function reportDifferences(title: string, lines: readonly string[], known: readonly string[]): void {
  for (const [at, line] of lines.entries()) {
    const expected = known[at] ?? '';
    if (line !== expected) console.log(`${title}\n  ${lines[at - 1] ?? ''}\n  Redis ${line}\n  file  ${expected}`);
  }
}
