/**
 * The one clock and the one queue of a simulation: events in a binary heap by (time, sequence), run one by one.
 *
 * Between two events every promise that the first one settled runs to its end. That is done without a round of the event
 * loop: an event runs as a process.nextTick callback and queues a microtask, behind all others, that queues the next
 * event; Node empties the microtask queue before it looks for the next tick. Now and then the loop is let go round, so
 * that rejections which nobody handles are reported and a test's own time-out can strike.
 */
import type { TimerHandle, Timers } from '../../src/base/platform.ts';

class Event implements TimerHandle {
  readonly atMs: number;
  readonly sequence: number;
  /** Null once it ran or was cancelled. */
  callback: (() => void) | null;

  constructor(atMs: number, sequence: number, callback: () => void) {
    this.atMs = atMs;
    this.sequence = sequence;
    this.callback = callback;
  }

  cancel(): void {
    this.callback = null;
  }
}

const EVENTS_PER_ROUND = 5_000;

export class SimScheduler implements Timers {
  #nowMs = 0;
  #sequence = 0;
  readonly #heap: Event[] = [];
  /** Events that ran. */
  count = 0;
  /** Of the moments and the order of all events that ran: equal for equal runs. */
  timeHash = 0x811c_9dc5;

  get nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): TimerHandle {
    const event = new Event(this.#nowMs + Math.max(0, delayMs), this.#sequence++, callback);
    this.#push(event);
    return event;
  }

  endOfTurn(callback: () => void): void {
    this.after(0, callback);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** Runs until `isOver` holds or `limitMs` of simulated time have passed; true in the first case. */
  run(limitMs: number, isOver: () => boolean = () => false): Promise<boolean> {
    const untilMs = this.#nowMs + limitMs;
    return new Promise((resolve, reject) => {
      const step = (): void => {
        if (isOver()) {
          resolve(true);
          return;
        }
        const event = this.#next(untilMs);
        if (event === null) {
          this.#nowMs = untilMs;
          resolve(false);
          return;
        }
        this.#nowMs = event.atMs;
        this.count++;
        this.timeHash = Math.imul(this.timeHash ^ (event.atMs * 1_024) ^ event.sequence, 0x0100_0193);
        const { callback } = event;
        event.callback = null;
        try {
          callback?.();
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
          return;
        }
        queueMicrotask(again);
      };
      const again = (): void => {
        if (this.count % EVENTS_PER_ROUND === 0) setImmediate(step);
        else process.nextTick(step);
      };
      again();
    });
  }

  #next(untilMs: number): Event | null {
    for (;;) {
      const top = this.#heap[0];
      if (top === undefined || top.atMs > untilMs) return null;
      this.#pop();
      if (top.callback !== null) return top;
    }
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Event;
      if (isBefore(above, event)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Event;
    const size = heap.length;
    if (size === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= size) break;
      if (child + 1 < size && isBefore(heap[child + 1] as Event, heap[child] as Event)) child++;
      if (!isBefore(heap[child] as Event, last)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}
