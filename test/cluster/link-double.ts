/** Links between small parts of nodes, without a network: what one writes, another is handed when the test says so. */
import { ByteWriter } from '../../src/base/bytes.ts';
import type { Transport } from '../../src/transport/transport.ts';

export interface Sent {
  readonly to: number;
  readonly kind: number;
  readonly payload: Buffer;
}

export class LinkDouble {
  readonly sent: Sent[] = [];
  readonly down = new Set<number>();
  #open: { readonly to: number; readonly kind: number; readonly writer: ByteWriter } | null = null;

  begin(to: number, kind: number): ByteWriter | null {
    if (this.down.has(to)) return null;
    const writer = new ByteWriter(32);
    this.#open = { to, kind, writer };
    return writer;
  }

  end(): void {
    if (this.#open === null) return;
    const { to, kind, writer } = this.#open;
    this.sent.push({ to, kind, payload: Buffer.from(writer.finishCopy()) });
    this.#open = null;
  }

  isUp(node: number): boolean {
    return !this.down.has(node);
  }

  taken(): readonly Sent[] {
    return this.sent.splice(0);
  }

  get transport(): Transport {
    return this as unknown as Transport;
  }
}
