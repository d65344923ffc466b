/** What became of transactions across partitions that this node coordinates or settles: for INFO. CONFIG RESETSTAT zeroes it. */
export class TransactionStats {
  committed = 0;
  /** Attempts that were given up because of somebody else's work; most of them were made again. */
  conflicts = 0;
  /** Whose outcome is not known to the client. */
  uncertain = 0;
  /** Settled by a leader here because the coordinator was silent. */
  settled = 0;

  reset(): void {
    this.committed = 0;
    this.conflicts = 0;
    this.uncertain = 0;
    this.settled = 0;
  }
}
