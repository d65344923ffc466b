/**
 * Disks that fail, stall, fill up, and return other bits than were written. A node must stop, or refuse to start, rather
 * than serve what it cannot trust. Damage is done to one replica at a time, and only where the others can give back what is
 * lost: so every damage must be survived, and no failure of a run is "too many faults".
 */
import type { DiskOperation } from '../../doubles/memory-disk.ts';
import type { SimMachine } from '../../doubles/sim-platform.ts';
import type { Fault, Strike } from './fault.ts';

const LOG_DIRECTORY = '/data/log/';
/** How many operations still go well before the one that fails, at most. */
const PATIENCE = 20;
/** So long a failure may be on its way, if nothing holds it up, ms. */
const AFTERMATH_MS = 200;
/** Full for so long that the log wants a new segment. */
const FULL_MS = 4_000;
const STALL_MIN_MS = 100;
const STALL_MS = 3_000;

function onRunning(strike: Strike, work: (machine: SimMachine) => void): void {
  const machine = strike.random.chance(0.5) ? strike.leader() : strike.any();
  if (machine.boot !== null && !strike.world.isInTrouble(machine)) work(machine);
}

/** Operations on files that no flush waits for. */
const FILE_OPERATIONS: readonly DiskOperation[] = [
  'writeFileAtomically',
  'remove',
  'openForWriting',
  'syncDirectory',
  'readFile',
  'list',
  'makeDirectory',
];

/** Kills a node, damages what it has, and starts it. It refuses, and is rebuilt; or what was hit did not matter. */
function damageAtRest(strike: Strike, damage: (machine: SimMachine) => boolean): void {
  const { world } = strike;
  const machine = strike.any();
  if (!world.mayBeDamaged(machine)) return;
  world.kill(machine);
  if (damage(machine)) {
    world.expectEnd(machine, {
      reasons: ['logDamaged', 'wrongDirectory', 'dataDamaged'],
      isDamage: true,
      onEnd: () => {
        strike.did();
        world.mark('damage refused');
        world.rebuild(machine);
      },
    });
  }
  strike.later(0, 500, () => {
    if (machine.boot === null) world.start(machine);
  });
}

/** Flips a bit of what was written of a file; false if it holds nothing. */
function flipWithin(strike: Strike, machine: SimMachine, path: string): boolean {
  const content = machine.disk.content(path);
  let end = content.length;
  while (end > 0 && content[end - 1] === 0) end--;
  if (end === 0) return false;
  const at = strike.random.below(end);
  machine.disk.flip(path, at, 1 << strike.random.below(8));
  strike.world.trace(`${machine.name}: a bit of ${path}:${at} flips`);
  return true;
}

/** The next flush of the log takes up to three seconds. */
export function stallDisk(strike: Strike, { disk }: SimMachine): void {
  const before = disk.heldCount;
  const release = disk.holdNext({ kind: 'writeAndSync' });
  strike.world.scheduler.after(STALL_MIN_MS + strike.random.float() * STALL_MS, () => {
    if (disk.heldCount > before) strike.did();
    release();
  });
}

/** The store takes nothing in for up to three seconds. */
export function stallStore(strike: Strike, { device }: SimMachine): void {
  const before = device.writeCount;
  const release = device.stall();
  strike.world.scheduler.after(STALL_MIN_MS + strike.random.float() * STALL_MS, () => {
    if (device.writeCount > before) strike.did();
    release();
  });
}

