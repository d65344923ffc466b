/** Our own bug: the state contradicts what the code relies on. Never caught to go on. */
export class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure';
}

/** Always on, in production too. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFailure(message);
}

export function mustExist<T>(value: T | null | undefined, message: string): T {
  if (value === null || value === undefined) throw new AssertionFailure(message);
  return value;
}

/** Ends an exhaustive `switch`: the compiler refuses a case that was forgotten. */
export function unreachable(value: never): never {
  throw new AssertionFailure(`unreachable: ${String(value)}`);
}
