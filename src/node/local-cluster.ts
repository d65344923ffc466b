/**
 * Several nodes of one cluster on this machine, each a process of its own with its own directory and log file: to try
 * Kahuna out, and to develop against. What a node prints goes to its log file and nowhere else.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { KahunaError } from '../base/errors.ts';
import { ErrorReply } from '../resp/reply.ts';
import { CommandClient } from './command-client.ts';
import { lineForPeople } from './log-lines.ts';

const HOST = '127.0.0.1';
const CHECK_MS = 100;
const CONNECT_TIMEOUT_MS = 1_000;
/** Lines of a node's log that are shown when it ends by itself. */
const LAST_LINES = 5;

export interface LocalClusterOptions {
  /** Client ports, one a node; a node's port for the others is 100 above. */
  readonly ports: readonly number[];
  /** Holds a directory and a log file for each node. */
  readonly directory: string;
  /** Flags that every node gets. */
  readonly flags: readonly string[];
  /** The server program, and what runs it. */
  readonly command: readonly [string, ...string[]];
  /** A node ended although nobody stopped it. */
  readonly onLost: (node: LocalNode, how: string) => void;
}

export interface LocalNode {
  readonly name: string;
  readonly port: number;
  readonly clusterPort: number;
  readonly directory: string;
  readonly logFile: string;
}

const CLUSTER_PORT_OFFSET = 100;

export class LocalCluster {
  readonly nodes: readonly LocalNode[];
  readonly #options: LocalClusterOptions;
  readonly #children = new Map<LocalNode, ChildProcess>();
  /** Where the log of this run begins in each file. */
  readonly #logStarts = new Map<LocalNode, number>();
  #isStopping = false;

  constructor(options: LocalClusterOptions) {
    this.#options = options;
    this.nodes = options.ports.map((port, i) => ({
      name: `n${i + 1}`,
      port,
      clusterPort: port + CLUSTER_PORT_OFFSET,
      directory: `${options.directory}/n${i + 1}`,
      logFile: `${options.directory}/n${i + 1}.log`,
    }));
  }

  /** Rejects with KahunaError 'PORT_TAKEN' before anything was started, if one of the ports is taken. */
  async start(): Promise<void> {
    for (const { port, clusterPort } of this.nodes) {
      await mustBeFree(port);
      await mustBeFree(clusterPort);
    }
    mkdirSync(this.#options.directory, { recursive: true });
    for (const node of this.nodes) this.#spawn(node);
  }

  #spawn(node: LocalNode): void {
    const members = this.nodes.map(({ name, clusterPort }) => `${name}=${HOST}:${clusterPort}`).join(',');
    const [program, ...before] = this.#options.command;
    const log = openSync(node.logFile, 'a');
    this.#logStarts.set(node, fstatSync(log).size);
    const flags = ['--node-id', node.name, '--port', String(node.port), '--dir', node.directory];
    const child = spawn(program, [...before, ...flags, '--initial-cluster', members, ...this.#options.flags], {
      stdio: ['ignore', log, log],
      // Ctrl-C reaches the whole group of the terminal: the nodes are stopped by us, in order, not by it.
      detached: true,
    });
    closeSync(log);
    this.#children.set(node, child);
    child.once('error', (error) => {
      this.#children.delete(node);
      this.#options.onLost(node, `could not be started: ${error.message}`);
    });
    child.once('exit', (code, signal) => {
      this.#children.delete(node);
      if (!this.#isStopping)
        this.#options.onLost(node, signal === null ? `ended with exit code ${code ?? 0}` : `was ended by ${signal}`);
    });
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  get runningCount(): number {
    return this.#children.size;
  }

  /** Resolves when every running node answers commands; rejects with KahunaError 'NOT_READY' after `timeoutMs`. */
  async ready(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    for (const node of this.nodes) {
      while (this.#children.has(node) && !(await answers(node))) {
        if (performance.now() > deadline) {
          throw new KahunaError('NOT_READY', `${node.name} does not serve after ${timeoutMs} ms; see ${node.logFile}`);
        }
        await pause(CHECK_MS);
      }
    }
  }

  /** SIGTERM to all, SIGKILL to what is still there after `timeoutMs`. Resolves with the names of those. */
  async stop(timeoutMs: number): Promise<readonly string[]> {
    this.#isStopping = true;
    const ends = [...this.#children.values()].map(
      (child) => new Promise<void>((resolve) => child.once('exit', () => resolve())),
    );
    for (const child of this.#children.values()) child.kill('SIGTERM');
    await Promise.race([Promise.all(ends), pause(timeoutMs, undefined, { ref: false })]);
    const killed = [...this.#children.keys()].map(({ name }) => name);
    for (const child of this.#children.values()) child.kill('SIGKILL');
    await Promise.all(ends);
    return killed;
  }

  /** The last lines of what a node has printed since it was started, for people. */
  lastLines(node: LocalNode): readonly string[] {
    const log = readFileSync(node.logFile).subarray(this.#logStarts.get(node) ?? 0);
    const lines = log.toString('utf8').split('\n').filter(Boolean).slice(-LAST_LINES);
    return lines.map((line) => (line.startsWith('{') ? lineForPeople(line).trimEnd() : line));
  }

  /** SIGKILL to all that is left; for the moment in which this process itself ends. */
  killAll(): void {
    for (const child of this.#children.values()) child.kill('SIGKILL');
  }
}

/** A read that needs the leader of the first partition: the node serves and knows its way. */
async function answers(node: LocalNode): Promise<boolean> {
  let client: CommandClient;
  try {
    client = await CommandClient.connect({ host: HOST, port: node.port, connectTimeoutMs: CONNECT_TIMEOUT_MS });
  } catch {
    // Not listening yet.
    return false;
  }
  try {
    const reply = await client.call(['GET', 'kahuna:ready']);
    return !(reply instanceof ErrorReply) || /^(?:NOAUTH|WRONGTYPE|NOPERM)\b/.test(reply.text);
  } catch {
    // The node ended meanwhile.
    return false;
  } finally {
    client.close();
  }
}

function mustBeFree(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error) => {
      reject(new KahunaError('PORT_TAKEN', `port ${port} cannot be used: ${error.message}`, error));
    });
    probe.listen({ port, host: HOST, exclusive: true }, () => probe.close(() => resolve()));
  });
}
