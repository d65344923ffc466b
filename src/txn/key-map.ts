/** A map by key. Each space has its own, so that a lookup puts no name together. */
import type { Space } from '../values/value.ts';

export class KeyMap<T> {
  readonly #spaces: (Map<string, T> | undefined)[] = [];

  get(space: Space, key: string): T | undefined {
    return this.#spaces[space]?.get(key);
  }

  set(space: Space, key: string, value: T): void {
    let own = this.#spaces[space];
    if (own === undefined) {
      own = new Map();
      this.#spaces[space] = own;
    }
    own.set(key, value);
  }
}
