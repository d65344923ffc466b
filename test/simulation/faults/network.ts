/** Links that are cut, slow, or end: between nodes, or, where the name says so, between clients and nodes. */
import type { SimMachine } from '../../doubles/sim-platform.ts';
import { between, type Fault, type Path, type Strike } from './fault.ts';

const SHORT_MS = 200;
const LONG_MS = 6_000;

function cut(strike: Strike, paths: readonly Path[]): void {
  strike.cutFor(SHORT_MS, LONG_MS, paths);
}

/** In an order of the seed. */
function shuffled(strike: Strike, machines: readonly SimMachine[]): SimMachine[] {
  const left = [...machines];
  return machines.map(() => {
    const machine = strike.random.pick(left);
    left.splice(left.indexOf(machine), 1);
    return machine;
  });
}

/** One node, or the leader, and about half of the clients. */
function someClients(strike: Strike): { readonly node: string; readonly clients: readonly string[] } {
  const machine = strike.random.chance(0.5) ? strike.leader() : strike.any();
  const clients = [...strike.world.clientHosts].filter(() => strike.random.chance(0.5));
  return { node: machine.name, clients };
}

export const NETWORK_FAULTS = [
  { name: 'isolate', strike: (strike) => cut(strike, strike.around([strike.any()])) },
  { name: 'isolateLeader', strike: (strike) => cut(strike, strike.around([strike.leader()])) },
  {
    name: 'halves',
    strike: (strike) => cut(strike, strike.around(strike.world.machines.filter(() => strike.random.chance(0.5)))),
  },
  {
    // It hears nobody, or nobody hears it.
    name: 'oneWay',
    strike: (strike) => {
      const machine = strike.any();
      const others = strike.world.machines.filter((other) => other !== machine);
      const isDeaf = strike.random.chance(0.5);
      cut(
        strike,
        others.map(({ name }): Path => (isDeaf ? [name, machine.name] : [machine.name, name])),
      );
    },
  },
  {
    // Two halves that do not see each other, and one node that sees both.
    name: 'bridge',
    strike: (strike) => {
      const [, ...others] = shuffled(strike, strike.world.machines);
      const middle = Math.ceil(others.length / 2);
      cut(strike, between(others.slice(0, middle), others.slice(middle)));
    },
  },
  {
    // Each node sees a majority, and no two see the same one: neighbours on a ring only.
    name: 'ring',
    strike: (strike) => {
      const ring = shuffled(strike, strike.world.machines);
      const reach = Math.max(1, Math.floor(ring.length / 4));
      const paths = ring.flatMap((a, i) =>
        ring.flatMap((b, j) => {
          const distance = Math.min(Math.abs(i - j), ring.length - Math.abs(i - j));
          return distance > reach ? ([[a.name, b.name]] as const) : [];
        }),
      );
      // Of three each sees all: one link is cut, so that one node is in the middle.
      const [a, b] = ring;
      cut(strike, paths.length === 0 && a !== undefined && b !== undefined ? between([a], [b]) : paths);
    },
  },
  {
    // The links of some nodes stop one after the other, and come back in another order ("swizzle").
    name: 'swizzle',
    strike: (strike) => {
      const { network, machines } = strike.world;
      const before = network.blockedCount;
      for (const machine of machines.filter(() => strike.random.chance(0.7))) {
        strike.later(0, 1_000, () => {
          for (const [from, to] of strike.around([machine])) network.cut(from, to);
          strike.later(500, 3_000, () => {
            if (network.blockedCount > before) strike.did();
            for (const [from, to] of strike.around([machine])) network.heal(from, to);
          });
        });
      }
    },
  },
  {
    // A leader that sleeps while the others go on, and wakes before it can hear them.
    name: 'freezeAlone',
    strike: (strike) => {
      const machine = strike.leader();
      const { boot } = machine;
      if (boot === null || boot.isPaused) return;
      const { network } = strike.world;
      const paths = strike.around([machine]);
      for (const [from, to] of paths) network.cut(from, to);
      boot.pause();
      strike.later(400, 3_000, () => {
        if (boot.waitingCount > 0) strike.did();
        boot.resume();
        strike.later(50, 1_500, () => {
          for (const [from, to] of paths) network.heal(from, to);
        });
      });
    },
  },
  {
    name: 'reset',
    strike: (strike) => {
      const ended = strike.world.network.reset(strike.any().name, strike.any().name);
      if (ended > 0) strike.did();
    },
  },
  {
    // A node that some clients do not reach, or that does not reach them: nobody is told.
    name: 'cutClients',
    strike: (strike) => {
      const { node, clients } = someClients(strike);
      const ways = strike.random.pick(['there', 'back', 'both'] as const);
      cut(
        strike,
        clients.flatMap((client): readonly Path[] => [
          ...(ways === 'back' ? [] : [[client, node] as const]),
          ...(ways === 'there' ? [] : [[node, client] as const]),
        ]),
      );
    },
  },
  {
    name: 'resetClients',
    strike: (strike) => {
      const { node, clients } = someClients(strike);
      const ended = clients.map((client) => strike.world.network.reset(client, node));
      if (ended.some((count) => count > 0)) strike.did();
    },
  },
  {
    name: 'slow',
    strike: (strike) => {
      const { world } = strike;
      world.slowness = strike.random.pick([3, 20]);
      const before = world.network.latencyCount;
      strike.later(200, 3_000, () => {
        if (world.network.latencyCount > before) strike.did();
        world.slowness = 1;
      });
    },
  },
] as const satisfies readonly Fault[];
