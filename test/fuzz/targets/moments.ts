/** Moments of the past: their messages and the record of holds as bytes, and a leader that is asked for any moment. */
import assert from 'node:assert/strict';
import { decodeHolds, encodeHolds } from '../../../src/cluster/holds.ts';
import {
  decodeFound,
  decodeKeysAt,
  decodeObjects,
  decodePageAt,
  encodeFound,
  encodeKeysAt,
  encodeObjects,
  encodePageAt,
} from '../../../src/partition/moment-codec.ts';
import { momentRows } from '../../../src/partition/moments.ts';
import { PAGE_BYTES, stringFromBytes } from '../../../src/values/string.ts';
import { TestLeader } from '../../partition/leader.ts';
import type { FuzzTarget } from '../target.ts';
import { codecTarget } from './round-trip.ts';

const keys = [
  { space: 0, key: 'k' },
  { space: 16, key: 'other' },
];
const page = { at: 1, space: 0, type: 0, count: 10, cursor: 0n };
const object = { value: 'value', expiresAtMs: 0, version: 5 };

const codecs: readonly FuzzTarget[] = [
  codecTarget({
    name: 'moment-keys',
    about: 'a node asks what keys were at a moment',
    seeds: () => [encodeKeysAt({ at: 7, keys }), encodeKeysAt({ at: 0, keys: [] })],
    again: (input) => encodeKeysAt(decodeKeysAt(input)),
  }),
  codecTarget({
    name: 'moment-objects',
    about: 'what a leader answers to that',
    seeds: () => [
      encodeObjects([null, object]),
      encodeObjects([{ ...object, value: stringFromBytes(Buffer.alloc(9)) }]),
    ],
    again: (input) => encodeObjects(decodeObjects(input)),
  }),
  codecTarget({
    name: 'moment-page',
    about: 'a node asks which keys there were at a moment',
    seeds: () => [encodePageAt(page), encodePageAt({ ...page, type: 1, cursor: 2n ** 63n })],
    again: (input) => encodePageAt(decodePageAt(input)),
  }),
  codecTarget({
    name: 'moment-found',
    about: 'what a leader answers to that',
    seeds: () => [encodeFound({ keys: [], next: 0n }), encodeFound({ keys: ['k', ''], next: 77n })],
    again: (input) => encodeFound(decodeFound(input)),
  }),
  codecTarget({
    name: 'holds',
    about: 'the record of what is held',
    seeds: () => [encodeHolds([]), encodeHolds([{ id: 1, holder: 'me', at: 2, expiresAtMs: 3 }])],
    again: (input) => encodeHolds(decodeHolds(input)),
  }),
];

// ---------------------------------------------------------------------------------------------------------------

/** Inputs: u8 row | payload. */
const leader: FuzzTarget = {
  name: 'moment-reads',
  about: 'any question about any moment is answered, nothing throws, and the leader goes on',
  seeds: () => [
    Buffer.concat([Buffer.of(0), encodeKeysAt({ at: 6_963_200_000_000_000, keys })]),
    Buffer.concat([Buffer.of(1), encodePageAt({ ...page, at: 6_963_200_000_000_000 })]),
  ],
  bytesMax: 512,
  msMax: 5_000,
  memoryBytesMax: 512 * 1024 * 1024,
  open: () => ({
    run: async (input) => {
      const world = await TestLeader.create();
      world.data.setHistory({ retentionMs: 1, heldFloor: 0 });
      await world.ask('SET', 'k', 'v');
      await world.ask('SETRANGE', 'other', String(PAGE_BYTES), 'v');
      await world.ask('DEL', 'k');
      const { name } = momentRows[(input[0] ?? 0) % momentRows.length] ?? { name: '' };
      assert.notEqual(await world.ask(name, input.subarray(1).toString('latin1')), '', 'it is answered');
      assert.equal(await world.ask('SET', 'k', 'w'), '+OK');
      assert.equal(await world.ask('GET', 'k'), '$1 w');
    },
  }),
};

export const momentTargets: readonly FuzzTarget[] = [...codecs, leader];
