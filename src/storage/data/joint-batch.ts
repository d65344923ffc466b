/**
 * Changes of several groups that are applied in the same turn of the event loop: one write to the store carries them all. On the hot
 * path: one call per applied batch of a group.
 */
import type { BatchWriter } from './batch-writer.ts';
import type { KeyValueStore, StoreBatch } from './key-value-store.ts';

/** Bytes of records after which the batch does not wait for the end of the turn. */
const JOINT_BYTES_MAX = 4 * 1024 * 1024;

export class JointBatch {
  readonly #store: KeyValueStore;
  readonly #writer: BatchWriter;
  #batch: StoreBatch | null = null;
  #bytes = 0;
  #whenWritten: (() => void)[] = [];

  constructor(store: KeyValueStore, writer: BatchWriter) {
    this.#store = store;
    this.#writer = writer;
  }

  /** The batch that leaves at the end of this turn. Changes are added within this turn, `added` is called after them. */
  get batch(): StoreBatch {
    if (this.#batch !== null) return this.#batch;
    void Promise.resolve().then(() => {
      this.send();
    });
    this.#batch = this.#store.batch();
    return this.#batch;
  }

  /** One group's changes are complete; `written` is called once they are in the store, never within this call. */
  added(bytes: number, written: () => void): void {
    this.#whenWritten.push(written);
    this.#bytes += bytes;
    if (this.#bytes >= JOINT_BYTES_MAX) this.send();
  }

  /** Hands over what was added, if anything was. */
  send(): void {
    const batch = this.#batch;
    if (batch === null) return;
    const whenWritten = this.#whenWritten;
    this.#batch = null;
    this.#bytes = 0;
    this.#whenWritten = [];
    this.#writer.write(batch, () => {
      for (const written of whenWritten) written();
    });
  }
}
