/**
 * Everything that touches the world, as interfaces. `node/` hands in the real ones, the simulator its own; nothing
 * below the socket reads a clock, a timer, randomness, the disk or the network in any other way.
 */

export interface Clock {
  /** Milliseconds on a clock that never steps; its origin is arbitrary and differs between processes. */
  monotonicMs(): number;
  /** Milliseconds since 1970 as the machine believes; may step either way. */
  wallMs(): number;
}

export interface TimerHandle {
  /** Forbids a later call of the callback; does nothing if it has run or was cancelled before. */
  cancel(): void;
}

export interface Timers {
  /** Calls `callback` once, not before `delayMs` have passed. */
  after(delayMs: number, callback: () => void): TimerHandle;
  /** Calls `callback` once everything that is ready in this turn of the event loop has been handled. */
  endOfTurn(callback: () => void): void;
}

export interface Random {
  /** Uniform in 0 … 2^32 - 1. */
  u32(): number;
  /** Uniform in [0, 1). */
  float(): number;
  bytes(count: number): Uint8Array;
  /** An independent stream; the same name gives the same stream when the parent is seeded. */
  fork(name: string): Random;
}

/** Ends the process. Calls never return: the real one exits, the simulator throws away the node. */
export interface ProcessControl {
  /** Identifies the machine's boot: equal values mean that the page cache survived since. Empty if unknown. */
  readonly machineBootId: string;
  fatal(reason: FatalReason, message: string, cause?: unknown): never;
}

/** Exit codes of a node that stops itself, by reason; explicit because scripts depend on them. */
export const FATAL_EXIT_CODES = {
  configuration: 64,
  logWrite: 70,
  logDamaged: 71,
  dataWrite: 72,
  dataDamaged: 73,
  wrongDirectory: 74,
  invariant: 75,
  listen: 76,
} as const;
export type FatalReason = keyof typeof FATAL_EXIT_CODES;

// ---------------------------------------------------------------------------------------------------------------
// Network

export interface Connection {
  readonly remoteAddress: string;
  readonly localAddress: string;
  /** Bytes handed to `write` that the other side has not yet taken off our hands. */
  readonly bufferedBytes: number;
  /** Takes ownership of `chunk`: the caller must not change it afterwards. */
  write(chunk: Uint8Array): void;
  /** Groups the writes until `uncork` into as few system calls as possible. */
  cork(): void;
  uncork(): void;
  /** Stops the delivery of data until `resume`: back-pressure towards the peer. */
  pause(): void;
  resume(): void;
  /** Sends what was written, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
  /** Sets the handlers; called once, in the turn in which the connection was handed out. */
  attach(handler: ConnectionHandler): void;
}

export interface ConnectionHandler {
  /** The chunk belongs to the receiver until the next call; what outlives the call is copied. */
  onData(chunk: Buffer): void;
  /** `bufferedBytes` fell to zero. */
  onDrain(): void;
  /**
   * The peer will send nothing more, and may still read (half-closed); the handler ends the connection when it has said
   * what it had to. Without this handler the connection ends at once.
   */
  onEnd?(): void;
  /** The connection is gone; called exactly once, nothing follows. */
  onClose(error?: Error): void;
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
}

export interface Listener {
  /** The port that is really bound (differs from the wish where that was 0). */
  readonly port: number;
  close(): Promise<void>;
}

export interface Network {
  listen(options: ListenOptions, onConnection: (connection: Connection) => void): Promise<Listener>;
  /** Settles when connected; rejects with the system's error. */
  connect(options: ListenOptions & { readonly timeoutMs: number }): Promise<Connection>;
}

// ---------------------------------------------------------------------------------------------------------------
// Files (the Raft log). Callback style on the write path: no promise per flush.

export interface Disk {
  /** Creates the directory and its parents, mode 0700; no error if present. */
  makeDirectory(path: string): Promise<void>;
  /** Names (not paths) in the directory, sorted; empty if the directory is absent. */
  list(path: string): Promise<string[]>;
  readFile(path: string): Promise<Buffer>;
  /** Writes the whole file, fsyncs it and its directory: after a crash the file is whole or absent or the old one. */
  writeFileAtomically(path: string, content: Uint8Array): Promise<void>;
  remove(path: string): Promise<void>;
  /** Opens for writing at positions, creating the file with `sizeBytes` of zeros preallocated and synced, if absent. */
  openForWriting(path: string, sizeBytes: number): Promise<WritableFile>;
  /** Fsyncs an existing file by a descriptor of its own; resolves silently if the file has vanished. */
  syncFile(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
  /** Takes the lock file of a data directory; rejects if another live process holds it. */
  lock(path: string): Promise<{ release(): Promise<void> }>;
}

export interface WritableFile {
  /**
   * Writes `chunk` at `position` and makes it durable (fdatasync), then calls back. One call at a time a file.
   * The chunk must not change before the callback. An error means: outcome unknown.
   */
  writeAndSync(chunk: Uint8Array, position: number, done: (error: Error | null) => void): void;
  close(): Promise<void>;
}

export interface Platform {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly process: ProcessControl;
  readonly network: Network;
  readonly disk: Disk;
}
