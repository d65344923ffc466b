/** Process control that throws instead of ending anything, and remembers why. */
import type { FatalReason, ProcessControl } from '../../src/base/platform.ts';

export class ProcessEnded extends Error {
  override readonly name = 'ProcessEnded';
  readonly reason: FatalReason;

  constructor(reason: FatalReason, message: string, cause: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

export class MemoryProcess implements ProcessControl {
  readonly machineBootId = 'boot-1';
  ended: ProcessEnded | null = null;

  fatal(reason: FatalReason, message: string, cause?: unknown): never {
    this.ended ??= new ProcessEnded(reason, message, cause);
    throw this.ended;
  }
}
