/**
 * The naive twin of the log: plain maps, everything copied, one text for the whole state. A history of changes is played to
 * both; whatever the log recovers must be the text of a moment that the rules allow.
 */
import { crc32 } from '../../../src/base/checksum.ts';
import type { GroupId } from '../../../src/base/ids.ts';
import type { LogCheckpoint, LogEntry, LogHardState, RaftLog, RecoveredGroup } from '../../../src/storage/log/types.ts';
import type { SeededRandom } from '../../doubles/seeded-random.ts';

interface ModelGroup {
  hardState: LogHardState;
  checkpoint: LogCheckpoint;
  compacted: { index: number; term: number };
  entries: LogEntry[];
}

export interface ChangeSizes {
  readonly groups: number;
  readonly dataBytesMax: number;
  /** Probability that a change is a compaction, at most 0.2. */
  readonly compactionOdds: number;
}

const NO_BYTES = new Uint8Array(0);

export class LogModel {
  readonly groups = new Map<GroupId, ModelGroup>();

  /** Takes over what a log recovered. */
  static of(recovered: ReadonlyMap<GroupId, RecoveredGroup>): LogModel {
    const model = new LogModel();
    for (const [id, { hardState, checkpoint, compacted, entries }] of recovered) {
      model.groups.set(id, { hardState, checkpoint, compacted, entries: [...entries] });
    }
    return model;
  }

  text(): string {
    return textOf(this.groups);
  }

  group(id: GroupId): ModelGroup {
    let group = this.groups.get(id);
    if (group === undefined) {
      group = {
        hardState: { term: 0, vote: 0, commit: 0 },
        checkpoint: { index: 0, term: 0, state: NO_BYTES },
        compacted: { index: 0, term: 0 },
        entries: [],
      };
      this.groups.set(id, group);
    }
    return group;
  }

  lastIndex(id: GroupId): number {
    const { entries, compacted } = this.group(id);
    return entries.at(-1)?.index ?? compacted.index;
  }

  /** Draws a change that Raft could ask for, and makes it here and in `log`. */
  change(random: SeededRandom, log: RaftLog, sizes: ChangeSizes): void {
    const id = random.below(sizes.groups);
    const known = this.groups.has(id);
    const roll = random.float();
    if (known && roll < sizes.compactionOdds) this.#compact(random, log, id);
    else if (!known || roll < 0.65) this.#append(random, log, { id, dataBytesMax: sizes.dataBytesMax });
    else if (roll < 0.8) this.#vote(random, log, id);
    else if (roll < 0.94) this.#checkpoint(random, log, id);
    else if (roll < 0.97) this.#reset(random, log, id);
    else {
      this.groups.delete(id);
      log.stageRemoval(id);
    }
  }

  #append(random: SeededRandom, log: RaftLog, options: { readonly id: GroupId; readonly dataBytesMax: number }): void {
    const { id, dataBytesMax } = options;
    const group = this.group(id);
    const last = this.lastIndex(id);
    const lowest = Math.max(group.checkpoint.index, group.compacted.index) + 1;
    const first = random.chance(0.8) ? last + 1 : lowest + random.below(last + 2 - lowest);
    const entries: LogEntry[] = [];
    const count = 1 + random.below(3);
    for (let i = 0; i < count; i++) {
      const data = random.bytes(random.chance(0.2) ? 0 : random.below(dataBytesMax));
      // Zeros are what an unwritten sector looks like: they must work as data.
      if (random.chance(0.2)) data.fill(0);
      entries.push({ term: group.hardState.term, index: first + i, type: random.below(2), data });
    }
    group.entries = [...group.entries.filter((entry) => entry.index < first), ...entries];
    log.stageEntries(id, entries);
  }

  #vote(random: SeededRandom, log: RaftLog, id: GroupId): void {
    const group = this.group(id);
    const { term, vote } = group.hardState;
    const isNewTerm = random.chance(0.5);
    group.hardState = {
      term: isNewTerm ? term + 1 + random.below(3) : term,
      vote: isNewTerm || vote === 0 ? random.below(4) : vote,
      commit: random.below(this.lastIndex(id) + 1),
    };
    log.stageHardState(id, group.hardState);
  }

  #checkpoint(random: SeededRandom, log: RaftLog, id: GroupId): void {
    const group = this.group(id);
    const { index } = group.checkpoint;
    group.checkpoint = {
      index: index + random.below(this.lastIndex(id) - index + 1),
      term: group.hardState.term,
      state: random.bytes(random.below(60)),
    };
    log.stageCheckpoint(id, group.checkpoint);
  }

  #compact(random: SeededRandom, log: RaftLog, id: GroupId): void {
    const group = this.group(id);
    const { index } = group.compacted;
    const upTo = index + random.below(group.checkpoint.index - index + 1);
    group.compacted = {
      index: upTo,
      term: group.entries.find((entry) => entry.index === upTo)?.term ?? group.compacted.term,
    };
    group.entries = group.entries.filter((entry) => entry.index > upTo);
    log.stageCompaction(id, group.compacted);
  }

  #reset(random: SeededRandom, log: RaftLog, id: GroupId): void {
    const group = this.group(id);
    const index = this.lastIndex(id) + random.below(5);
    group.checkpoint = { index, term: group.hardState.term, state: random.bytes(random.below(60)) };
    group.compacted = { index, term: group.hardState.term };
    group.entries = [];
    log.stageReset(id, group.checkpoint);
  }
}

/** One text for the state of all groups: equal texts, equal states. */
export function textOf(groups: ReadonlyMap<GroupId, RecoveredGroup | ModelGroup>): string {
  const lines: string[] = [];
  for (const [id, group] of [...groups].sort(([a], [b]) => a - b)) {
    const { hardState, checkpoint, compacted, entries } = group;
    lines.push(`group ${id}: term ${hardState.term} vote ${hardState.vote} commit ${hardState.commit}`);
    lines.push(
      `  checkpoint ${checkpoint.term}/${checkpoint.index} ${bytesText(checkpoint.state)} compacted ${compacted.term}/${compacted.index}`,
    );
    for (const entry of entries)
      lines.push(`  ${entry.term}/${entry.index} type ${entry.type} ${bytesText(entry.data)}`);
  }
  return lines.join('\n');
}

function bytesText(bytes: Uint8Array): string {
  return `${bytes.length}:${crc32(bytes).toString(16)}`;
}
