/**
 * An operating fault with a stable code of the room that found it. The code is for programs, the message for people:
 * what happened, with which values, what to do.
 */
export class KahunaError<Code extends string = string> extends Error {
  override readonly name = 'KahunaError';
  readonly code: Code;

  constructor(code: Code, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
