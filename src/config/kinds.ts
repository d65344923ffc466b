/**
 * The kinds of values that a setting can have: how each is read from text, written back, and described. Reasons are
 * worded as Redis 7.2 words them (src/config.c), because CONFIG SET passes them on.
 */
import { KahunaError } from '../base/errors.ts';

/** How to read and write one kind of value. `read` throws InvalidValue. */
export interface ValueKind<T> {
  /** For the documentation: the type and its range. */
  readonly description: string;
  /** `current` is the value in force, for settings that are given in parts. */
  read(text: string, current: T): T;
  /** What CONFIG GET shows and what a configuration file holds (before quoting). */
  write(value: T): string;
}

/** Why a text is no value; the caller knows the name. */
export class InvalidValue extends KahunaError<'invalid-value'> {
  constructor(reason: string) {
    super('invalid-value', reason);
  }
}

interface Range {
  readonly min: number;
  /** At most 2^53 - 1. */
  readonly max: number;
}

function checkRange(value: number, { min, max }: Range): number {
  if (value < min || value > max) throw new InvalidValue(`argument must be between ${min} and ${max} inclusive`);
  return value;
}

export function integer(range: Range, unit = ''): ValueKind<number> {
  return {
    description: `integer${unit === '' ? '' : ` (${unit})`}, ${range.min} to ${range.max}`,
    read: (text) => {
      if (!/^-?[0-9]{1,20}$/.test(text)) throw new InvalidValue("argument couldn't be parsed into an integer");
      return checkRange(Number(text), range);
    },
    write: String,
  };
}

const MEMORY_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1000,
  kb: 1024,
  m: 1000 ** 2,
  mb: 1024 ** 2,
  g: 1000 ** 3,
  gb: 1024 ** 3,
};

function readMemory(text: string): number {
  const match = /^([0-9]{1,16})([a-z]{0,2})$/i.exec(text);
  const unit = MEMORY_UNITS[(match?.[2] ?? '').toLowerCase()];
  if (match === null || unit === undefined) throw new InvalidValue('argument must be a memory value');
  return Number(match[1]) * unit;
}

/** Bytes; `1kb` is 1024, `1k` is 1000, and so on, as in Redis. */
export function memory(range: Range): ValueKind<number> {
  return {
    description: `size, ${showMemory(range.min)} to ${showMemory(range.max)}`,
    read: (text) => checkRange(readMemory(text), range),
    write: String,
  };
}

/** The shortest exact form: 64mb, 1gb, 1000. */
export function showMemory(bytes: number): string {
  for (const unit of ['gb', 'mb', 'kb']) {
    const size = MEMORY_UNITS[unit] ?? 1;
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return `${bytes}`;
}

const DURATION_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Milliseconds; `5s`, `10m`, `1h`, `7d` are understood too. */
export function duration(range: Range): ValueKind<number> {
  return {
    description: `duration, ${showDuration(range.min)} to ${showDuration(range.max)}`,
    read: (text) => {
      const match = /^([0-9]{1,15})(ms|s|m|h|d)?$/i.exec(text);
      if (match === null) throw new InvalidValue('argument must be a duration, such as 500, 500ms, 5s, 10m, 1h or 7d');
      return checkRange(Number(match[1]) * (DURATION_UNITS[(match[2] ?? '').toLowerCase()] ?? 1), range);
    },
    write: String,
  };
}

export function showDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's']) {
    const size = DURATION_UNITS[unit] ?? 1;
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}

export const yesNo: ValueKind<boolean> = {
  description: 'yes or no',
  read: (text) => {
    const lower = text.toLowerCase();
    if (lower !== 'yes' && lower !== 'no') throw new InvalidValue("argument must be 'yes' or 'no'");
    return lower === 'yes';
  },
  write: (value) => (value ? 'yes' : 'no'),
};

/** One of a closed set, in any letter case; `synonyms` are read, never written. */
export function oneOf<const T extends string>(
  choices: readonly T[],
  synonyms: Readonly<Record<string, T>> = {},
): ValueKind<T> {
  return {
    description: choices.join(', '),
    read: (text) => {
      const lower = text.toLowerCase();
      const choice =
        choices.find((candidate) => candidate === lower) ??
        (Object.hasOwn(synonyms, lower) ? synonyms[lower] : undefined);
      if (choice === undefined) {
        throw new InvalidValue(`argument(s) must be one of the following: ${choices.join(', ')}`);
      }
      return choice;
    },
    write: (value) => value,
  };
}

interface TextOptions {
  readonly description?: string;
  readonly pattern?: RegExp;
  /** Said when `pattern` does not match. */
  readonly reason?: string;
  /** Characters. */
  readonly max?: number;
}

/** One line of text. Control characters are refused, so that no value can add a line to a file or a log. */
export function text(options: TextOptions = {}): ValueKind<string> {
  const max = options.max ?? 1024;
  return {
    description: options.description ?? 'text',
    read: (value) => {
      if (hasControlCharacter(value)) throw new InvalidValue('argument must not contain control characters');
      if (value.length > max) throw new InvalidValue(`argument must have at most ${max} characters`);
      if (options.pattern?.test(value) === false) throw new InvalidValue(options.reason ?? 'argument is malformed');
      return value;
    },
    write: (value) => value,
  };
}

function hasControlCharacter(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code < 32 || code === 127) return true;
  }
  return false;
}

