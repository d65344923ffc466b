/**
 * What the core costs:  npm run raft:bench
 * Three nodes without a disk or a network; a turn proposes a batch, its messages go through their bytes, and the batch
 * is committed and applied everywhere. Printed is the processor time of all three cores and codecs together.
 */
import { decodeMessage, encodeMessage } from '../../src/raft/codec.ts';
import { RaftCore } from '../../src/raft/core.ts';
import { BLANK_CONF } from '../../src/raft/membership.ts';
import type { Message } from '../../src/raft/types.ts';
import { WireWriter } from '../../src/raft/wire.ts';

const TURNS = 40_000;
const ENTRY = new Uint8Array(100);

const snapshot = { index: 0, term: 0, confState: { ...BLANK_CONF, voters: [1, 2, 3] } };
const config = {
  electionTicks: 10,
  heartbeatTicks: 1,
  appendBytesMax: 1 << 20,
  inflightMessagesMax: 256,
  inflightBytesMax: 16 << 20,
  uncommittedBytesMax: 64 << 20,
  randomU32: () => 0,
};
const hardState = { term: 0, vote: 0, commit: 0 };
const cores = [1, 2, 3].map((id) => new RaftCore({ ...config, id }, { hardState, snapshot, entries: [], applied: 0 }));
const writer = new WireWriter();

function carry(messages: readonly Message[], queue: Message[]): void {
  for (const message of messages) {
    writer.clear();
    encodeMessage(message, writer);
    queue.push(decodeMessage(writer.peek()));
  }
}

function settle(): void {
  for (let isMoving = true; isMoving; ) {
    isMoving = false;
    const queue: Message[] = [];
    for (const core of cores) {
      if (!core.hasReady()) continue;
      isMoving = true;
      const ready = core.ready();
      carry(ready.messages, queue);
      carry(ready.messagesAfterPersist, queue);
      core.persisted(ready.number);
      const last = ready.committed[ready.committed.length - 1];
      if (last !== undefined) core.applied(last.index);
    }
    for (const message of queue) cores[message.to - 1]?.step(message);
  }
}

function measure(name: string, turn: (leader: RaftCore) => void): void {
  const [leader] = cores;
  if (leader === undefined) return;
  for (let pass = 0; pass < 2; pass++) {
    const started = process.cpuUsage();
    for (let i = 0; i < TURNS; i++) {
      turn(leader);
      settle();
      if (i % 1000 === 0) for (const core of cores) core.compact(core.appliedIndex);
    }
    const { user, system } = process.cpuUsage(started);
    const us = (user + system) / TURNS;
    if (pass === 1) console.log(`${name}: ${us.toFixed(2)} µs a turn`);
  }
}

cores[0]?.campaign();
settle();
measure('1 entry of 100 bytes', (leader) => leader.propose(ENTRY));
measure('16 entries of 100 bytes', (leader) => {
  for (let i = 0; i < 16; i++) leader.propose(ENTRY);
});
measure('1 read round', (leader) => leader.readIndex(1));
