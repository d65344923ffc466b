/**
 * Two nodes prove to each other that they know the cluster's secret, without sending it: a challenge-response with
 * HMAC-SHA256 in both directions, each proof bound to both nonces, both identities and its direction, so that it can be
 * neither replayed nor reflected.
 *
 *   dialler → hello      version, cluster id, node, boot epoch, purpose, nonce
 *   acceptor → challenge version, cluster id, node, boot epoch, nonce, proof("acceptor")
 *   dialler → proof      proof("dialler")
 *   acceptor → welcome   (empty: the link is up)
 *
 * Without a configured secret the proofs are made with an empty key: nodes then trust their network, as the
 * configuration page says.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { KahunaError } from '../base/errors.ts';
import type { NodeId } from '../base/ids.ts';

const PROTOCOL_VERSION = 1;
const NONCE_BYTES = 32;
const PROOF_BYTES = 32;
const TEXT_BYTES_MAX = 256;

/** What a connection is for: append-only. */
export const PURPOSES = { link: 1, snapshot: 2 } as const;
export type Purpose = (typeof PURPOSES)[keyof typeof PURPOSES];

export interface Identity {
  readonly clusterId: string;
  readonly node: NodeId;
  /** Differs at each start of the process, and rises. */
  readonly bootEpoch: number;
}

export interface Hello extends Identity {
  readonly purpose: Purpose;
  readonly nonce: Uint8Array;
}

export interface Challenge extends Identity {
  readonly nonce: Uint8Array;
  readonly proof: Uint8Array;
}

export function encodeHello(hello: Hello): Uint8Array {
  const writer = new ByteWriter(256);
  writeIdentity(writer, hello);
  writer.u8(hello.purpose);
  writer.bytes(hello.nonce);
  return writer.finish();
}

export function decodeHello(bytes: Uint8Array): Hello {
  const reader = new ByteReader(bytes);
  const identity = readIdentity(reader);
  const purpose = reader.u8();
  if (purpose !== PURPOSES.link && purpose !== PURPOSES.snapshot) throw refused(`unknown purpose ${purpose}`);
  const nonce = reader.bytes(NONCE_BYTES);
  reader.expectEnd();
  return { ...identity, purpose, nonce: Uint8Array.from(nonce) };
}

export function encodeChallenge(challenge: Challenge): Uint8Array {
  const writer = new ByteWriter(256);
  writeIdentity(writer, challenge);
  writer.bytes(challenge.nonce);
  writer.bytes(challenge.proof);
  return writer.finish();
}

export function decodeChallenge(bytes: Uint8Array): Challenge {
  const reader = new ByteReader(bytes);
  const identity = readIdentity(reader);
  const nonce = Uint8Array.from(reader.bytes(NONCE_BYTES));
  const proof = Uint8Array.from(reader.bytes(PROOF_BYTES));
  reader.expectEnd();
  return { ...identity, nonce, proof };
}

/** The proof that `side` knows the secret, for this one handshake. */
export function proofOf(
  secret: string,
  side: 'dialler' | 'acceptor',
  parts: { readonly hello: Hello; readonly acceptor: Identity; readonly nonce: Uint8Array },
): Uint8Array {
  const writer = new ByteWriter(512);
  writer.bytes(encodeHello(parts.hello));
  writeIdentity(writer, parts.acceptor);
  writer.bytes(parts.nonce);
  return createHmac('sha256', secret).update(`kahuna ${side} `).update(writer.finish()).digest();
}

export function isProofValid(expected: Uint8Array, given: Uint8Array): boolean {
  return expected.length === given.length && timingSafeEqual(expected, given);
}

export function refused(reason: string): KahunaError<'HANDSHAKE_REFUSED'> {
  return new KahunaError('HANDSHAKE_REFUSED', reason);
}

function writeIdentity(writer: ByteWriter, identity: Identity): void {
  writer.u16(PROTOCOL_VERSION);
  writer.lengthPrefixed(Buffer.from(identity.clusterId, 'utf8'));
  writer.u32(identity.node);
  writer.u64(identity.bootEpoch);
}

function readIdentity(reader: ByteReader): Identity {
  const version = reader.u16();
  if (version !== PROTOCOL_VERSION) {
    throw refused(`the other node speaks protocol version ${version}, this one ${PROTOCOL_VERSION}`);
  }
  const text = reader.lengthPrefixed();
  if (text.length > TEXT_BYTES_MAX) throw refused('the cluster id is too long');
  const clusterId = Buffer.from(text).toString('utf8');
  if (!Buffer.from(clusterId, 'utf8').equals(text)) throw refused('the cluster id is no text');
  const node = reader.u32();
  const bootEpoch = reader.u64();
  return { clusterId, node, bootEpoch };
}

export { NONCE_BYTES };
