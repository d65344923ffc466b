export class Sequence {
  readonly current: bigint;
  constructor(current: bigint) {
    this.current = current;
  }
}
