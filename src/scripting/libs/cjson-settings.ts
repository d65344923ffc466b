/** What scripts may set in one module of cjson, at the defaults of lua-cjson 2.1.0. */

export const PRECISION_MAX = 14;

/** Numbers of `encode_invalid_numbers`. */
export const INVALID_NUMBERS = { refuse: 0, allow: 1, asNull: 2 } as const;

export class CjsonSettings {
  convertsSparse = false;
  sparseRatio = 2;
  sparseSafe = 10;
  encodeDepthMax = 1_000;
  decodeDepthMax = 1_000;
  encodeInvalidNumbers: number = INVALID_NUMBERS.refuse;
  decodeInvalidNumbers = true;
  keepsBuffer = true;
  numberPrecision = PRECISION_MAX;
}
