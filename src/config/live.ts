/**
 * The settings in force: a snapshot of values that is replaced as a whole, how CONFIG SET changes it, and what CONFIG
 * GET shows. Reading is a property access: `settings.values['command-timeout']`.
 */
import { KahunaError } from '../base/errors.ts';
import { InvalidValue } from './kinds.ts';
import { SETTINGS, type SettingName, type SettingRow, type SettingValues } from './settings.ts';

export type SettingErrorCode = 'unknown' | 'immutable' | 'invalid' | 'duplicate' | 'malformed' | 'unreadable';

/** A setting that cannot be; nothing was changed. */
export class SettingError extends KahunaError<SettingErrorCode> {
  /** As it was given; null if no single setting is at fault. */
  readonly setting: string | null;
  /** Without the name; never holds the value of a secret. */
  readonly reason: string;

  constructor(code: SettingErrorCode, setting: string | null, reason: string) {
    super(code, setting === null ? reason : `${setting}: ${reason}`);
    this.setting = setting;
    this.reason = reason;
  }
}

/** What is shown in place of a secret. */
export const SECRET_STARS = '********';

/** Any row; its own kind reads what its own kind wrote, so the value type does not matter here. */
type AnyRow = SettingRow<unknown>;

export const SETTING_NAMES: readonly SettingName[] = Object.keys(SETTINGS).filter(isSettingName);

const NAMES_BY_ALIAS = new Map<string, SettingName>(
  SETTING_NAMES.flatMap((name) => [name, ...rowOf(name).aliases].map((alias) => [alias, name] as const)),
);

function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name);
}

export function rowOf(name: SettingName): AnyRow {
  // Each row pairs a kind with values of its own type; the table's type keeps them together (see SettingValues).
  return SETTINGS[name];
}

/** The setting that a name or alias stands for, in any letter case. */
export function findSetting(given: string): SettingName | undefined {
  return NAMES_BY_ALIAS.get(given.toLowerCase());
}

export function defaultValues(): SettingValues {
  const entries = SETTING_NAMES.map((name) => [name, rowOf(name).default] as const);
  return Object.fromEntries(entries) as unknown as SettingValues;
}

/** `values` with one setting read from text. Throws SettingError ('invalid'). */
export function withText(values: SettingValues, name: SettingName, text: string): SettingValues {
  try {
    return { ...values, [name]: rowOf(name).kind.read(text, values[name]) };
  } catch (error) {
    if (error instanceof InvalidValue) throw new SettingError('invalid', name, error.message);
    throw error;
  }
}

/** The value as text, secrets too: for files, not for eyes. */
export function textOf(values: SettingValues, name: SettingName): string {
  return rowOf(name).kind.write(values[name]);
}

/** What one setting demands of another. Throws SettingError. */
export function checkTogether(values: SettingValues): void {
  if (values['heartbeat-interval'] * 3 > values['election-timeout']) {
    throw new SettingError('invalid', 'heartbeat-interval', 'must be at most a third of election-timeout');
  }
  const members = values['initial-cluster'];
  if (members.length > 0) {
    if (values.join.length > 0) throw new SettingError('invalid', 'join', 'cannot be given with initial-cluster');
    if (!members.some(({ name }) => name === values['node-id'])) {
      throw new SettingError('invalid', 'initial-cluster', `does not name this node (node-id ${values['node-id']})`);
    }
  }
}

type Listener = (values: SettingValues) => void;

/** One per node. */
export class Settings {
  /** Replaced by `set`; whoever keeps a reference keeps the values of that moment. */
  private current: SettingValues;
  private readonly listeners = new Map<SettingName, Listener[]>();

  constructor(values: SettingValues = defaultValues()) {
    checkTogether(values);
    this.current = values;
  }

  get values(): SettingValues {
    return this.current;
  }

  /**
   * CONFIG SET name text …: all of it, or nothing and a SettingError that names the first setting at fault; names are
   * judged before values (config.c configSetCommand). Listeners of what changed are called before this returns.
   */
  set(changes: readonly (readonly [name: string, text: string])[]): void {
    const named = new Map<SettingName, string>();
    for (const [given, text] of changes) {
      const name = findSetting(given);
      if (name === undefined) throw new SettingError('unknown', given, 'no such setting');
      if (!rowOf(name).isLive) throw new SettingError('immutable', given, "can't set immutable config");
      if (named.has(name)) throw new SettingError('duplicate', given, 'duplicate parameter');
      named.set(name, text);
    }
    let values = this.current;
    for (const [name, text] of named) values = withText(values, name, text);
    checkTogether(values);
    const before = this.current;
    this.current = values;
    for (const name of named.keys()) {
      if (textOf(before, name) === textOf(values, name)) continue;
      for (const listener of this.listeners.get(name) ?? []) listener(values);
    }
  }

  /** Calls `listener` after each change of the setting, with all values; the listener must not throw. */
  onChange(name: SettingName, listener: Listener): void {
    const listeners = this.listeners.get(name);
    if (listeners === undefined) this.listeners.set(name, [listener]);
    else listeners.push(listener);
  }

  /** CONFIG GET: name and text of what `matches` (asked with names and aliases, lower case); secrets are stars. */
  shown(matches: (name: string) => boolean): [name: string, text: string][] {
    const shown: [string, string][] = [];
    for (const [alias, name] of NAMES_BY_ALIAS) {
      if (!matches(alias)) continue;
      const text = textOf(this.current, name);
      shown.push([alias, rowOf(name).isSecret && text !== '' ? SECRET_STARS : text]);
    }
    return shown;
  }
}
