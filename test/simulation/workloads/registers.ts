/** What workloads do alike whose keys are registers. */
import { checkRegister, type RegisterOperation } from '../checkers/register.ts';
import type { Stage } from './stage.ts';

/** What is wrong with the histories of registers; one that is too long to decide is marked. */
export function brokenRegisters(
  stage: Stage,
  registers: readonly { readonly name: string; readonly operations: readonly RegisterOperation[] }[],
): readonly string[] {
  return registers.flatMap(({ name, operations }) => {
    const { verdict, text } = checkRegister(name, operations);
    if (verdict === 'undecided') stage.mark('register undecided');
    return text === '' ? [] : [text];
  });
}
