/** Placeholder for the type only; see the values room. */
export const STRING_INLINE_BYTES_MAX = 16_384;
export class PagedString {
  readonly pages: readonly Uint8Array[];
  readonly byteLength: number;
  constructor(pages: readonly Uint8Array[], byteLength: number) {
    this.pages = pages;
    this.byteLength = byteLength;
  }
}
