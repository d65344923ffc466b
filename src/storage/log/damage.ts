/** What recovery finds and cannot accept, and the names that its messages use. */
import { KahunaError } from '../../base/errors.ts';

export type LogErrorCode = 'LOG_DAMAGED' | 'LOG_FOREIGN';

export const IDENTITY_FILE = 'identity';
const SEGMENT_NAME = /^segment-(\d{12})\.log$/;

export function segmentName(segment: number): string {
  return `segment-${String(segment).padStart(12, '0')}.log`;
}

/** Number of the segment that a file of this name holds, or null if it is the name of no segment. */
export function segmentOfName(name: string): number | null {
  const digits = SEGMENT_NAME.exec(name)?.[1];
  const number = digits === undefined ? 0 : Number(digits);
  return number === 0 ? null : number;
}

/** The node must stop: what was acknowledged may be missing. */
export function damagedAt(file: string, offset: number, what: string): KahunaError<LogErrorCode> {
  return new KahunaError(
    'LOG_DAMAGED',
    `log damaged at ${file}:${offset}: ${what}; rebuild this replica from its peers`,
  );
}

/** The files are intact but not for this node or this program. */
export function foreign(what: string): KahunaError<LogErrorCode> {
  return new KahunaError('LOG_FOREIGN', what);
}
