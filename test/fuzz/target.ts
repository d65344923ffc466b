/** What can be fuzzed: a door through which foreign bytes come in, and what must hold whatever they are. */

export interface FuzzTarget {
  /** Also the name of its folder in the corpus. */
  readonly name: string;
  /** What is fed, and what is asserted, in one line. */
  readonly about: string;
  /** Inputs to start from, beside the corpus: valid ones, so that mutations reach far. */
  readonly seeds: () => readonly Uint8Array[];
  /** Pieces worth inserting: magic numbers, keywords, separators. */
  readonly words?: readonly (string | Uint8Array)[];
  /** Longest input that is made, in bytes; 512 if not given. */
  readonly bytesMax?: number;
  /** Longest time for one input, in ms of real time; 1000 if not given. */
  readonly msMax?: number;
  /** Memory that one input may allocate, in bytes; 96 MiB if not given. */
  readonly memoryBytesMax?: number;
  /** Makes ready what inputs share. */
  open(): Promise<FuzzSubject> | FuzzSubject;
}

export interface FuzzSubject {
  /** Throws, or rejects, if a rule is broken. Must not depend on the inputs before it. */
  run(input: Buffer): Promise<void> | void;
  close?(): Promise<void> | void;
}

export const DEFAULTS = { bytesMax: 512, msMax: 1_000, memoryBytesMax: 96 * 1024 * 1024 } as const;
