/** Runs one stream on two servers and finds the first reply that differs. */
import { RespClient } from '../harness/client.ts';
import type { Deployment } from '../harness/deployment.ts';
import { type Frame, printable } from '../harness/resp.ts';
import { SCRIPTS, sha1 } from './generators/scripts.ts';
import { compareFrames, type Comparison, comparisonFor, inTransaction, sameKind } from './comparison.ts';
import { NoReply, Side } from './side.ts';
import { type ClientIndex, type CommandStep, formatArgs, type ScanStep, type Step, type Stream } from './steps.ts';

export interface Pair {
  readonly oracle: Deployment;
  readonly target: Deployment;
  readonly protocol: 2 | 3;
  /** Which node client 0 talks to; counts up over the streams. */
  readonly firstNode: number;
  /** What concerns all keys is refused within transactions; scripts that name a key too few are done behind others of one pipeline. */
  readonly hasSeveralPartitions: boolean;
}

export class Difference extends Error {
  override readonly name = 'Difference';
}

export interface StreamCounts {
  /** Commands whose replies were compared. */
  readonly commands: number;
  /** Of them, answered by an error. */
  readonly errors: number;
}

/** @throws Difference */
export async function runStream(pair: Pair, stream: Stream): Promise<StreamCounts> {
  const leadership = await leadershipOf(pair.target);
  try {
    return await runOnBoth(pair, stream);
  } catch (error) {
    // A new leader knows nothing of absent keys that are watched, and fails such a transaction in vain, which is allowed;
    // the stream is judged under one leader.
    if ((await leadershipOf(pair.target)) !== leadership) return runStream(pair, stream);
    // A server that a stream has killed must not fail the next one, and its last words are the best clue.
    const lastWords = await pair.target.revive();
    if (lastWords === '') throw error;
    throw new Difference(`${error instanceof Error ? error.message : String(error)}\n    ${lastWords}`);
  }
}

