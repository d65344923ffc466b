/** All commands that are evaluated at a leader, family by family. */
import { bitfieldCommands } from './bitfield.ts';
import { bitmapCommands } from './bitmaps.ts';
import { type DataCommand, commandsByName } from './define.ts';
import { expiryCommands } from './expiry.ts';
import { genericCommands } from './generic.ts';
import { lcsCommands } from './lcs.ts';
import { lockCommands } from './locks.ts';
import { scanCommands } from './scans.ts';
import { sequenceCommands } from './sequences.ts';
import { stringConditionCommands } from './string-conditions.ts';
import { stringCounterCommands } from './string-counters.ts';
import { stringListCommands } from './string-lists.ts';
import { stringRangeCommands } from './string-ranges.ts';
import { stringCommands } from './strings.ts';
import { versionCommands } from './versions.ts';

export const dataCommands: readonly DataCommand[] = [
  ...stringCommands,
  ...stringRangeCommands,
  ...stringListCommands,
  ...stringCounterCommands,
  ...stringConditionCommands,
  ...lcsCommands,
  ...bitmapCommands,
  ...bitfieldCommands,
  ...genericCommands,
  ...scanCommands,
  ...expiryCommands,
  ...lockCommands,
  ...sequenceCommands,
  ...versionCommands,
];

/** By upper-case name; subcommands as 'OBJECT|ENCODING', containers too. */
export const dataCommandsByName: ReadonlyMap<string, DataCommand> = commandsByName(dataCommands);
