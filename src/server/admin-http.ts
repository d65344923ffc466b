/**
 * The admin service: GET /metrics (Prometheus text), /healthz (the process turns), /readyz (it can serve clients).
 *
 * A small HTTP/1.1 responder over the platform's connections, so that it runs in the simulator too: one request a
 * connection, no body, no keep-alive, a head of at most HTTP_HEAD_BYTES_MAX that must arrive within HTTP_HEAD_MS_MAX.
 */
import { KahunaError } from '../base/errors.ts';
import type { Connection, ConnectionHandler, Listener, TimerHandle } from '../base/platform.ts';
import { listenAddresses } from '../config/settings.ts';
import type { ServerContext } from './context.ts';
import { HTTP_CONNECTIONS_MAX, HTTP_HEAD_BYTES_MAX, HTTP_HEAD_MS_MAX } from './limits.ts';
import { renderMetrics } from './metrics.ts';

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

const plain = (status: number, body: string): Answer => ({
  status,
  type: 'text/plain; charset=utf-8',
  body: `${body}\n`,
});

export class AdminService {
  readonly #context: ServerContext;
  readonly #listeners: Listener[] = [];
  readonly #open = new Set<AdminConnection>();

  constructor(context: ServerContext) {
    this.#context = context;
  }

  /** The port that was bound; 0 if there is no service. */
  get port(): number {
    return this.#listeners[0]?.port ?? 0;
  }

  /** Does nothing if `admin-port` is 0. Rejects with KahunaError 'LISTEN'. */
  async start(): Promise<void> {
    const { log, platform, settings } = this.#context;
    const port = settings.values['admin-port'];
    if (port === 0) return;
    for (const { host, isOptional } of listenAddresses(settings.values['admin-bind'])) {
      try {
        this.#listeners.push(
          await platform.network.listen({ host, port }, (connection) => {
            this.#accept(connection);
          }),
        );
        log.info('the admin service is up', { host, port });
      } catch (error) {
        if (isOptional) continue;
        await this.close();
        const reason = error instanceof Error ? error.message : String(error);
        throw new KahunaError('LISTEN', `cannot serve the admin service on ${host}:${port}: ${reason}`, error);
      }
    }
  }

  async close(): Promise<void> {
    for (const connection of this.#open) connection.abandon();
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
  }

  #accept(connection: Connection): void {
    if (this.#open.size >= HTTP_CONNECTIONS_MAX) {
      connection.destroy();
      return;
    }
    const handler = new AdminConnection(this.#context, connection, () => {
      this.#open.delete(handler);
    });
    this.#open.add(handler);
    connection.attach(handler);
  }
}

/** One request and its answer. */
class AdminConnection implements ConnectionHandler {
  readonly #context: ServerContext;
  readonly #connection: Connection;
  readonly #onGone: () => void;
  readonly #timer: TimerHandle;
  #head = '';
  #isAnswered = false;

  constructor(context: ServerContext, connection: Connection, onGone: () => void) {
    this.#context = context;
    this.#connection = connection;
    this.#onGone = onGone;
    this.#timer = context.platform.timers.after(HTTP_HEAD_MS_MAX, () => {
      if (this.#isAnswered) connection.destroy();
      else this.#answer(plain(408, 'the request did not arrive in time'), true);
    });
  }

  onData(chunk: Buffer): void {
    if (this.#isAnswered) return;
    this.#head += chunk.toString('latin1');
    const end = this.#head.indexOf('\r\n\r\n');
    if (end === -1 && this.#head.length <= HTTP_HEAD_BYTES_MAX) return;
    if (end === -1 || end > HTTP_HEAD_BYTES_MAX) {
      this.#answer(plain(431, 'the request head is too large'), true);
      return;
    }
    const [method = '', target = '', version = ''] = this.#head.slice(0, this.#head.indexOf('\r\n')).split(' ');
    if (!/^HTTP\/1\.[01]$/.test(version)) this.#answer(plain(400, 'this is no HTTP/1.1 request'), true);
    else if (method !== 'GET' && method !== 'HEAD') this.#answer(plain(405, 'only GET is served'), true);
    else this.#answer(this.#route(target.split('?')[0] ?? ''), method === 'GET');
  }

  onDrain(): void {
    // Answers are small; the connection is ended already.
  }

  onClose(): void {
    this.#timer.cancel();
    this.#isAnswered = true;
    this.#onGone();
  }

  abandon(): void {
    this.#connection.destroy();
  }

  #route(path: string): Answer {
    try {
      switch (path) {
        case '/metrics':
          return { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: renderMetrics(this.#context) };
        case '/healthz':
          return plain(200, 'ok');
        case '/readyz':
          return this.#context.cluster.isReady
            ? plain(200, 'ready')
            : plain(503, 'a partition on this node has no leader yet');
        default:
          return plain(404, 'there are /metrics, /healthz and /readyz');
      }
    } catch (error) {
      this.#context.log.error('the admin service failed', {
        path,
        error: error instanceof Error ? error.message : String(error),
      });
      return plain(500, 'the node failed to answer; its log tells why');
    }
  }

  #answer({ status, type, body }: Answer, hasBody: boolean): void {
    this.#isAnswered = true;
    const bytes = Buffer.from(body, 'utf8');
    const head =
      `HTTP/1.1 ${status} ${REASONS[status] ?? ''}\r\nContent-Type: ${type}\r\nContent-Length: ${bytes.length}\r\n` +
      'Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n';
    this.#connection.write(Buffer.concat([Buffer.from(head, 'latin1'), hasBody ? bytes : Buffer.alloc(0)]));
    this.#connection.end();
  }
}
