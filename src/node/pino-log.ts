/** Log lines through pino: synchronous, so that the last words before an exit are written. */
import { writeSync } from 'node:fs';
import { type DestinationStream, destination, pino, type Logger as Pino } from 'pino';
import type { LogFields, Logger } from '../base/log.ts';
import { lineForPeople } from './log-lines.ts';

/** Redis's names for levels, as `loglevel` takes them. */
const LEVELS: ReadonlyMap<string, string> = new Map([
  ['debug', 'debug'],
  ['verbose', 'debug'],
  ['notice', 'info'],
  ['warning', 'warn'],
  ['nothing', 'silent'],
]);

function levelOf(name: string): string {
  return LEVELS.get(name) ?? 'info';
}

class PinoLogger implements Logger {
  readonly #pino: Pino;

  constructor(base: Pino) {
    this.#pino = base;
  }

  debug(event: string, fields: LogFields = {}): void {
    this.#pino.debug(fields, event);
  }

  info(event: string, fields: LogFields = {}): void {
    this.#pino.info(fields, event);
  }

  warn(event: string, fields: LogFields = {}): void {
    this.#pino.warn(fields, event);
  }

  error(event: string, fields: LogFields = {}): void {
    this.#pino.error(fields, event);
  }

  child(fields: LogFields): Logger {
    return new PinoLogger(this.#pino.child(fields));
  }
}

export interface NodeLogger {
  readonly logger: Logger;
  readonly setLevel: (level: string) => void;
}

/** Writes to standard output: a line of JSON an event, or a line of text where a person watches. */
export function createLogger(level: string, { isForPeople }: { readonly isForPeople: boolean }): NodeLogger {
  const base = pino(
    {
      level: levelOf(level),
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err, cause: pino.stdSerializers.err },
    },
    isForPeople ? forPeople : destination({ dest: 1, sync: true }),
  );
  return {
    logger: new PinoLogger(base),
    setLevel: (changed) => {
      base.level = levelOf(changed);
    },
  };
}

const forPeople: DestinationStream = {
  write: (line) => {
    writeSync(1, lineForPeople(line));
  },
};
