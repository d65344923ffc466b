/**
 * What many runs together must have met to prove anything: a run in which nothing happens breaks no rule. Numbers are for
 * a hundred seeds; a mark at zero over that many means that the simulation has gone blind there.
 */
const EVIDENCE: readonly (readonly [mark: string, perHundredSeeds: number])[] = [
  ['ok', 30_000],
  ['unknown', 150],
  ['failed', 500],
  ['leaderships', 500],
  ['log: installed a snapshot', 3],
  ['log: the last flush of the log was not finished and is cut off', 1],
  ['cores that went on alone', 10],
  ['a store lost its last writes', 10],
  ['a store lost a write, and kept a later one', 3],
  ['ended: logWrite', 1],
  ['ended: dataWrite', 1],
  ['fault: powerOffAll', 5],
  ['fault: isolateLeader', 5],
  ['fault: bridge', 2],
  ['fault: ring', 2],
  ['fault: transfer', 5],
  ['fault: cutClients', 5],
  ['fault: resetClients', 5],
  ['fault: loseSynced', 3],
  ['fault: pauseLeader', 5],
  ['fault: killAtOperation', 5],
  ['fault: atPoint', 20],
  ['damage refused', 2],
  ['rebuilt', 3],
  ['fault: fullDisk', 1],
  ['fault: failLog', 1],
  ['fault: failStore', 1],
  ['fault: stallDisk', 5],
  ['looks into the past', 300],
  ['moments held', 40],
  ['the past was gone', 20],
];

/** What is to be met less often may be missing by chance. */
const CERTAIN = 3;

/** What is missing after so many seeds, in words. */
export function missingEvidence(marks: ReadonlyMap<string, number>, seeds: number): readonly string[] {
  return EVIDENCE.flatMap(([mark, perHundred]) => {
    const wanted = Math.floor((perHundred * seeds) / 100);
    const times = marks.get(mark) ?? 0;
    if (wanted < CERTAIN || times >= wanted) return [];
    return [`${mark}: ${times} times, ${wanted} are needed for ${seeds} seeds to prove anything`];
  });
}

/** Below this many seeds nothing can be asked for. */
export const SEEDS_FOR_EVIDENCE = 30;
