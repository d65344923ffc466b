/**
 * What happens when a record's checksum does not fit: nothing of it is served, and the replica leaves service until its data
 * has been rebuilt from another (cluster/quarantine.ts); a replica without others ends its process.
 */
import { KahunaError } from '../base/errors.ts';

/** Thrown through an evaluation that met damage; whoever is responsible has been told. */
export class ReplicaDamaged extends Error {
  override readonly name = 'ReplicaDamaged';
}

/** True for what a read of damaged data throws: by a checksum of ours, or by one of LevelDB. */
export function isDamage(error: unknown): boolean {
  if (error instanceof KahunaError) return error.code === 'DATA_DAMAGED';
  return error instanceof Error && 'code' in error && error.code === 'LEVEL_CORRUPTION';
}
