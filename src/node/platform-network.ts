/** Connections over TCP, as the rooms below know them. */
import { createServer, connect as connectSocket, type Server, type Socket } from 'node:net';
import type { Connection, ConnectionHandler, Listener, ListenOptions, Network } from '../base/platform.ts';

/** Idle time after which TCP asks whether the other side is still there, in ms (as `tcp-keepalive` tells clients). */
const KEEP_ALIVE_MS = 300_000;

class TcpConnection implements Connection {
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.remoteAddress = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`;
    this.localAddress = `${socket.localAddress ?? '?'}:${socket.localPort ?? 0}`;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  attach(handler: ConnectionHandler): void {
    const socket = this.#socket;
    let failure: Error | undefined;
    socket.on('data', (chunk: Buffer) => {
      handler.onData(chunk);
    });
    socket.on('drain', () => {
      handler.onDrain();
    });
    // Without a listener an error would end the process; 'close' follows and tells the handler.
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('end', () => {
      if (handler.onEnd === undefined) socket.end();
      else handler.onEnd();
    });
    socket.on('close', () => {
      handler.onClose(failure);
    });
  }

  write(chunk: Uint8Array): void {
    this.#socket.write(chunk);
  }

  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

class TcpListener implements Listener {
  readonly port: number;
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
    const address = server.address();
    this.port = typeof address === 'object' && address !== null ? address.port : 0;
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }
}

const BACKLOG = 511;

export const nodeNetwork: Network = {
  listen(options: ListenOptions, onConnection: (connection: Connection) => void): Promise<Listener> {
    return new Promise((resolve, reject) => {
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        onConnection(new TcpConnection(socket));
      });
      server.once('error', reject);
      // Each family on its own: `*` and `::*` are bound beside each other.
      const ipv6Only = options.host.includes(':');
      server.listen({ host: options.host, port: options.port, backlog: BACKLOG, ipv6Only }, () => {
        server.off('error', reject);
        // One failing accept (no descriptors) must not end the listener.
        server.on('error', () => undefined);
        resolve(new TcpListener(server));
      });
    });
  },

  connect(options: ListenOptions & { readonly timeoutMs: number }): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connectSocket({ host: options.host, port: options.port, allowHalfOpen: true });
      const timer = setTimeout(() => {
        socket.destroy(new Error(`no connection to ${options.host}:${options.port} within ${options.timeoutMs} ms`));
      }, options.timeoutMs);
      const fail = (error: Error): void => {
        clearTimeout(timer);
        reject(error);
      };
      socket.once('error', fail);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.off('error', fail);
        resolve(new TcpConnection(socket));
      });
    });
  },
};
