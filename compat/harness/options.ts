/** Command lines of the compat programs: `--name value` and `--flag`, nothing unknown accepted. */

export interface OptionSpec {
  readonly [name: string]: { readonly default: string | number | boolean; readonly doc: string };
}

export type OptionValues<Spec extends OptionSpec> = {
  readonly [Name in keyof Spec]: Widened<Spec[Name]['default']>;
};

type Widened<T> = T extends number ? number : T extends boolean ? boolean : string;

/** Prints help and ends the process on `--help` and on anything that it does not know. */
export function readOptions<Spec extends OptionSpec>(
  program: string,
  spec: Spec,
  argv: readonly string[],
): OptionValues<Spec> {
  const values: Record<string, string | number | boolean> = {};
  for (const [name, { default: fallback }] of Object.entries(spec)) values[name] = fallback;
  for (let index = 0; index < argv.length; index += 1) {
    const name = (argv[index] ?? '').replace(/^--/, '');
    const row = spec[name];
    if (row === undefined) endWithHelp(program, spec, name === 'help' ? 0 : 2);
    if (typeof row.default === 'boolean') {
      values[name] = true;
      continue;
    }
    index += 1;
    const text = argv[index];
    if (text === undefined) endWithHelp(program, spec, 2);
    const value = typeof row.default === 'number' ? Number(text) : text;
    if (Number.isNaN(value)) endWithHelp(program, spec, 2);
    values[name] = value;
  }
  return values as OptionValues<Spec>; // a codec from argv to the types that the spec's defaults name
}

function endWithHelp(program: string, spec: OptionSpec, code: number): never {
  console.log(`usage: ${program} [options]`);
  for (const [name, { default: fallback, doc }] of Object.entries(spec)) {
    const shown = typeof fallback === 'boolean' ? '' : ` (default ${fallback === '' ? 'none' : fallback})`;
    console.log(`  --${name.padEnd(18)} ${doc}${shown}`);
  }
  process.exit(code);
}
