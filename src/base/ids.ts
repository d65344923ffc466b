/**
 * The numbers that Kahuna passes around, flavoured so that the compiler refuses to mix them up.
 *
 * A plain number (a literal, the result of arithmetic) fits every flavour; a `Term` does not fit where a
 * `LogIndex` is wanted. All of them are exact JavaScript integers (at most 2^53 - 1).
 */
declare const flavour: unique symbol;
type Flavoured<Name extends string> = number & { readonly [flavour]?: Name };

/** Raft term, from 1; 0 means "before any term". */
export type Term = Flavoured<'Term'>;
/** Position in one group's Raft log, from 1; 0 means "before the first entry". */
export type LogIndex = Flavoured<'LogIndex'>;
/** A Raft group: 0 is the metadata group, partitions count from 1 and are never reused. */
export type GroupId = Flavoured<'GroupId'>;
/** Redis Cluster hash slot, 0 to 16383. */
export type Slot = Flavoured<'Slot'>;
/** Hybrid logical clock reading: milliseconds since 1970 times 4096, plus a counter. 0 means "none". */
export type Timestamp = Flavoured<'Timestamp'>;
/** Member of the cluster as a small number, from 1; the metadata maps it to the configured name. */
export type NodeId = Flavoured<'NodeId'>;

/** Stands for a vote in the hard state of a node that has lost its memory (raft/amnesia.ts); larger than any node id. */
export const FORGOTTEN: NodeId = 2 ** 32;

export const SLOT_COUNT = 16_384;
export const METADATA_GROUP: GroupId = 0;