/** Words between blanks. */
export const addressList: ValueKind<readonly string[]> = {
  description: 'addresses, separated by blanks; * = all, a leading - = no error if the address is not there',
  read: (value) => {
    const words = value.split(/\s+/).filter((word) => word !== '');
    for (const word of words) {
      if (!/^-?(\*|::\*|[0-9A-Za-z.:%_-]+)$/.test(word)) throw new InvalidValue(`"${cut(word)}" is no address`);
    }
    if (words.length > 16) throw new InvalidValue('Too many bind addresses specified.');
    return words;
  },
  write: (value) => value.join(' '),
};

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface NamedHostPort extends HostPort {
  readonly name: string;
}

/** Node names appear in addresses, file names and log lines. */
export const NODE_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

function readHostPort(word: string): HostPort {
  const match = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^:[\]=,\s]+)):([0-9]{1,5})$/.exec(word);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || !(port >= 1 && port <= 65_535)) {
    throw new InvalidValue(`"${cut(word)}" is not host:port (an IPv6 address goes in brackets)`);
  }
  return { host, port };
}

function writeHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

const splitList = (value: string): string[] => value.split(/[\s,]+/).filter((word) => word !== '');

export const hostPortList: ValueKind<readonly HostPort[]> = {
  description: 'host:port, separated by commas',
  read: (value) => splitList(value).map(readHostPort),
  write: (value) => value.map(writeHostPort).join(','),
};

export const memberList: ValueKind<readonly NamedHostPort[]> = {
  description: 'name=host:port, separated by commas',
  read: (value) => {
    const members = splitList(value).map((word) => {
      const at = word.indexOf('=');
      const name = word.slice(0, Math.max(at, 0));
      if (!NODE_NAME.test(name)) throw new InvalidValue(`"${cut(word)}" is not name=host:port`);
      return { name, ...readHostPort(word.slice(at + 1)) };
    });
    mustDiffer(members.map((member) => member.name));
    mustDiffer(members.map(writeHostPort));
    return members;
  },
  write: (value) => value.map((member) => `${member.name}=${writeHostPort(member)}`).join(','),
};

function mustDiffer(words: readonly string[]): void {
  const twice = words.find((word, i) => words.indexOf(word) !== i);
  if (twice !== undefined) throw new InvalidValue(`"${cut(twice)}" is given twice`);
}

/** 0 = no limit. */
export interface OutputLimit {
  readonly hardBytes: number;
  readonly softBytes: number;
  readonly softSeconds: number;
}

export interface OutputLimits {
  readonly normal: OutputLimit;
  readonly replica: OutputLimit;
  readonly pubsub: OutputLimit;
}

const OUTPUT_CLASSES: ReadonlyMap<string, keyof OutputLimits> = new Map([
  ['normal', 'normal'],
  ['slave', 'replica'],
  ['replica', 'replica'],
  ['pubsub', 'pubsub'],
]);

/** Groups of class, hard limit, soft limit, seconds; classes that are not named keep their limits. */
export const outputLimits: ValueKind<OutputLimits> = {
  description: 'groups of: class (normal, replica, pubsub), hard limit, soft limit, seconds',
  read: (value, current) => {
    const words = value.split(/\s+/).filter((word) => word !== '');
    if (words.length === 0 || words.length % 4 !== 0) {
      throw new InvalidValue('Wrong number of arguments in buffer limit configuration.');
    }
    let limits = current;
    for (let i = 0; i < words.length; i += 4) {
      const [name = '', hard = '', soft = '', seconds = ''] = words.slice(i, i + 4);
      const kind = OUTPUT_CLASSES.get(name.toLowerCase());
      if (kind === undefined) throw new InvalidValue('Invalid client class specified in buffer limit configuration.');
      limits = { ...limits, [kind]: readOutputLimit(hard, soft, seconds) };
    }
    return limits;
  },
  write: ({ normal, replica, pubsub }) =>
    `normal ${writeOutputLimit(normal)} slave ${writeOutputLimit(replica)} pubsub ${writeOutputLimit(pubsub)}`,
};

function readOutputLimit(hard: string, soft: string, seconds: string): OutputLimit {
  if (!/^[0-9]{1,9}$/.test(seconds) || !/^[0-9]/.test(hard) || !/^[0-9]/.test(soft)) throw badOutputLimit();
  try {
    return { hardBytes: readMemory(hard), softBytes: readMemory(soft), softSeconds: Number(seconds) };
  } catch (cause) {
    if (cause instanceof InvalidValue) throw badOutputLimit();
    throw cause;
  }
}

const badOutputLimit = (): InvalidValue =>
  new InvalidValue('Error in hard, soft or soft_seconds setting in buffer limit configuration.');

function writeOutputLimit({ hardBytes, softBytes, softSeconds }: OutputLimit): string {
  return `${hardBytes} ${softBytes} ${softSeconds}`;
}

/** A fact that clients read and nobody can change; giving the same value again is no error. */
export function fixed(value: string): ValueKind<string> {
  return {
    description: `always "${value}"`,
    read: (given) => {
      if (given.toLowerCase() !== value.toLowerCase()) throw new InvalidValue(`is always "${value}" in Kahuna`);
      return value;
    },
    write: () => value,
  };
}

function cut(word: string): string {
  return word.length > 64 ? `${word.slice(0, 64)}…` : word;
}
