/**
 * What sessions do once per turn of the event loop, instead of once per command: send their replies, and go on reading
 * after they had to wait. One callback a turn for all sessions together. (Hot path: `mark` runs once a reply.)
 */
import type { Timers } from '../base/platform.ts';
import { ReplyBuffer } from '../resp/encode.ts';

export interface TurnMember {
  /** Owned by the TurnQueue. */
  isMarked: boolean;
  /** True asks for another call in the next turn. */
  endOfTurn(): boolean;
}

/** Reply buffers that lie ready; more are built when more sessions answer in one turn. */
const SPARE_BUFFERS_MAX = 64;

export class TurnQueue {
  readonly #timers: Timers;
  #marked: TurnMember[] = [];
  #isScheduled = false;
  readonly #spareBuffers: ReplyBuffer[] = [];
  readonly #run: () => void;

  constructor(timers: Timers) {
    this.#timers = timers;
    this.#run = () => {
      this.#runMarked();
    };
  }

  /** `endOfTurn` of the member will be called once, at the end of this turn. */
  mark(member: TurnMember): void {
    if (member.isMarked) return;
    member.isMarked = true;
    this.#marked.push(member);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#timers.endOfTurn(this.#run);
  }

  /** Sessions hold a buffer only between their first reply of a turn and its end, so idle ones cost none. */
  borrowBuffer(): ReplyBuffer {
    return this.#spareBuffers.pop() ?? new ReplyBuffer();
  }

  /** The buffer must be empty. */
  returnBuffer(buffer: ReplyBuffer): void {
    if (this.#spareBuffers.length < SPARE_BUFFERS_MAX) this.#spareBuffers.push(buffer);
  }

  #runMarked(): void {
    const members = this.#marked;
    this.#marked = [];
    this.#isScheduled = false;
    for (const member of members) {
      // Stays marked until it is through: what it does to itself belongs to this run.
      const wantsAnother = member.endOfTurn();
      member.isMarked = false;
      if (wantsAnother) this.mark(member);
    }
  }
}
