/** The command line of kahuna-cluster. */
import { KahunaError } from '../base/errors.ts';

const DEFAULT_PORTS = '7001,7002,7003';
const DEFAULT_DIRECTORY = 'data/cluster';

export interface ClusterArguments {
  readonly ports: readonly number[];
  readonly directory: string;
  readonly flags: readonly string[];
}

/** Throws KahunaError 'USAGE'. */
export function readClusterArguments(words: readonly string[]): ClusterArguments {
  let ports = DEFAULT_PORTS;
  let directory = DEFAULT_DIRECTORY;
  const flags: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? '';
    const [name = '', ...rest] = word.split('=');
    if (name !== '--ports' && name !== '--dir') {
      flags.push(word);
      continue;
    }
    const value = rest.length > 0 ? rest.join('=') : words[++i];
    if (value === undefined || value === '') throw new KahunaError('USAGE', `${name}: a value is missing`);
    if (name === '--ports') ports = value;
    else directory = value;
  }
  const own = flags.find((flag) => /^--(?:port|node-id|initial-cluster|cluster-port)\b/.test(flag));
  if (own !== undefined) throw new KahunaError('USAGE', `${own}: each node has its own; use --ports`);
  return { ports: readPorts(ports), directory, flags };
}

function readPorts(text: string): readonly number[] {
  const ports = text.split(',').map((word) => (/^\d{1,5}$/.test(word) ? Number(word) : 0));
  if (ports.some((port) => port < 1 || port > 65_435)) {
    throw new KahunaError('USAGE', `--ports: "${text}" is not a list of ports from 1 to 65435, as in ${DEFAULT_PORTS}`);
  }
  const all = ports.flatMap((port) => [port, port + 100]);
  if (new Set(all).size < all.length) {
    throw new KahunaError('USAGE', `--ports: "${text}": each node needs its port and the one 100 above for itself`);
  }
  return ports;
}