/** Leaders and terms of all partitions, as one text; empty where nobody can say. */
async function leadershipOf(target: Deployment): Promise<string> {
  const [endpoint] = target.endpoints;
  if (endpoint === undefined || target.endpoints.length === 1) return '';
  const client = await RespClient.connect({ ...endpoint }).catch(() => null);
  if (client === null) return '';
  try {
    return JSON.stringify(await client.call('KAHUNA.CLUSTER', 'PARTITIONS'), (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
  } catch {
    return '';
  } finally {
    client.close();
  }
}

async function runOnBoth(pair: Pair, stream: Stream): Promise<StreamCounts> {
  const rotates = stream.delivery === 'rotating';
  const { protocol, firstNode, hasSeveralPartitions } = pair;
  const oracle = await Side.open(pair.oracle, { protocol, firstNode, rotates, hasSeveralPartitions: false });
  const target = await Side.open(pair.target, { protocol, firstNode, rotates, hasSeveralPartitions }).catch(
    (error: unknown) => {
      oracle.close();
      throw new Difference(
        `cannot connect to ${pair.target.name}: ${error instanceof Error ? error.message : String(error)}`,
      );
    },
  );
  try {
    await Promise.all([oracle.clear(), target.clear()]);
    const run = new StreamRun(oracle, target);
    await runParts(run, stream, pair.hasSeveralPartitions);
    run.checkUnsolicited();
    return { commands: run.commands, errors: run.errors };
  } catch (error) {
    if (error instanceof NoReply) throw new Difference(error.message);
    throw error;
  } finally {
    oracle.close();
    target.close();
  }
}

async function runParts(run: StreamRun, stream: Stream, areScriptsAlone: boolean): Promise<void> {
  try {
    for (const part of parts(stream, areScriptsAlone)) await run.part(part);
  } catch (error) {
    if (!(error instanceof Incomparable)) throw error;
  }
}

/** Both servers were right so far, but their data differ from here on. */
class Incomparable extends Error {
  override readonly name = 'Incomparable';
}

/** Steps that go out in one write: one each, or runs of one client that nothing has to wait within. */
function parts(stream: Stream, areScriptsAlone: boolean): Step[][] {
  const result: Step[][] = [];
  let open: CommandStep[] = [];
  let expirySeen = false;
  const close = (): void => {
    if (open.length > 0) result.push(open);
    open = [];
  };
  for (const step of stream.steps) {
    if (stream.delivery !== 'pipelined' || step.kind === 'scan') {
      close();
      result.push([step]);
      continue;
    }
    if (open[0] !== undefined && open[0].client !== step.client) close();
    open.push(step);
    expirySeen ||= mustSettle(step.args);
    const isAlone = areScriptsAlone && isScript(step.args);
    if (isAlone || mustSettle(step.args) || (expirySeen && isExec(step.args))) close();
  }
  close();
  return result;
}

class StreamRun {
  readonly #oracle: Side;
  readonly #target: Side;
  /** Of commands queued by MULTI, by client; null outside. */
  readonly #queued: [Comparison[] | null, Comparison[] | null] = [null, null];
  /** Whether a queued command makes a key expire within milliseconds, by client. */
  readonly #expiryQueued: [boolean, boolean] = [false, false];
  #expirySeen = false;
  #mayHaveGrownUnseen = false;
  commands = 0;
  errors = 0;

  constructor(oracle: Side, target: Side) {
    this.#oracle = oracle;
    this.#target = target;
  }

  async part(steps: readonly Step[]): Promise<void> {
    const [first] = steps;
    if (first === undefined) return;
    if (first.kind === 'scan' && this.#queued[first.client] === null) {
      await this.#scan(first);
      return;
    }
    const commands = steps.map((step) =>
      step.kind === 'scan' ? ['SCAN', '0', ...step.args, 'COUNT', '100000'] : step.args,
    );
    const [expected, actual] = await Promise.all([
      this.#oracle.sendAll(first.client, commands),
      this.#target.sendAll(first.client, commands),
    ]);
    this.#mayHaveGrownUnseen ||= commands.some(mayGrowUnseen);
    for (const [index, args] of commands.entries()) {
      const [oracleFrame, targetFrame] = [expected[index], actual[index]];
      if (oracleFrame === undefined || targetFrame === undefined) throw new Difference('a reply is missing');
      this.#compare(first.client, args, oracleFrame, targetFrame);
    }
    await this.#settle(commands);
  }

  checkUnsolicited(): void {
    const [expected, actual] = [this.#oracle.unsolicited().join(' '), this.#target.unsolicited().join(' ')];
    if (expected !== actual) {
      throw new Difference(`pushed beside the replies\n    redis:  ${expected}\n    ${this.#target.name}: ${actual}`);
    }
  }

  #compare(client: ClientIndex, args: readonly string[], oracle: Frame, target: Frame): void {
    this.commands += 1;
    if (oracle.value.type === 'error') this.errors += 1;
    const problem = compareFrames(oracle, target, this.#comparison(client, args, oracle));
    if (problem !== null) {
      if (this.#mayHaveGrownUnseen && isFailedExec(oracle, target)) throw new Incomparable();
      if (isExec(args) && isRefusedAcross(target)) throw new Incomparable();
      throw new Difference(
        `${formatArgs(args)}\n    redis:  ${printable(oracle.raw)}\n    ${this.#target.name}: ${printable(target.raw)}\n    (${problem})`,
      );
    }
  }

  /** By the command, or by the queue that EXEC ends; follows the transaction state by the oracle's replies. */
  #comparison(client: ClientIndex, args: readonly string[], oracle: Frame): Comparison {
    const own = comparisonFor(args);
    const queued = this.#queued[client];
    const name = (args[0] ?? '').toUpperCase();
    if (queued === null) {
      if (name === 'MULTI' && oracle.value.type === 'simple') this.#queued[client] = [];
      return own;
    }
    if (oracle.value.type === 'simple' && oracle.value.text === 'QUEUED') {
      // Nothing can settle within EXEC: Redis still counts a key that has expired there, Kahuna does not.
      queued.push(this.#expiryQueued[client] && countsKeys(args) ? sameKind : own);
      this.#expiryQueued[client] ||= mustSettle(args);
      return own;
    }
    // An error reply to EXEC's own arity leaves the transaction open.
    const isArityError = oracle.value.type === 'error' && oracle.value.text.startsWith('ERR wrong number of arguments');
    if (['EXEC', 'DISCARD', 'RESET'].includes(name) && !isArityError) {
      this.#queued[client] = null;
      this.#expiryQueued[client] = false;
    }
    return name === 'EXEC' ? inTransaction(queued) : own;
  }

  async #scan(step: ScanStep): Promise<void> {
    const [expected, actual] = await Promise.all([
      this.#oracle.scan(step.client, step.args),
      this.#target.scan(step.client, step.args),
    ]);
    this.commands += 1;
    if (expected !== actual) {
      throw new Difference(
        `SCAN … ${formatArgs(step.args)}\n    redis:  ${expected}\n    ${this.#target.name}: ${actual}`,
      );
    }
  }

  async #settle(commands: readonly (readonly string[])[]): Promise<void> {
    if (commands.some(mustSettle)) this.#expirySeen = true;
    const last = commands.at(-1) ?? [];
    if (this.#expirySeen && (mustSettle(last) || isExec(last))) {
      await Promise.all([this.#oracle.settle(), this.#target.settle()]);
    }
  }
}

/**
 * A BITFIELD whose operations all overflow and FAIL creates or lengthens the string all the same. Redis does not tell
 * those who watch the key (nor its replicas: bitops.c signals only changed fields), so its EXEC runs; Kahuna's fails.
 */
function mayGrowUnseen(args: readonly string[]): boolean {
  const [name = '', second = ''] = args;
  switch (name.toUpperCase()) {
    case 'BITFIELD':
      return args.some((arg) => arg.toUpperCase() === 'FAIL');
    case 'EVAL':
      return GROWING_SCRIPTS.includes(second);
    case 'EVALSHA':
      return GROWING_SCRIPTS.some((script) => sha1(script) === second.toLowerCase());
    default:
      return false;
  }
}

const GROWING_SCRIPTS = SCRIPTS.filter((script) => script.includes(`'FAIL'`));

function isFailedExec(oracle: Frame, target: Frame): boolean {
  return oracle.value.type === 'array' && target.value.type === 'null';
}

/** The queue held a command that concerns all keys, of which there are several partitions. */
function isRefusedAcross({ value }: Frame): boolean {
  return value.type === 'error' && value.text.startsWith('ERR KEYS, SCAN, RANDOMKEY, DBSIZE and FLUSH commands cannot');
}

function isScript(args: readonly string[]): boolean {
  return /^(EVAL|EVALSHA)(_RO)?$/i.test(args[0] ?? '');
}

function countsKeys(args: readonly string[]): boolean {
  const [name = '', second = ''] = args;
  switch (name.toUpperCase()) {
    case 'DBSIZE':
      return true;
    case 'EVAL':
    case 'EVAL_RO':
      return COUNTING_SCRIPTS.includes(second);
    case 'EVALSHA':
    case 'EVALSHA_RO':
      return COUNTING_SCRIPTS.some((script) => sha1(script) === second.toLowerCase());
    default:
      return false;
  }
}

const COUNTING_SCRIPTS = SCRIPTS.filter((script) => script.includes(`'dbsize'`));

/** Only here does what was queued happen. */
function isExec(args: readonly string[]): boolean {
  return (args[0] ?? '').toUpperCase() === 'EXEC';
}

/**
 * Whether a key of the command expires within milliseconds, or has expired and may still be counted by DBSIZE. What
 * follows must see it gone on both sides.
 */
function mustSettle(args: readonly string[]): boolean {
  const words = args.map((arg) => arg.toUpperCase());
  const follows = (token: string, values: readonly string[]): boolean =>
    words.some((word, index) => word === token && values.includes(words[index + 1] ?? ''));
  switch (words[0]) {
    case 'SET':
    case 'GETEX':
      return (
        follows('PX', ['1', '2']) || follows('EXAT', ['1', '1000000000']) || follows('PXAT', ['1', '1000000000000'])
      );
    case 'PSETEX':
    case 'PEXPIRE':
      return ['1', '2'].includes(words[2] ?? '');
    default:
      return false;
  }
}
