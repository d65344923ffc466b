/**
 * What is read, checked and cleaned when the data store is opened, before anybody uses it. See state.ts for why.
 */
import { KahunaError } from '../../base/errors.ts';
import type { GroupId, LogIndex, Timestamp } from '../../base/ids.ts';
import { syncWriteAhead } from './checkpoint.ts';
import { readReplacements } from './install.ts';
import { type KeyValueStore, writeBatch } from './key-value-store.ts';
import {
  BOOT_KEY,
  DATA_FORMAT,
  decodeBoot,
  decodeGroup,
  decodeHistory,
  decodeIdentity,
  encodeBoot,
  encodeGroup,
  encodeIdentity,
  GROUP_RANGE,
  groupKey,
  groupOfKey,
  HISTORY_KEY,
  IDENTITY_KEY,
  replacementKey,
  type StoredGroup,
  type StoredHistory,
  type StoredReplacement,
} from './metadata.ts';
import type { DataStoreOptions } from './options.ts';

export interface RecoveredStore {
  readonly isSameBoot: boolean;
  /** Groups under an interrupted install are there with index 0. */
  readonly groups: Map<GroupId, StoredGroup>;
  readonly history: StoredHistory & { readonly timestampMax: Timestamp };
  readonly marks: Map<GroupId, StoredReplacement>;
}

/** Rejects with KahunaError 'WRONG_DIRECTORY', 'DATA_DAMAGED', 'BYTES_MALFORMED'. */
export async function recoverStore(options: DataStoreOptions): Promise<RecoveredStore> {
  const { store } = options;
  const isNew = await checkIdentity(options);
  const marks = await cleanReplacements(options);
  const stored = await readGroups(store);
  const isSameBoot = !isNew && isBootUnchanged(options) && !hasSuspects(stored, options);
  const groups = withDoubts(stored, options, isSameBoot);
  if (!isSameBoot) await noteBoot(options, groups);
  const historyValue = store.getSync(HISTORY_KEY);
  const history = historyValue === undefined ? NO_HISTORY : decodeHistory(historyValue);
  let timestampMax: Timestamp = 0;
  for (const group of groups.values()) timestampMax = Math.max(timestampMax, group.timestampMax);
  options.log.info('the database was opened', {
    groups: groups.size,
    isNew,
    isSameBoot,
    interruptedInstalls: marks.size,
  });
  return { isSameBoot, groups, history: { ...history, timestampMax }, marks };
}

const NO_HISTORY: StoredHistory = { mode: 'off', since: 0, floor: 0 };

/** Returns whether the store is new; it then belongs to this node from now on. */
async function checkIdentity(options: DataStoreOptions): Promise<boolean> {
  const { store, identity, directory } = options;
  const value = store.getSync(IDENTITY_KEY);
  if (value === undefined) {
    await checkEmpty(options);
    const batch = store.batch();
    batch.put(IDENTITY_KEY, encodeIdentity({ ...identity, format: DATA_FORMAT }));
    await writeBatch(batch);
    await syncWriteAhead(options.disk, directory);
    return true;
  }
  const found = decodeIdentity(value);
  if (found.format > DATA_FORMAT) {
    throw wrongDirectory(`${directory} has data format ${found.format}; this version reads up to ${DATA_FORMAT}`);
  }
  if (found.clusterId !== identity.clusterId || found.nodeId !== identity.nodeId) {
    throw wrongDirectory(
      `${directory} belongs to node ${found.nodeId} of cluster ${found.clusterId}, ` +
        `not to node ${identity.nodeId} of cluster ${identity.clusterId}`,
    );
  }
  return false;
}

async function checkEmpty(options: DataStoreOptions): Promise<void> {
  const iterator = options.store.iterator({ start: Buffer.of(0), end: Buffer.of(0xff), keysOnly: true });
  const found = await iterator.nextv(1);
  await iterator.close();
  if (found.length === 0) return;
  throw new KahunaError(
    'DATA_DAMAGED',
    `data damaged in ${options.directory}: it holds records but no identity; rebuild this replica from its peers`,
  );
}

/** Empties every range whose replacement was interrupted and completes removals; returns the marks that stay. */
async function cleanReplacements(options: DataStoreOptions): Promise<Map<GroupId, StoredReplacement>> {
  const { store, disk, directory } = options;
  const marks = await readReplacements(store);
  if (marks.size === 0) return marks;
  for (const mark of marks.values()) {
    for (const range of mark.ranges) await store.clear(range);
  }
  await syncWriteAhead(disk, directory);
  const batch = store.batch();
  let removalCount = 0;
  for (const [group, mark] of marks) {
    if (mark.isInstall) continue;
    batch.delete(replacementKey(group));
    batch.delete(groupKey(group));
    marks.delete(group);
    removalCount++;
  }
  if (removalCount > 0) await writeBatch(batch);
  await syncWriteAhead(disk, directory);
  return marks;
}

async function readGroups(store: KeyValueStore): Promise<Map<GroupId, StoredGroup>> {
  const groups = new Map<GroupId, StoredGroup>();
  const iterator = store.iterator(GROUP_RANGE);
  for (let entries = await iterator.nextv(256); entries.length > 0; entries = await iterator.nextv(256)) {
    for (const [key, value] of entries) groups.set(groupOfKey(key), decodeGroup(key, value));
  }
  await iterator.close();
  return groups;
}

function isBootUnchanged(options: DataStoreOptions): boolean {
  const value = options.store.getSync(BOOT_KEY);
  if (value === undefined || options.machineBootId === '' || options.isTailTorn === true) return false;
  return decodeBoot(value) === options.machineBootId;
}

/** True if a group was in doubt before, and neither the log nor an install vouches for it meanwhile. */
function hasSuspects(groups: ReadonlyMap<GroupId, StoredGroup>, options: DataStoreOptions): boolean {
  for (const [group, stored] of groups) if (stored.suspectUpTo > durableIndex(options, group, stored)) return true;
  return false;
}

/** On the same boot all that is found is whole; otherwise only what is known to be durable. */
function withDoubts(
  groups: ReadonlyMap<GroupId, StoredGroup>,
  options: DataStoreOptions,
  isSameBoot: boolean,
): Map<GroupId, StoredGroup> {
  const result = new Map<GroupId, StoredGroup>();
  for (const [group, stored] of groups) {
    const doubtful = isSameBoot ? 0 : Math.max(stored.index, stored.suspectUpTo);
    const suspectUpTo = doubtful > durableIndex(options, group, stored) ? doubtful : 0;
    result.set(group, { ...stored, suspectUpTo });
  }
  return result;
}

function durableIndex(options: DataStoreOptions, group: GroupId, stored: StoredGroup): LogIndex {
  return Math.max(options.checkpoints?.get(group)?.index ?? 0, stored.installedIndex);
}

/** In one batch: whoever finds the new boot id finds the doubts too. */
async function noteBoot(options: DataStoreOptions, groups: ReadonlyMap<GroupId, StoredGroup>): Promise<void> {
  const batch = options.store.batch();
  batch.put(BOOT_KEY, encodeBoot(options.machineBootId));
  for (const [group, stored] of groups) {
    const key = groupKey(group);
    batch.put(key, encodeGroup(key, stored));
  }
  await writeBatch(batch);
}

function wrongDirectory(message: string): KahunaError<'WRONG_DIRECTORY'> {
  return new KahunaError('WRONG_DIRECTORY', `${message}; check --dir and --node-id`);
}
