/** Kinds of messages between nodes, beside those of the link: on the wire, append-only. */
export const MESSAGE_KINDS = {
  raft: 16,
  /** A request for a partition's leader. */
  request: 17,
  /** Its answer, or that it must be repeated at another leader. */
  answer: 18,
  /** The client of a request is gone. */
  cancel: 19,
  /** The sender leads a partition and serves. */
  serving: 20,
  /** How many voters hold an index (WAIT). */
  waitQuery: 21,
  waitAnswer: 22,
  /** How clients reach the sender. */
  address: 23,
  /** Whether the receiver has applied an index of a group, and that it has. */
  appliedQuery: 24,
  appliedAnswer: 25,
  /** CLIENT UNBLOCK of a request that waits at the receiver, and whether it did. */
  unblock: 26,
  unblockAnswer: 27,
  /** Which replicas of the sender have taken part in nothing yet. */
  blank: 28,
  /** The sender's replica of a group is damaged: the receiver, which leads it, sends a copy. */
  rebuildRequest: 29,
  snapshotHeader: 32,
  snapshotRecords: 33,
  snapshotEnd: 34,
  snapshotResult: 35,
  /** Replicas compare what they hold (scrub.ts): a leader asks, a replica says, the leader has judged. */
  scrubLook: 40,
  scrubFinding: 41,
  scrubVerdict: 42,
} as const;
