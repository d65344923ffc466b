/**
 * Follows the nodes' logs while they run: who became leader and when, and what was written with level `error`. Moments are
 * those at which the line was read, because the clocks that wrote it may be wrong on purpose.
 */
import { closeSync, existsSync, openSync, readSync } from 'node:fs';

import type { KahunaNode } from '../harness/kahuna.ts';
import { pause } from '../harness/wait.ts';
import type { Timeline } from './timeline.ts';

const LOOK_EVERY_MS = 100;
const CHUNK_BYTES = 256 * 1024;

export class NodeLogs {
  readonly #timeline: Timeline;
  readonly #followed: readonly Followed[];
  /** How often each message was logged, by all nodes. */
  readonly messages = new Map<string, number>();
  #isStopped = false;

  constructor(nodes: readonly KahunaNode[], timeline: Timeline) {
    this.#timeline = timeline;
    this.#followed = nodes.map((node) => ({ node, offset: 0, rest: '' }));
  }

  /** Until `stop`. */
  async follow(): Promise<void> {
    while (!this.#isStopped) {
      this.look();
      await pause(LOOK_EVERY_MS);
    }
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Reads what is new. */
  look(): void {
    for (const followed of this.#followed) {
      const lines = `${followed.rest}${readFrom(followed)}`.split('\n');
      followed.rest = lines.pop() ?? '';
      for (const line of lines) this.#note(followed.node.name, line);
    }
  }

  #note(node: string, line: string): void {
    const entry = parsed(line);
    if (entry === null) {
      if (line.trim() !== '') this.#timeline.errorLines.push(`${node}: ${line}`);
      return;
    }
    const { msg, level, group, term } = entry;
    this.messages.set(msg, (this.messages.get(msg) ?? 0) + 1);
    if (msg === 'became leader') {
      this.#timeline.leaderChanges.push({ atMs: this.#timeline.nowMs(), node, group, term });
    }
    if (level === 'error') this.#timeline.errorLines.push(`${node}: ${line}`);
  }
}

interface Followed {
  readonly node: KahunaNode;
  offset: number;
  /** A line whose end is not written yet. */
  rest: string;
}

function readFrom(followed: Followed): string {
  const { logFile } = followed.node;
  if (!existsSync(logFile)) return '';
  const file = openSync(logFile, 'r');
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    const size = readSync(file, chunk, 0, CHUNK_BYTES, followed.offset);
    followed.offset += size;
    return chunk.toString('utf8', 0, size);
  } finally {
    closeSync(file);
  }
}

interface LogEntry {
  readonly msg: string;
  readonly level: string;
  readonly group: number;
  readonly term: number;
}

/** Null for what is no log line: a node that dies in another way than by its own decision writes such. */
function parsed(line: string): LogEntry | null {
  try {
    const entry = JSON.parse(line) as Record<string, unknown>;
    const { msg, level, group, term } = entry;
    return { msg: String(msg), level: String(level), group: Number(group ?? 0), term: Number(term ?? 0) };
  } catch {
    return null;
  }
}
