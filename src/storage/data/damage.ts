/** What is stored under some key and cannot be right: whoever meets it while looking through everything can tell whose it is. */
import { KahunaError } from '../../base/errors.ts';

export class StoredDamage extends KahunaError<'DATA_DAMAGED'> {
  /** Of the key, as far as that can be believed. */
  readonly slot: number;

  /** `told` says what is wrong; `key` may be of any length. */
  constructor(key: Uint8Array, told: string) {
    super('DATA_DAMAGED', `${told}; rebuild this replica from its peers`);
    this.slot = ((key[0] ?? 0) << 8) | (key[1] ?? 0);
  }
}
