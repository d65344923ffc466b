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

/** What is called around a method: before it does anything, with what it was called with; right after its promise was fulfilled. */
export interface Watch {
  readonly before?: (...parameters: readonly unknown[]) => void;
  readonly fulfilled?: () => void;
}

/** The method does what it did, and is watched. What `before` throws is thrown instead of calling it. */
export function watched<T extends object>(prototype: T, name: keyof T & string, { before, fulfilled }: Watch): Undo {
  const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
  const original: unknown = descriptor?.value;
  if (descriptor === undefined || typeof original !== 'function') throw new Error(`${name} is no method`);
  const watching = function (this: unknown, ...parameters: unknown[]): unknown {
    before?.(...parameters);
    const result: unknown = Reflect.apply(original, this, parameters);
    // Beside the caller's own: nothing comes later to it than without.
    if (fulfilled !== undefined && result instanceof Promise) void result.then(fulfilled, () => undefined);
    return result;
  };
  Object.defineProperty(prototype, name, { ...descriptor, value: watching });
  return () => {
    Object.defineProperty(prototype, name, descriptor);
  };
}

export function all(...undos: readonly Undo[]): Undo {
  return () => {
    for (const undo of [...undos].reverse()) undo();
  };
}
