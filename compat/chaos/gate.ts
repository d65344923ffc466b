/** Where requests wait while somebody needs silence: none is under way when `stop` has resolved. */
export class Gate {
  #inside = 0;
  #isOpen = true;
  #waiting: (() => void)[] = [];
  #idle: (() => void)[] = [];

  /** Resolves when one may go on; `leave` must follow. */
  async enter(): Promise<void> {
    while (!this.#isOpen) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#inside += 1;
  }

  leave(): void {
    this.#inside -= 1;
    if (this.#inside > 0) return;
    for (const tell of this.#idle.splice(0)) tell();
  }

  /** Nobody enters any more until `open`; resolves when all have left. */
  async stop(): Promise<void> {
    this.#isOpen = false;
    if (this.#inside > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  open(): void {
    this.#isOpen = true;
    for (const go of this.#waiting.splice(0)) go();
  }
}