export const DISK_FAULTS = [
  {
    name: 'stallDisk',
    strike: (strike) => stallDisk(strike, strike.any()),
  },
  {
    name: 'stallStore',
    strike: (strike) => stallStore(strike, strike.any()),
  },
  {
    // A write, or the sync after it, of the log: whether it is on the disk nobody knows.
    name: 'failLog',
    endsProcesses: true,
    strike: (strike) =>
      onRunning(strike, (machine) => {
        const code = strike.random.pick(['EIO', 'ENOSPC'] as const);
        machine.disk.failNext({ kind: 'writeAndSync', after: strike.random.below(PATIENCE), code });
        strike.world.expectEnd(machine, {
          reasons: ['logWrite'],
          onEnd: () => {
            strike.did();
            strike.startLater(machine);
          },
        });
      }),
  },
  {
    name: 'failStore',
    endsProcesses: true,
    strike: (strike) =>
      onRunning(strike, (machine) => {
        const n = 1 + strike.random.below(PATIENCE);
        const drawn = strike.random.pick(['write', 'sync', 'read'] as const);
        // What cannot be read is lost: its replica is put into quarantine.
        const kind = drawn === 'read' && !strike.world.mayBeDamaged(machine) ? 'write' : drawn;
        if (kind === 'write') machine.device.failWrite(n);
        else if (kind === 'sync') machine.device.failSync(1 + strike.random.below(3));
        else machine.device.failRead(n);
        strike.world.expectEnd(machine, {
          reasons: [kind === 'read' ? 'dataDamaged' : 'dataWrite'],
          ...(kind === 'read' ? { isDamage: true as const } : {}),
          // Other faults may have it start before it has written so much.
          ...(kind === 'write' ? { mayRefuse: true as const } : {}),
          onEnd: () => {
            strike.did();
            strike.world.mark(`the store failed to ${kind}`);
            strike.startLater(machine);
          },
        });
      }),
  },
  {
    // Operations on whole files: segments, staged snapshots, directories; also while the node starts.
    name: 'failFile',
    endsProcesses: true,
    strike: (strike) => {
      const { world } = strike;
      const machine = strike.any();
      if (machine.boot === null || world.isInTrouble(machine)) return;
      const isAtStart = strike.random.chance(0.4);
      if (isAtStart) world.kill(machine);
      const before = machine.disk.failureCount;
      const kind = strike.random.pick(FILE_OPERATIONS);
      const after = strike.random.below(isAtStart ? 8 : 2);
      machine.disk.failNext({ kind, after, code: strike.random.pick(['EIO', 'ENOSPC']) });
      world.expectEnd(machine, {
        reasons: ['logWrite', 'dataWrite', 'logDamaged', 'dataDamaged'],
        mayRefuse: true,
        onEnd: () => strike.startLater(machine),
      });
      strike.later(3_000, 3_000, () => {
        if (machine.disk.failureCount > before) {
          strike.did();
          world.mark(`a ${kind} failed`);
        }
      });
      if (!isAtStart) return;
      strike.later(10, 500, () => {
        if (machine.boot === null) world.start(machine);
      });
    },
  },
  {
    name: 'fullDisk',
    endsProcesses: true,
    strike: (strike) => {
      const { world } = strike;
      const machine = strike.any();
      if (world.isInTrouble(machine)) return;
      const { disk, device } = machine;
      const before = disk.failureCount + device.failureCount;
      disk.isFull = true;
      device.isFull = true;
      world.expectEnd(machine, {
        reasons: ['logWrite', 'dataWrite'],
        mayRefuse: true,
        isLasting: true,
        onEnd: () => {
          strike.later(50, 500, () => {
            if (machine.boot === null) world.start(machine);
          });
        },
      });
      strike.later(500, FULL_MS, () => {
        disk.isFull = false;
        device.isFull = false;
        if (disk.failureCount + device.failureCount > before) strike.did();
        // What failed before may still be on its way.
        world.whenTold(AFTERMATH_MS, () => {
          world.expectNothing(machine);
        });
      });
    },
  },
  {
    name: 'flipLog',
    endsProcesses: true,
    damages: true,
    strike: (strike) =>
      damageAtRest(strike, (machine) => {
        const paths = machine.disk.paths().filter((path) => path.startsWith(LOG_DIRECTORY));
        return paths.length > 0 && flipWithin(strike, machine, strike.random.pick(paths));
      }),
  },
  {
    // Found when somebody reads it: a command, a scan, a stream to another node, the next start, or a scrub.
    name: 'flipData',
    endsProcesses: true,
    damages: true,
    strike: (strike) => {
      const { world } = strike;
      const machine = strike.random.chance(0.6) ? strike.leader() : strike.any();
      if (!world.mayBeDamaged(machine)) return;
      const keys = machine.device.keys();
      if (keys.length === 0) return;
      machine.device.flipBit(strike.random.pick(keys), strike.random.u32());
      world.trace(`${machine.name}: a bit in its store flips`);
      world.expectEnd(machine, {
        reasons: ['dataDamaged', 'wrongDirectory'],
        isLasting: true,
        isLatent: true,
        isDamage: true,
        onEnd: () => {
          world.expectNothing(machine);
          strike.did();
          world.mark('damage refused');
          world.rebuild(machine);
        },
      });
    },
  },
  {
    // Under a seal that fits: found when replicas are compared, and by nothing else.
    name: 'strayRecord',
    damages: true,
    strike: (strike) => {
      const { world } = strike;
      const machine = strike.any();
      if (!world.mayBeDamaged(machine) || !world.strays.plant(machine, Math.max(1, strike.group()))) return;
      const look = (): void => {
        if (!world.strays.areLeft) strike.did();
        else strike.later(200, 200, look);
      };
      look();
    },
  },
  {
    // A power failure after which the store has lost what it had synced. Its log knows better: it is replayed, or its replicas are
    // put into quarantine.
    name: 'loseSynced',
    endsProcesses: true,
    damages: true,
    strike: (strike) => {
      const { world } = strike;
      const machine = strike.random.chance(0.5) ? strike.leader() : strike.any();
      if (machine.boot === null || !world.mayBeDamaged(machine)) return;
      world.powerOff(machine);
      const lost = machine.device.loseTail();
      world.trace(`${machine.name}: its store has lost ${lost} batches`);
      if (lost > 0) strike.did();
      world.expectEnd(machine, {
        reasons: ['dataDamaged', 'wrongDirectory'],
        mayRefuse: true,
        isDamage: true,
        onEnd: () => {
          world.mark('damage refused');
          world.rebuild(machine);
        },
      });
      strike.later(0, 1_500, () => {
        if (machine.boot === null) world.start(machine);
      });
    },
  },
  {
    // As soon as a snapshot is whole, and before it is installed.
    name: 'flipStage',
    endsProcesses: true,
    damages: true,
    strike: (strike) => {
      const { world } = strike;
      world.onceStaged((machine, directory) => {
        if (!world.mayBeDamaged(machine)) return;
        const paths = machine.disk.paths().filter((path) => path.startsWith(directory));
        if (!flipWithin(strike, machine, strike.random.pick(paths))) return;
        world.expectEnd(machine, {
          reasons: ['dataDamaged', 'dataWrite'],
          isDamage: true,
          onEnd: () => {
            strike.did();
            world.mark('damage refused');
            // If its data had gone to make room for the snapshot, nothing is left to start with.
            world.expectEnd(machine, { reasons: ['dataDamaged'], isDamage: true, onEnd: () => world.rebuild(machine) });
            strike.startLater(machine);
          },
        });
      });
    },
  },
  {
    name: 'wipe',
    endsProcesses: true,
    damages: true,
    strike: (strike) => {
      const machine = strike.any();
      if (!strike.world.mayBeDamaged(machine)) return;
      strike.world.kill(machine);
      strike.did();
      strike.world.rebuild(machine);
    },
  },
] as const satisfies readonly Fault[];
