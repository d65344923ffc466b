/**
 * The process that loses its power: opens the log of argv[2] on the real disk and changes it at random (seed argv[3]) until it
 * is killed. On its output, unbuffered: "open <hash>" of the state found, "issue <hash>" before a flush, "ack <hash>" after it.
 */
import { writeSync } from 'node:fs';
import process from 'node:process';
import { crc32 } from '../../src/base/checksum.ts';
import { silentLogger } from '../../src/base/log.ts';
import { FATAL_EXIT_CODES, type ProcessControl } from '../../src/base/platform.ts';
import { nodeDisk } from '../../src/node/platform-disk.ts';
import { openRaftLog } from '../../src/storage/log/open.ts';
import { SeededRandom } from '../../test/doubles/seeded-random.ts';
import { LogModel, textOf } from '../../test/storage/log/model.ts';

const STDOUT = 1;
const [, , directory = '', seed = '1'] = process.argv;

const control: ProcessControl = {
  machineBootId: '',
  fatal: (reason, message): never => {
    say(`fatal ${reason} ${message}`);
    process.exit(FATAL_EXIT_CODES[reason]);
  },
};

const random = new SeededRandom(Number(seed));
const log = await openRaftLog({
  disk: nodeDisk,
  directory,
  identity: { clusterId: 'powercut', nodeId: 1 },
  process: control,
  log: silentLogger,
  random,
  segmentBytes: 64 * 1024,
});
const model = LogModel.of(log.recovered);
say(`open ${hashOf(textOf(log.recovered))}`);
next();

function next(): void {
  const changes = 1 + random.below(6);
  while (changes > 0 && !log.hasStaged) {
    for (let i = 0; i < changes; i++) model.change(random, log, { groups: 4, dataBytesMax: 3000, compactionOdds: 0.1 });
  }
  const hash = hashOf(model.text());
  say(`issue ${hash}`);
  log.flush(() => {
    say(`ack ${hash}`);
    next();
  });
}

/** The pipe may be full for a moment; nothing may happen before the line is in it. */
function say(line: string): void {
  const bytes = Buffer.from(`${line}\n`);
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(STDOUT, bytes, written);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    }
  }
}

function hashOf(text: string): string {
  return `${text.length}-${crc32(Buffer.from(text)).toString(16)}`;
}
