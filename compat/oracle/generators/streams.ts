/** Streams of commands: single ones, damaged ones, and the sequences that chance would rarely bring together. */
import fc from 'fast-check';

import { type ClientIndex, type Delivery, numbered, type Step, type Stream } from '../steps.ts';
import { integerText, junk, key, list, options, pattern, value, weighted, words, type Words } from './arguments.ts';
import { genericCommands } from './generic.ts';
import { scriptCommands } from './scripts.ts';
import { connectionCommands, serverCommands, transactionCommands } from './session.ts';
import { bitmapCommands, stringCommands } from './strings.ts';
import type { CommandGenerator } from './table.ts';

export interface StreamOptions {
  /** Names that are not drawn, in upper case; `CLIENT` excludes all of its subcommands. */
  readonly except: ReadonlySet<string>;
  /** If not empty, only these. */
  readonly only: ReadonlySet<string>;
  /** Not drawn where a transaction is made on purpose. */
  readonly exceptInExec?: ReadonlySet<string>;
  readonly scripts: readonly string[];
  readonly lengthMax: number;
}

/** Without state of a connection: any node may answer each command. */
export function dataStreams(streamOptions: StreamOptions): fc.Arbitrary<Stream> {
  const commands = chosen(
    [...stringCommands, ...bitmapCommands, ...genericCommands, ...scriptCommands(streamOptions.scripts)],
    streamOptions,
  );
  const step = weighted([
    [30, single(commands)],
    [1, fullScan()],
  ]).map((drawn) => [drawn]);
  return stream(step, ['one-by-one', 'rotating', 'rotating', 'pipelined'], streamOptions.lengthMax);
}

/** With transactions, databases, protocol changes, and two clients that get in each other's way. */
export function sessionStreams(streamOptions: StreamOptions): fc.Arbitrary<Stream> {
  const data = chosen([...stringCommands, ...bitmapCommands, ...genericCommands], streamOptions);
  const scripts = chosen(scriptCommands(streamOptions.scripts), streamOptions);
  const session = chosen([...transactionCommands, ...connectionCommands, ...serverCommands], streamOptions);
  const own = [...data, ...scripts.map((row) => ({ ...row, weight: row.weight / 3 })), ...session];
  const anything = [...own, ...chosen(commandsAbout(own), streamOptions)];
  const step = weighted([
    [10, single(anything).map((drawn) => [drawn])],
    [3, transaction(anything.filter(({ name }) => streamOptions.exceptInExec?.has(name) !== true))],
    [2, watched(data)],
    [0.5, fullScan().map((drawn) => [drawn])],
  ]);
  return stream(step, ['one-by-one', 'one-by-one', 'pipelined'], streamOptions.lengthMax);
}

function stream(
  steps: fc.Arbitrary<readonly Step[]>,
  deliveries: readonly Delivery[],
  lengthMax: number,
): fc.Arbitrary<Stream> {
  return fc.record({
    delivery: fc.constantFrom(...deliveries),
    steps: fc.array(steps, { minLength: 1, maxLength: lengthMax, size: 'max' }).map((drawn) => numbered(drawn.flat())),
  });
}

/** Commands that are asked about a command instead of running it. */
function commandsAbout(commands: readonly CommandGenerator[]): readonly CommandGenerator[] {
  const request = command(commands);
  return [
    { name: 'COMMAND', weight: 2, args: words(fc.constantFrom('GETKEYS', 'GETKEYSANDFLAGS'), request) },
    { name: 'ACL', weight: 1, args: words('DRYRUN', fc.constantFrom('default', 'default', 'nobody'), request) },
  ];
}

function chosen(commands: readonly CommandGenerator[], { except, only }: StreamOptions): readonly CommandGenerator[] {
  return commands.filter(
    ({ name }) => !except.has(name.toUpperCase()) && (only.size === 0 || only.has(name.toUpperCase())),
  );
}

const client = weighted<ClientIndex>([
  [3, fc.constant<ClientIndex>(0)],
  [1, fc.constant<ClientIndex>(1)],
]);

function single(commands: readonly CommandGenerator[]): fc.Arbitrary<Step> {
  return fc.record({ kind: fc.constant('command' as const), client, args: command(commands) });
}

/** Mostly as its row draws it; now and then with an argument too many, too few, or of another command. */
function command(commands: readonly CommandGenerator[]): Words {
  if (commands.length === 0) return fc.constant(['PING']);
  const whole = weighted(commands.map((row) => [row.weight, words(nameLike(row.name), row.args)] as const));
  const damaged = fc.tuple(whole, fc.constantFrom('drop', 'double', 'insert', 'replace', 'cut'), fc.nat(20), junk);
  return weighted([
    [12, whole],
    [1, damaged.map(([args, damage, place, word]) => damageArgs(args, damage, place, word))],
  ]);
}

function nameLike(name: string): fc.Arbitrary<string> {
  return weighted([
    [8, fc.constant(name)],
    [1, fc.constant(name.toLowerCase())],
  ]);
}

/** The name stays: other commands have rows of their own. */
function damageArgs(args: readonly string[], damage: string, place: number, word: string): readonly string[] {
  const [name = 'PING', ...rest] = args;
  const at = rest.length === 0 ? 0 : place % rest.length;
  switch (damage) {
    case 'drop':
      return [name, ...rest.slice(0, at), ...rest.slice(at + 1)];
    case 'double':
      return [name, ...rest.slice(0, at), ...rest.slice(at, at + 1), ...rest.slice(at)];
    case 'insert':
      return [name, ...rest.slice(0, at), word, ...rest.slice(at)];
    case 'replace':
      return [name, ...rest.slice(0, at), word, ...rest.slice(at + 1)];
    default:
      return [name, ...rest.slice(0, at)];
  }
}

function fullScan(): fc.Arbitrary<Step> {
  const filters = options(
    words('MATCH', pattern),
    words('COUNT', fc.constantFrom('1', '2', '3', '10', '1000')),
    words('TYPE', fc.constantFrom('string', 'STRING', 'list')),
  );
  return fc.record({ kind: fc.constant('scan' as const), client, args: filters });
}

function transaction(commands: readonly CommandGenerator[]): fc.Arbitrary<readonly Step[]> {
  return fc
    .tuple(client, fc.array(command(commands), { maxLength: 6 }), fc.constantFrom('EXEC', 'EXEC', 'EXEC', 'DISCARD'))
    .map(([who, queued, end]) =>
      [['MULTI'], ...queued, [end]].map((args): Step => ({ kind: 'command', client: who, args })),
    );
}

/** WATCH, something that may touch the key in between from either side, then a transaction. */
function watched(commands: readonly CommandGenerator[]): fc.Arbitrary<readonly Step[]> {
  const meddling = fc.record({ kind: fc.constant('command' as const), client, args: command(commands) });
  const write = weighted<readonly string[]>([
    [2, words('SET', key, value)],
    [1, words('INCRBY', key, integerText)],
    [1, words('GET', key)],
  ]);
  return fc
    .tuple(client, list(key, 1, 2), fc.array(meddling, { maxLength: 3 }), fc.array(write, { maxLength: 3 }))
    .map(([who, keys, between, queued]) => [
      { kind: 'command' as const, client: who, args: ['WATCH', ...keys] },
      ...between,
      ...[['MULTI'], ...queued, ['EXEC']].map((args): Step => ({ kind: 'command', client: who, args })),
    ]);
}
