/**
 * From how the server was started to settings: defaults, then the file, then the environment (KAHUNA_NAME), then the
 * command line; the later one wins. What is unknown or invalid stops the start with the name and the reason.
 */
import { readConfigFile, type ReadFile } from './file.ts';
import { checkTogether, defaultValues, findSetting, SettingError, withText } from './live.ts';
import type { SettingName, SettingValues } from './settings.ts';

export interface SettingSources {
  /** What follows the program's name. */
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly readFile: ReadFile;
}

export type StartRequest =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | {
      readonly kind: 'start';
      readonly values: SettingValues;
      /** The configuration file, for CONFIG REWRITE; null if there is none. */
      readonly configFile: string | null;
    };

const ENVIRONMENT_PREFIX = 'KAHUNA_';

/** Throws SettingError. */
export function readStartRequest(sources: SettingSources): StartRequest {
  const [first] = sources.arguments;
  if (sources.arguments.some((word) => word === '--help' || word === '-h')) return { kind: 'help' };
  if (first === '--version' || first === '-v') return { kind: 'version' };
  const configFile = first === undefined || first.startsWith('-') ? null : first;
  const flags = readFlags(configFile === null ? sources.arguments : sources.arguments.slice(1));

  let values = defaultValues();
  if (configFile !== null) {
    for (const line of readConfigFile(configFile, sources.readFile)) values = withGiven(values, line);
  }
  for (const given of readEnvironment(sources.environment)) values = withGiven(values, given);
  for (const given of flags) values = withGiven(values, given);
  values = withSecretFile(values, sources.readFile);
  checkTogether(values);
  return { kind: 'start', values, configFile };
}

interface Given {
  readonly name: SettingName;
  readonly text: string;
  /** Where it was given, for the message. */
  readonly place: string;
}

function withGiven(values: SettingValues, { name, text, place }: Given): SettingValues {
  try {
    return withText(values, name, text);
  } catch (error) {
    if (error instanceof SettingError) throw new SettingError(error.code, name, `${error.reason} (${place})`);
    throw error;
  }
}

/** `--name value…`, `--name=value`; the words up to the next flag are one value. */
function readFlags(words: readonly string[]): Given[] {
  const given: Given[] = [];
  for (let i = 0; i < words.length; ) {
    const word = words[i++] ?? '';
    if (!word.startsWith('--') || word === '--') {
      throw new SettingError('malformed', null, `unexpected argument "${word}": settings are given as --name value`);
    }
    const equals = word.indexOf('=');
    const flag = equals === -1 ? word.slice(2) : word.slice(2, equals);
    const name = findSetting(flag);
    if (name === undefined) throw new SettingError('unknown', flag, 'no such setting (see --help)');
    if (equals !== -1) {
      given.push({ name, text: word.slice(equals + 1), place: 'command line' });
      continue;
    }
    const start = i;
    while (i < words.length && words[i]?.startsWith('--') !== true) i++;
    if (i === start) throw new SettingError('invalid', flag, 'a value is missing');
    given.push({ name, text: words.slice(start, i).join(' '), place: 'command line' });
  }
  return given;
}

function readEnvironment(environment: Readonly<Record<string, string | undefined>>): Given[] {
  const given: Given[] = [];
  for (const [variable, text] of Object.entries(environment).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!variable.startsWith(ENVIRONMENT_PREFIX) || text === undefined) continue;
    const name = findSetting(variable.slice(ENVIRONMENT_PREFIX.length).replaceAll('_', '-'));
    if (name === undefined) throw new SettingError('unknown', variable, 'no such setting (environment variable)');
    given.push({ name, text, place: `environment variable ${variable}` });
  }
  return given;
}

function withSecretFile(values: SettingValues, readFile: ReadFile): SettingValues {
  const path = values['cluster-secret-file'];
  if (path === '') return values;
  if (values['cluster-secret'] !== '') {
    throw new SettingError('invalid', 'cluster-secret-file', 'cannot be given with cluster-secret');
  }
  let content: string;
  try {
    content = readFile(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SettingError('unreadable', 'cluster-secret-file', `cannot read ${path}: ${reason}`);
  }
  const secret = (content.split('\n')[0] ?? '').trim();
  if (secret === '') throw new SettingError('invalid', 'cluster-secret-file', `${path} has an empty first line`);
  return withText(values, 'cluster-secret', secret);
}
