/**
 * The settings that are read for each command or byte, as plain numbers that CONFIG SET keeps up to date. (Hot path:
 * read by the reader's guard, the sessions and the dispatcher.)
 */
import type { Settings } from '../config/live.ts';
import type { SettingName, SettingValues } from '../config/settings.ts';
import type { RequestLimits } from '../resp/requests.ts';
import type { OutputLimit } from './output-guard.ts';

const WATCHED: readonly SettingName[] = [
  'proto-max-bulk-len',
  'client-query-buffer-limit',
  'command-timeout',
  'timeout',
  'client-output-buffer-limit',
  'slowlog-log-slower-than',
  'slowlog-max-len',
  'latency-monitor-threshold',
];

export class LiveSettings implements RequestLimits {
  bulkBytesMax = 0;
  bufferBytesMax = 0;
  commandTimeoutMs = 0;
  /** 0 = idle clients stay. */
  idleTimeoutMs = 0;
  outputLimitNormal: OutputLimit = { hardBytes: 0, softBytes: 0, softSeconds: 0 };
  /** Commands that take at least this long are logged, µs; -1 = none. */
  slowLogUsec = -1;
  slowLogLengthMax = 0;
  /** 0 = the latency monitor is off. */
  latencyThresholdMs = 0;
  /** Below this, neither the slow log nor the latency monitor looks at a command: one comparison a command. */
  slowestOrdinaryUsec = 0;

  constructor(settings: Settings) {
    this.#read(settings.values);
    for (const name of WATCHED) {
      settings.onChange(name, (values) => {
        this.#read(values);
      });
    }
  }

  #read(values: SettingValues): void {
    this.bulkBytesMax = values['proto-max-bulk-len'];
    this.bufferBytesMax = values['client-query-buffer-limit'];
    this.commandTimeoutMs = values['command-timeout'];
    this.idleTimeoutMs = values.timeout * 1000;
    this.outputLimitNormal = values['client-output-buffer-limit'].normal;
    this.slowLogUsec = values['slowlog-log-slower-than'];
    this.slowLogLengthMax = values['slowlog-max-len'];
    this.latencyThresholdMs = values['latency-monitor-threshold'];
    this.slowestOrdinaryUsec = Math.min(
      this.slowLogUsec < 0 ? Number.POSITIVE_INFINITY : this.slowLogUsec,
      this.latencyThresholdMs === 0 ? Number.POSITIVE_INFINITY : this.latencyThresholdMs * 1000,
    );
  }
}
