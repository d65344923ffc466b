/**
 * Requests below the level of commands: inline ones, broken ones, cut ones. Both servers get the same bytes on a fresh
 * connection; what they answer, and whether they close, must be the same.
 */
import { connect } from 'node:net';

import { RespClient } from '../harness/client.ts';
import type { Deployment, Endpoint } from '../harness/deployment.ts';
import { printable } from '../harness/resp.ts';
import { type StepResult, stepLine } from '../harness/report.ts';

/** Ends every probe whose connection should survive: its answer shows that all before was read. */
const MARK = 'ECHO compat-end\r\n';
const MARK_REPLY = '$10\r\ncompat-end\r\n';

const PROBES: readonly string[] = [
  'PING\r\n',
  'PING\n',
  '\r\n',
  '\n\n',
  '   \r\n',
  'SET a b\r\nGET a\r\n',
  'set a "b c"\r\nget a\r\n',
  'set a "\\x41\\n\\"q\\""\r\nget a\r\n',
  "set a 'single \\' \\x41'\r\nget a\r\n",
  'set a "unbalanced\r\n',
  "set a 'unbalanced\r\n",
  'set a "x"y\r\n',
  'get  \t a \r\n',
  'NOSUCH\r\n',
  'nosuch "a b" c\r\n',
  'GET\r\n',
  '\x00\r\n',
  '*1\r\n$4\r\nPING\r\n',
  '*0\r\n',
  '*-1\r\n',
  '*-10\r\n',
  '*1\r\n$0\r\n\r\n',
  '*2\r\n$3\r\nGET\r\n$0\r\n\r\n',
  '*2\r\n$4\r\nECHO\r\n$2\r\n\r\n\r\n',
  '*abc\r\n',
  '*\r\n',
  '*1e3\r\n',
  '* 1\r\n$4\r\nPING\r\n',
  '*+1\r\n$4\r\nPING\r\n',
  '*01\r\n$4\r\nPING\r\n',
  '*2147483648\r\n',
  '*4294967296\r\n',
  '*99999999999999999999\r\n',
  '*1\r\n:5\r\n',
  '*1\r\n+PING\r\n',
  '*1\r\n*1\r\n$4\r\nPING\r\n',
  '*1\r\n4\r\nPING\r\n',
  '*1\r\n$-1\r\n',
  '*1\r\n$-2\r\n',
  '*1\r\n$abc\r\n',
  '*1\r\n$\r\n',
  '*1\r\n$ 4\r\nPING\r\n',
  '*1\r\n$+4\r\nPING\r\n',
  '*1\r\n$04\r\nPING\r\n',
  '*1\r\n$536870913\r\n',
  '*1\r\n$99999999999999999999\r\n',
  '*1\r\n$4\r\nPINGxx',
  '*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n$4\r\nPING\r\n',
  '%1\r\n$1\r\na\r\n$1\r\nb\r\n',
  '$4\r\nPING\r\n',
  '_\r\n',
  'GET / HTTP/1.1\r\n',
  'POST / HTTP/1.1\r\nHost: x\r\n\r\n',
  'Host: localhost\r\n',
  'host: localhost\r\n',
  'QUIT\r\nPING\r\n',
  '*1\r\n$4\r\nQUIT\r\n*1\r\n$4\r\nPING\r\n',
  'PING\r\n'.repeat(500),
  'MULTI\r\nSET a 1\r\nNOSUCH\r\nEXEC\r\n',
  'MULTI\r\nSET a 1\r\nQUIT\r\n',
  'CLIENT REPLY OFF\r\nSET a 1\r\nGET a\r\nCLIENT REPLY ON\r\nGET a\r\n',
  'CLIENT REPLY SKIP\r\nSET a 2\r\nGET a\r\n',
  'HELLO 3\r\nGET nokey\r\nHELLO 2\r\nGET nokey\r\n',
];

/** Lines that never end: the limit must strike before a newline comes, so no end mark follows. */
const ENDLESS: readonly string[] = [
  `*${'1'.repeat(70_000)}`,
  `*1\r\n$${'1'.repeat(70_000)}`,
  `ECHO ${'x'.repeat(70_000)}`,
  '*1\r\n$4\r\nPI',
  '*2\r\n$4\r\nECHO\r\n',
];

/** A server that closes with input unread may take its last words back (RST); a difference must show each time. */
const ATTEMPTS = 3;

