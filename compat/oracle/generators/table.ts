/** One row a command: how its arguments are drawn and how often it comes. */
import type { Words } from './arguments.ts';

export interface CommandGenerator {
  readonly name: string;
  readonly weight: number;
  /** What follows the name. */
  readonly args: Words;
}
