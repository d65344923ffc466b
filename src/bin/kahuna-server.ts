#!/usr/bin/env node
/** The server program: arguments, exit codes, signals. */
import { readFileSync } from 'node:fs';
import { KahunaError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { FATAL_EXIT_CODES } from '../base/platform.ts';
import { helpText } from '../config/describe.ts';
import { Settings } from '../config/live.ts';
import { readStartRequest, type StartRequest } from '../config/parse.ts';
import { type RunningNode, startNode } from '../node/compose.ts';
import { boundHeapGrowth } from '../node/heap-growth.ts';
import { createLogger } from '../node/pino-log.ts';
import { createNodePlatform } from '../node/platform-node.ts';
import { openPlatformStore } from '../node/platform-store.ts';
import { readProcessFacts } from '../node/process-facts.ts';
import { readVersion } from '../node/version.ts';

async function main(): Promise<void> {
  const request = readRequest();
  if (request.kind === 'help') {
    process.stdout.write(helpText());
    return;
  }
  if (request.kind === 'version') {
    process.stdout.write(`kahuna-server ${readVersion()}\n`);
    return;
  }
  await serve(request);
}

function readRequest(): StartRequest {
  try {
    return readStartRequest({
      arguments: process.argv.slice(2),
      environment: process.env,
      readFile: (path) => readFileSync(path, 'utf8'),
    });
  } catch (error) {
    return refuse(error, FATAL_EXIT_CODES.configuration);
  }
}

async function serve(request: StartRequest & { readonly kind: 'start' }): Promise<void> {
  const settings = new Settings(request.values);
  const { values } = settings;
  const { logger, setLevel } = createLogger(values.loglevel, { isForPeople: process.stdout.isTTY });
  settings.onChange('loglevel', (changed) => {
    setLevel(changed.loglevel);
  });
  const platform = createNodePlatform(logger);
  process.on('uncaughtException', (error) => platform.process.fatal('invariant', error.message, error));
  process.on('unhandledRejection', (error) =>
    platform.process.fatal('invariant', 'a rejection was not handled', error),
  );

  let isClosing = false;
  const stop = (handOverMs: number): void => {
    if (isClosing) return;
    isClosing = true;
    logger.info('shutting down');
    running
      .then((node) => node.close(handOverMs))
      .then(
        () => {
          logger.info('bye');
          process.exit(0);
        },
        (error: unknown) => platform.process.fatal('invariant', 'the shutdown failed', error),
      );
  };
  const running = startNode({
    platform,
    settings,
    log: logger,
    version: readVersion(),
    facts: readProcessFacts(),
    configPath: request.configFile ?? '',
    openStore: (directory) =>
      openPlatformStore({
        directory,
        disk: platform.disk,
        process: platform.process,
        log: logger,
        cacheBytes: values['data-cache-size'],
        writeBufferBytes: values['data-write-buffer-size'],
      }),
    onShutdown: ({ isImmediate }) => {
      stop(isImmediate ? 0 : settings.values['shutdown-timeout'] * 1_000);
    },
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      stop(settings.values['shutdown-timeout'] * 1_000);
    });
  }
  try {
    const node = await running;
    logger.info('waiting for a leader of each partition', { port: node.server.port });
    sayWhenReady(node, logger);
  } catch (error) {
    refuse(error, START_EXIT_CODES.get(codeOf(error)) ?? FATAL_EXIT_CODES.configuration);
  }
}

/** How a start that was refused ends; any other refusal is a matter of settings. */
const START_EXIT_CODES: ReadonlyMap<unknown, number> = new Map([
  ['LISTEN', FATAL_EXIT_CODES.listen],
  ['LOCKED', FATAL_EXIT_CODES.wrongDirectory],
]);

const READY_CHECK_MS = 20;

/** Clients are accepted before: their commands wait until the leader is known, within their deadlines. */
function sayWhenReady(node: RunningNode, logger: Logger): void {
  const timer = setInterval(() => {
    if (!node.cluster.isReady) return;
    clearInterval(timer);
    logger.info('ready', { port: node.server.port });
  }, READY_CHECK_MS);
  timer.unref();
}

function codeOf(error: unknown): unknown {
  return error instanceof KahunaError ? error.code : undefined;
}

/** Says in one line why the server does not start. */
function refuse(error: unknown, code: number): never {
  if (!(error instanceof KahunaError)) throw error;
  process.stderr.write(`kahuna-server: ${error.message}\n`);
  process.exit(code);
}

boundHeapGrowth();
await main();
