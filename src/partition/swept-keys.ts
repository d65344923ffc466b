/** What the sweep does with the records that it meets: a key that is in memory knows better than a record that was read before. */
import type { Space } from '../values/value.ts';
import { KeyLocked, KeyNotResident } from './evaluation-ends.ts';
import type { EvaluationView } from './evaluation-view.ts';
import type { ScannedRecord } from './record-reader.ts';
import type { SweepTarget } from './sweeper.ts';
import type { TenureHost } from './tenure-host.ts';

/** What it needs of the tenure whose keys these are. */
export interface SweptKeysHost {
  readonly view: EvaluationView;
  readonly host: Pick<TenureHost, 'isBackedUp' | 'reader'>;
  isOver(): boolean;
  /** See SweepTarget. */
  lookAt(atMs: number): void;
  /** Begins an evaluation of nobody's request. */
  begin(): void;
  /** Its changes stay. */
  keepChanges(): void;
  /** Brings a long value into memory. */
  loadKey(missing: KeyNotResident): Promise<void>;
}

export class SweptKeys implements SweepTarget {
  readonly #host: SweptKeysHost;

  constructor(host: SweptKeysHost) {
    this.#host = host;
  }

  get isOver(): boolean {
    return this.#host.isOver();
  }

  get isBusy(): boolean {
    return this.#host.host.isBackedUp;
  }

  lookAt(atMs: number): void {
    this.#host.lookAt(atMs);
  }

  /** Deletes what is dead or expired. */
  sweep(records: readonly ScannedRecord[]): number {
    const { view, host } = this.#host;
    this.#host.begin();
    let swept = 0;
    for (const record of records) {
      const { space, key } = record;
      if (record.timestamp <= view.flushedAt(space)) {
        if (view.residents.get(space, key) !== undefined) continue;
        // The page was read a while ago: the key may have been set since, applied, and have left memory again.
        if (host.reader.storedTimestamp(record.recordKey) !== record.timestamp) continue;
        view.dropDead(record.recordKey, record.timestamp);
        swept++;
      } else if (record.isKeyRecord && record.expiresAtMs !== 0 && record.expiresAtMs <= view.nowMs) {
        this.#expireStored(space, key);
        swept++;
      }
    }
    if (view.hasChanged) this.#host.keepChanges();
    return swept;
  }

  #expireStored(space: Space, key: string): void {
    const { view, host } = this.#host;
    try {
      view.peek(space, key);
    } catch (thrown) {
      // A transaction holds it: it is in memory, and comes up again when it is free.
      if (thrown instanceof KeyLocked) return;
      if (!(thrown instanceof KeyNotResident)) throw thrown;
      // A long value: once in memory it is in the expiry heap.
      this.#host.loadKey(thrown).catch((error: unknown) => {
        // The store may be closed by now.
        if (!this.isOver) host.reader.fail(error);
      });
    }
  }
}
