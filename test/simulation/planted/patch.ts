/**
 * Ways to break code on purpose, for one run at a time: methods and getters of prototypes are replaced, and put back. What is
 * mutated is the real code; nothing in it knows of this.
 */
export type Undo = () => void;

export function method<T extends object, K extends keyof T>(
  prototype: T,
  name: K,
  make: (original: T[K]) => T[K],
): Undo {
  const original = prototype[name];
  prototype[name] = make(original);
  return () => {
    prototype[name] = original;
  };
}

export function getter(
  prototype: object,
  name: string,
  make: (original: (this: object) => unknown) => (this: object) => unknown,
): Undo {
  const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
  if (descriptor?.get === undefined) throw new Error(`${name} is no getter`);
  Object.defineProperty(prototype, name, { ...descriptor, get: make(descriptor.get as (this: object) => unknown) });
  return () => {
    Object.defineProperty(prototype, name, descriptor);
  };
}

export function all(...undos: readonly Undo[]): Undo {
  return () => {
    for (const undo of undos) undo();
  };
}
