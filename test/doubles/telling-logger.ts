/** A logger that hands each line from `info` on to the test. */
import type { LogFields, Logger } from '../../src/base/log.ts';

export type LogLevel = 'info' | 'warn' | 'error';

/** Fields of `child` loggers are left out: the test knows whose lines it hears. */
export function tellingLogger(tell: (level: LogLevel, event: string, fields?: LogFields) => void): Logger {
  const logger: Logger = {
    debug: () => undefined,
    info: (event, fields) => {
      tell('info', event, fields);
    },
    warn: (event, fields) => {
      tell('warn', event, fields);
    },
    error: (event, fields) => {
      tell('error', event, fields);
    },
    child: () => logger,
  };
  return logger;
}
