/** The workloads by name. */
import type { WorkloadName } from './names.ts';
import type { Workload } from '../workload.ts';
import type { Stage } from './stage.ts';
import { AppendWorkload } from './append.ts';
import { CatalogWorkload } from './catalog.ts';
import { FenceWorkload } from './fence.ts';
import { FlushWorkload } from './flush.ts';
import { SetWorkload } from './set.ts';
import { WaitWorkload } from './wait.ts';
import { WatchWorkload } from './watch.ts';
import { CounterWorkload } from './counter.ts';
import { ExpiryWorkload } from './expiry.ts';
import { LockWorkload } from './lock.ts';
import { LongStringWorkload } from './long-string.ts';
import { PairWorkload } from './pair.ts';
import { PastWorkload } from './past.ts';
import { RegisterWorkload } from './register.ts';
import { ScanWorkload } from './scan.ts';
import { ScriptWorkload } from './script.ts';
import { SequenceWorkload } from './sequence.ts';
import { TransactionWorkload } from './transaction.ts';

const CREATE: Readonly<Record<WorkloadName, new (stage: Stage) => Workload>> = {
  counter: CounterWorkload,
  register: RegisterWorkload,
  lock: LockWorkload,
  sequence: SequenceWorkload,
  expiry: ExpiryWorkload,
  transaction: TransactionWorkload,
  scan: ScanWorkload,
  longString: LongStringWorkload,
  script: ScriptWorkload,
  append: AppendWorkload,
  catalog: CatalogWorkload,
  fence: FenceWorkload,
  flush: FlushWorkload,
  set: SetWorkload,
  wait: WaitWorkload,
  watch: WatchWorkload,
  past: PastWorkload,
  pair: PairWorkload,
};

export function createWorkload(name: WorkloadName, stage: Stage): Workload {
  return new CREATE[name](stage);
}
