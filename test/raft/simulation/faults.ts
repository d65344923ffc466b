/** What goes wrong, and what operators do while it does: one function a fault, chosen by the seed. */
import { FORGOTTEN } from '../../../src/base/ids.ts';
import { membersOf } from '../../../src/raft/membership.ts';
import type { ConfChange } from '../../../src/raft/types.ts';
import type { SimNode } from './node.ts';
import type { Fault } from './profile.ts';
import { TICK } from './profile.ts';
import type { World } from './world.ts';

const NO_CONTEXT = new Uint8Array(0);

export function strike(world: World, fault: Fault): void {
  world.trace(() => `fault ${fault}`);
  STRIKES[fault](world);
}

const STRIKES: Record<Fault, (world: World) => void> = {
  isolate: (world) => {
    const node = aimed(world);
    for (const other of world.nodes) if (other !== node) cutBoth(world, node, other);
  },
  halves: (world) => {
    const left = world.nodes.filter(() => world.random.chance(0.5));
    for (const a of left) for (const b of world.nodes) if (!left.includes(b)) cutBoth(world, a, b);
  },
  oneWay: (world) => {
    const node = aimed(world);
    const isMute = world.random.chance(0.5);
    for (const other of world.nodes) {
      if (other === node || world.random.chance(0.3)) continue;
      if (isMute) world.network.cut(node.id, other.id);
      else world.network.cut(other.id, node.id);
    }
  },
  // Everybody sees its neighbours only, so that several majorities overlap.
  ring: (world) => {
    const count = world.nodes.length;
    for (const [i, a] of world.nodes.entries()) {
      for (const [j, b] of world.nodes.entries()) {
        const distance = Math.min((i - j + count) % count, (j - i + count) % count);
        if (distance > 1) world.network.cut(a.id, b.id);
      }
    }
  },
  heal: (world) => world.network.heal(),
  crash: (world) => crashFor(world, aimed(world)),
  crashLeader: (world) => {
    const leader = world.leader();
    if (leader !== undefined) crashFor(world, leader);
  },
  crashAll: (world) => {
    for (const node of world.nodes) crashFor(world, node);
  },
  membership: (world) => changeMembership(world),
  transfer: (world) => {
    const leader = world.leader();
    const target = world.random.pick(world.nodes);
    if (leader?.core?.transferLeadership(target.id) === true) world.mark('transfer started');
    leader?.drive();
  },
  compact: (world) => {
    for (const node of world.nodes) if (world.random.chance(0.6)) node.compact();
  },
  forget: (world) => {
    for (const node of world.nodes) {
      if (world.random.chance(0.5)) continue;
      node.core?.forgetLeader();
      node.drive();
    }
  },
  campaign: (world) => {
    const node = world.random.pick(world.nodes);
    node.core?.campaign();
    node.drive();
  },
  stall: (world) => {
    const node = aimed(world);
    node.stalledUntil = world.now + world.random.below(4 * world.profile.raft.electionTicks * TICK);
  },
  wipe: (world) => {
    const node = aimed(world);
    const voters = world.nodes.slice(0, world.profile.initialVoters);
    // A majority must remember.
    const forgetful = voters.filter((voter) => voter === node || voter.disk.hardState.vote === FORGOTTEN);
    if (!voters.includes(node) || forgetful.length * 2 >= voters.length) return;
    crashFor(world, node);
    node.lose();
    world.mark('disk lost');
  },
  unreachable: (world) => {
    const leader = world.leader();
    leader?.core?.reportUnreachable(world.random.pick(world.nodes).id);
    leader?.drive();
  },
};

/** Leaders are hit more often than chance would. */
function aimed(world: World): SimNode {
  const leader = world.leader();
  return leader !== undefined && world.random.chance(0.5) ? leader : world.random.pick(world.nodes);
}

function cutBoth(world: World, a: SimNode, b: SimNode): void {
  world.network.cut(a.id, b.id);
  world.network.cut(b.id, a.id);
}

function crashFor(world: World, node: SimNode): void {
  node.crash();
  world.mark('crash');
  const { start } = node;
  world.after(world.random.between(1, world.profile.downTimeMax), () => {
    if (!node.isUp && node.start === start) node.boot();
  });
}

function changeMembership(world: World): void {
  const leader = world.random.chance(0.9) ? world.leader() : world.random.pick(world.nodes);
  const { core } = leader ?? {};
  if (leader === undefined || core === undefined || core === null) return;
  const members = membersOf(core.confState);
  const count = world.random.pick([1, 1, 1, 2, 3]);
  const changes: ConfChange['changes'][number][] = [];
  for (const node of world.nodes.filter(() => world.random.chance(0.5)).slice(0, count)) {
    const kind = members.includes(node.id)
      ? world.random.pick(['addVoter', 'addVoter', 'addLearner', 'remove'] as const)
      : world.random.pick(['addVoter', 'addLearner'] as const);
    changes.push({ kind, node: node.id });
  }
  core.proposeConfChange({ changes, joint: world.random.chance(0.3), context: NO_CONTEXT });
  leader.drive();
}
