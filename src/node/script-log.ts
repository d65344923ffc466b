/**
 * Lines of redis.log on their way to the node's log: cut as Redis cuts them, and no more than a few a second, since a
 * script may write as many as it likes.
 */
import type { Logger } from '../base/log.ts';
import type { Clock } from '../base/platform.ts';
import { LOG_LEVELS, type ScriptLogLevel } from '../scripting/script-run.ts';

/** As LOG_MAX_LEN of Redis (server.h). */
const LINE_BYTES_MAX = 1024;
/** Lines that may come at once, and how many more each second allows. */
const BURST_LINES = 100;
const LINES_PER_SECOND = 20;

export class ScriptLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  #allowed = BURST_LINES;
  #countedMs: number;
  #dropped = 0;

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
    this.#countedMs = clock.monotonicMs();
  }

  /** `message` holds one byte a character. */
  write(level: ScriptLogLevel, message: string): void {
    if (!this.#take()) return;
    if (this.#dropped > 0) {
      this.#log.warn('lines of scripts were dropped: there were too many', { count: this.#dropped });
      this.#dropped = 0;
    }
    const fields = { message: Buffer.from(message.slice(0, LINE_BYTES_MAX), 'latin1').toString('utf8') };
    switch (level) {
      case LOG_LEVELS.warning:
        this.#log.warn('a script says', fields);
        break;
      case LOG_LEVELS.notice:
        this.#log.info('a script says', fields);
        break;
      default:
        this.#log.debug('a script says', fields);
    }
  }

  #take(): boolean {
    const now = this.#clock.monotonicMs();
    this.#allowed = Math.min(BURST_LINES, this.#allowed + ((now - this.#countedMs) / 1000) * LINES_PER_SECOND);
    this.#countedMs = now;
    if (this.#allowed < 1) {
      this.#dropped++;
      return false;
    }
    this.#allowed--;
    return true;
  }
}
