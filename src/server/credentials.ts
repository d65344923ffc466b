/**
 * Who may use the server: today the user `default`, with the password of `requirepass` or with none. Passwords are kept
 * and compared as SHA-256 digests in constant time, so that neither their length nor their content shows in timings.
 */
import { createHash, timingSafeEqual } from 'node:crypto';

export const DEFAULT_USER = 'default';

export class Credentials {
  #digest: Buffer | null = null;

  /** An empty password means that none is required, as in Redis. */
  setPassword(password: string): void {
    this.#digest = password === '' ? null : sha256(Buffer.from(password, 'utf8'));
  }

  get isRequired(): boolean {
    return this.#digest !== null;
  }

  /** 64 hex digits, as ACL LIST shows a password; null without one. */
  get digestHex(): string | null {
    return this.#digest?.toString('hex') ?? null;
  }

  /** Any password is right while none is required (as Redis's `nopass`); an unknown user never is. */
  verify(user: Uint8Array, password: Uint8Array): boolean {
    const isKnownUser = timingSafeEqual(sha256(user), DEFAULT_USER_DIGEST);
    const isRightPassword = this.#digest === null || timingSafeEqual(sha256(password), this.#digest);
    return isKnownUser && isRightPassword;
  }
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

const DEFAULT_USER_DIGEST = sha256(Buffer.from(DEFAULT_USER));
