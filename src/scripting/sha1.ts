import { createHash } from 'node:crypto';

/** SHA1 in lower-case hexadecimal: the name of a script, and redis.sha1hex. */
export function sha1Hex(content: Uint8Array): string {
  return createHash('sha1').update(content).digest('hex');
}