export async function runFrames(oracle: Deployment, target: Deployment): Promise<StepResult> {
  const startMs = performance.now();
  const [oracleNode, targetNode] = [oracle.endpoints[0], target.endpoints[0]];
  if (oracleNode === undefined || targetNode === undefined) throw new Error('a deployment without nodes');
  let failures = 0;
  let comparisons = 0;
  const probes = [...PROBES.map((probe) => ({ probe, mark: MARK })), ...ENDLESS.map((probe) => ({ probe, mark: '' }))];
  for (const { probe, mark } of probes) {
    const bytes = Buffer.from(probe, 'latin1');
    for (const chunks of cuts(bytes)) {
      comparisons += 1;
      const difference = await firstDifference({ oracle: oracleNode, target: targetNode }, chunks, mark);
      if (difference === null) continue;
      failures += 1;
      console.log(`\nDIFFERENCE  bytes ${printable(bytes, 120)} in ${chunks.length} pieces`);
      console.log(`  redis:  ${difference.expected}\n  ${target.name}: ${difference.actual}`);
      break;
    }
  }
  const result: StepResult = {
    name: `${target.name} frames`,
    verdict: failures === 0 ? 'passed' : 'failed',
    tookMs: performance.now() - startMs,
    summary: `${probes.length - failures} of ${probes.length} byte sequences agree, ${comparisons} comparisons whole and in pieces`,
  };
  console.log(stepLine(result));
  return result;
}

interface Nodes {
  readonly oracle: Endpoint;
  readonly target: Endpoint;
}

async function firstDifference(
  nodes: Nodes,
  chunks: readonly Buffer[],
  mark: string,
): Promise<{ readonly expected: string; readonly actual: string } | null> {
  let [expected, actual] = ['', ''];
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    [expected, actual] = await Promise.all([
      answerAfterClearing(nodes.oracle, chunks, mark),
      answerAfterClearing(nodes.target, chunks, mark),
    ]);
    if (expected === actual) return null;
  }
  return { expected: printable(Buffer.from(expected, 'latin1')), actual: printable(Buffer.from(actual, 'latin1')) };
}

async function answerAfterClearing(endpoint: Endpoint, chunks: readonly Buffer[], mark: string): Promise<string> {
  const client = await RespClient.connect(endpoint);
  await client.must('DEL', 'a');
  client.close();
  return withoutHello(await answer(endpoint, mark === '' ? chunks : [...chunks, Buffer.from(mark)]));
}

/** Whole; byte by byte if short; and cut in the middle. */
function cuts(bytes: Buffer): Buffer[][] {
  const middle = bytes.length >> 1;
  const result = [[bytes], [bytes.subarray(0, middle), bytes.subarray(middle)]];
  if (bytes.length < 60) result.push([...bytes].map((byte) => Buffer.from([byte])));
  return result;
}

/** HELLO's fields are compared elsewhere; its connection id and version differ by nature. */
function withoutHello(answered: string): string {
  return answered.replace(/(\$6\r\nserver\r\n)[^]*?(\$7\r\nmodules\r\n)/g, '$1$2');
}

/** What comes back until the end mark is answered, the peer closes, or a quiet half second shows that it waits. */
function answer(endpoint: Endpoint, chunks: readonly Buffer[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: endpoint.host, port: endpoint.port, noDelay: true });
    let received = '';
    let timer: NodeJS.Timeout | undefined;
    const finish = (end: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(received + end);
    };
    const restart = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => finish(' (open, silent)'), 500);
    };
    socket.on('error', (error) =>
      received === '' && !('code' in error && error.code === 'ECONNRESET') ? reject(error) : undefined,
    );
    socket.on('close', () => finish(' (closed)'));
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      if (received.endsWith(MARK_REPLY)) finish('');
      else restart();
    });
    socket.on('connect', () => {
      restart();
      void writeAll(socket, chunks);
    });
  });
}

/** Each piece in a segment of its own, as far as the kernel lets us. */
async function writeAll(socket: ReturnType<typeof connect>, chunks: readonly Buffer[]): Promise<void> {
  for (const chunk of chunks) {
    if (socket.destroyed) return;
    await new Promise<void>((resolve) => socket.write(chunk, () => resolve()));
    await new Promise((resolve) => setImmediate(resolve));
  }
}
