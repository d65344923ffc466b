#!/usr/bin/env node
/** A small shell for a node: one command, commands from a pipe, or a prompt. */
import { KahunaError } from '../base/errors.ts';
import { readVersion } from '../node/version.ts';
import { CLI_USAGE, type CliRequest, readCliArguments } from './cli-arguments.ts';
import { runCli } from './cli-shell.ts';

const EXIT_USAGE = 64;

function readRequest(): CliRequest | null {
  try {
    return readCliArguments(process.argv.slice(2), process.env);
  } catch (error) {
    if (!(error instanceof KahunaError)) throw error;
    process.stderr.write(`kahuna-cli: ${error.message}\n`);
    return null;
  }
}

async function main(): Promise<number> {
  const request = readRequest();
  if (request === null) return EXIT_USAGE;
  if (request.kind === 'help') {
    process.stdout.write(CLI_USAGE);
    return 0;
  }
  if (request.kind === 'version') {
    process.stdout.write(`kahuna-cli ${readVersion()}\n`);
    return 0;
  }
  return runCli(request.options);
}

// A reader that has seen enough (`kahuna-cli keys '*' | head`) is no error.
process.stdout.on('error', () => process.exit(0));
process.exitCode = await main();
