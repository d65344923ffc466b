/** Accepts clients: on each bound address, up to `maxclients`, and from this machine only in protected mode. */
import { KahunaError } from '../base/errors.ts';
import type { Connection, Listener } from '../base/platform.ts';
import { listenAddresses } from '../config/settings.ts';
import { MAX_CLIENTS_REACHED, PROTECTED_MODE } from '../resp/errors.ts';
import { encodeReply } from '../resp/encode.ts';
import type { ErrorReply } from '../resp/reply.ts';
import type { ServerContext } from './context.ts';

export class ClientListener {
  readonly #context: ServerContext;
  readonly #listeners: Listener[] = [];

  constructor(context: ServerContext) {
    this.#context = context;
  }

  /** The port that was bound first; 0 before. */
  get port(): number {
    return this.#listeners[0]?.port ?? 0;
  }

  /** Binds all addresses of `bind`. Rejects with KahunaError 'LISTEN' if one that is not optional cannot be bound. */
  async start(): Promise<void> {
    const { log, platform, settings } = this.#context;
    let { port } = settings.values;
    for (const { host, isOptional } of listenAddresses(settings.values.bind)) {
      try {
        const listener = await platform.network.listen({ host, port }, (connection) => {
          this.#accept(connection);
        });
        this.#listeners.push(listener);
        // Port 0: all addresses share the one that the system chose for the first.
        ({ port } = listener);
        log.info('clients are accepted', { host, port });
      } catch (error) {
        if (isOptional) {
          log.debug('an optional address is not there', { host, error: messageOf(error) });
          continue;
        }
        await this.close();
        throw new KahunaError('LISTEN', `cannot accept clients on ${host}:${port}: ${messageOf(error)}`, error);
      }
    }
    if (this.#listeners.length === 0) throw new KahunaError('LISTEN', 'no address of bind could be bound');
  }

  /** Accepts nobody any more; connections that are open stay. */
  async close(): Promise<void> {
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
  }

  /** A client that cannot be served is told why; whatever goes wrong with one concerns no other. */
  #accept(connection: Connection): void {
    const { clients, log, settings, stats } = this.#context;
    stats.connectionsReceived++;
    try {
      if (clients.count >= settings.values.maxclients) {
        this.#refuse(connection, MAX_CLIENTS_REACHED);
      } else if (this.#isProtected() && !isLoopback(connection.remoteAddress)) {
        this.#refuse(connection, PROTECTED_MODE);
      } else {
        clients.open(connection);
      }
    } catch (error) {
      stats.acceptFailures++;
      log.error('a client could not be accepted', { address: connection.remoteAddress, error: messageOf(error) });
      connection.destroy();
    }
  }

  #isProtected(): boolean {
    const { credentials, settings } = this.#context;
    return settings.values['protected-mode'] && !credentials.isRequired;
  }

  #refuse(connection: Connection, reason: ErrorReply): void {
    this.#context.stats.connectionsRejected++;
    connection.attach({ onData: () => undefined, onDrain: () => undefined, onClose: () => undefined });
    connection.write(encodeReply(reason, 2));
    connection.end();
  }
}

/** `address` as Connection gives it: host:port, IPv6 in brackets or not. */
export function isLoopback(address: string): boolean {
  return (
    /^(127\.\d+\.\d+\.\d+|\[?(::ffff:127\.\d+\.\d+\.\d+|::1)\]?)(:\d+)?$/i.test(address) ||
    /^\/|^localhost(:|$)/.test(address)
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
