/** Where the records of a partition lie in the data store. */
import type { Slot } from '../base/ids.ts';
import { METADATA_SLOT, slotRange } from '../storage/data/keys.ts';
import type { RecordRange } from '../storage/data/types.ts';
import { NODE_SPACE } from './carried-answers.ts';

/** Everything that replicas of a partition have in common; a node's own records beside the metadata group are not. */
export function partitionRange(slots: { readonly first: Slot; readonly last: Slot }): RecordRange {
  const range = slotRange(slots.first, slots.last);
  if (slots.last !== METADATA_SLOT) return range;
  return { start: range.start, end: Buffer.from([METADATA_SLOT >>> 8, METADATA_SLOT & 0xff, NODE_SPACE]) };
}
