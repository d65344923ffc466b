/**
 * Faults between nodes. Clients reach every node all the time, so a node that is cut off keeps its clients, and must
 * tell them the truth.
 */
import { pairsOf } from '../../harness/fault-network.ts';
import type { KahunaNode } from '../../harness/kahuna.ts';
import { seconds } from '../../harness/report.ts';
import { pause } from '../../harness/wait.ts';
import { type FaultContext, type FaultPlan, type FaultRow, followers, minorityOf, namesOf, shuffled } from './fault.ts';

const CUT_MS = [1_500, 6_000] as const;

export const NETWORK_FAULTS: readonly FaultRow[] = [
  {
    name: 'isolate-leader',
    doc: 'nothing goes between the leader and the others, without any error',
    draw: (context) => isolate(context, [context.leader]),
  },
  {
    name: 'isolate-follower',
    doc: 'the same for a follower',
    draw: (context) => isolate(context, followers(context).slice(0, 1)),
  },
  {
    name: 'isolate-minority',
    doc: 'the largest possible minority, with the leader, against the rest',
    draw: (context) => isolate(context, [context.leader, ...followers(context)].slice(0, minorityOf(context))),
  },
  {
    name: 'cut-leader',
    doc: 'connections of the leader are reset, new ones refused',
    draw: (context) => cutOff(context, context.leader),
  },
  {
    name: 'deaf-leader',
    doc: 'one way: the others hear the leader, it hears nobody',
    draw: (context) => oneWay(context, 'to'),
  },
  {
    name: 'mute-leader',
    doc: 'one way: the leader hears the others, nobody hears it',
    draw: (context) => oneWay(context, 'from'),
  },
  { name: 'bridge', doc: 'two halves that see each other through one node only', draw: bridge },
  { name: 'ring', doc: 'each node sees its two neighbours only; needs 5 nodes', draw: ring },
  { name: 'swizzle', doc: 'links fall silent one by one, and come back in another order', draw: swizzle },
  { name: 'slow-links', doc: 'every piece comes 20 to 150 ms later', draw: slowLinks },
  { name: 'narrow-links', doc: 'so many kilobytes a second from the leader to the others', draw: narrowLinks },
  { name: 'resets', doc: 'links break in the middle of a frame, again and again', draw: resets },
];

function isolate(context: FaultContext, nodes: readonly KahunaNode[]): FaultPlan {
  const { network, cluster, random } = context;
  const others = cluster.nodes.filter((node) => !nodes.includes(node));
  const silentMs = random.integer(...CUT_MS);
  return {
    text: `${namesOf(nodes)} | ${namesOf(others)} for ${seconds(silentMs)}`,
    nodes,
    keepsQuorum: true,
    act: () =>
      whileFaulty(context, silentMs, () => {
        for (const node of nodes)
          for (const other of others) network.setBoth(node.name, other.name, { isSilent: true });
      }),
  };
}

function cutOff(context: FaultContext, node: KahunaNode): FaultPlan {
  const { network, cluster, random } = context;
  const cutMs = random.integer(...CUT_MS);
  return {
    text: `links of ${node.name} reset and refused for ${seconds(cutMs)}`,
    nodes: [node],
    keepsQuorum: true,
    act: () =>
      whileFaulty(context, cutMs, () => {
        for (const other of cluster.nodes) if (other !== node) network.setBoth(node.name, other.name, { isCut: true });
      }),
  };
}

/** Who leads while only one way works is nobody's promise, so every client may have to wait too long. */
function oneWay(context: FaultContext, direction: 'to' | 'from'): FaultPlan {
  const { network, cluster, leader, random } = context;
  const silentMs = random.integer(...CUT_MS);
  return {
    text: `nothing arrives ${direction} ${leader.name} for ${seconds(silentMs)}`,
    nodes: cluster.nodes,
    keepsQuorum: false,
    act: () =>
      whileFaulty(context, silentMs, () => {
        for (const other of cluster.nodes) {
          if (other === leader) continue;
          if (direction === 'to') network.set(other.name, leader.name, { isSilent: true });
          else network.set(leader.name, other.name, { isSilent: true });
        }
      }),
  };
}

function bridge(context: FaultContext): FaultPlan {
  const { network, cluster, random } = context;
  const [middle, ...others] = shuffled(cluster.nodes, random);
  const left = others.slice(0, others.length >> 1);
  const right = others.slice(others.length >> 1);
  const silentMs = random.integer(...CUT_MS);
  return {
    text: `${namesOf(left)} and ${namesOf(right)} only through ${middle?.name ?? ''} for ${seconds(silentMs)}`,
    nodes: cluster.nodes,
    keepsQuorum: false,
    act: () =>
      whileFaulty(context, silentMs, () => {
        for (const one of left) for (const other of right) network.setBoth(one.name, other.name, { isSilent: true });
      }),
  };
}

function ring(context: FaultContext): FaultPlan {
  const { network, cluster, random } = context;
  const order = shuffled(cluster.nodes, random);
  const silentMs = random.integer(...CUT_MS);
  return {
    text: `a ring ${namesOf(order)} for ${seconds(silentMs)}`,
    nodes: cluster.nodes,
    keepsQuorum: false,
    act: () =>
      whileFaulty(context, silentMs, () => {
        for (const { from, to } of pairsOf(order)) {
          const apart = Math.abs(order.indexOf(from) - order.indexOf(to));
          if (apart > 1 && apart < order.length - 1) network.set(from.name, to.name, { isSilent: true });
        }
      }),
  };
}

/** The order in which links come back matters more than that they were away (FoundationDB's "swizzle-clogging"). */
function swizzle(context: FaultContext): FaultPlan {
  const { network, cluster, random } = context;
  const stepMs = random.integer(100, 500);
  const pairs = shuffled(pairsOf(cluster.nodes), random).slice(0, 2 + random.integer(0, cluster.nodes.length));
  return {
    text: `${pairs.length} directions fall silent and come back, ${stepMs} ms between two`,
    nodes: cluster.nodes,
    keepsQuorum: false,
    async act() {
      network.takeEffects();
      for (const { from, to } of pairs) {
        network.set(from.name, to.name, { isSilent: true });
        await pause(stepMs);
      }
      const held = network.takeEffects().heldBytes;
      for (const { from, to } of shuffled(pairs, random)) {
        network.set(from.name, to.name, { isSilent: false });
        await pause(stepMs);
      }
      network.heal();
      return held === 0 ? null : `${held} bytes held back`;
    },
  };
}

function slowLinks(context: FaultContext): FaultPlan {
  const { network, cluster, random } = context;
  const slowMs = random.integer(3_000, 6_000);
  const delayMs = random.integer(20, 100);
  return {
    text: `all links ${delayMs} to ${delayMs + 50} ms slower for ${seconds(slowMs)}`,
    nodes: [],
    keepsQuorum: true,
    act: () =>
      whileFaulty(context, slowMs, () => {
        for (const { from, to } of pairsOf(cluster.nodes)) network.set(from.name, to.name, { delayMs, jitterMs: 50 });
      }),
  };
}

/** Enough for the load in the long run, not for what comes at once. */
function narrowLinks(context: FaultContext): FaultPlan {
  const { network, cluster, leader, random } = context;
  const narrowMs = random.integer(3_000, 6_000);
  const kilobytes = random.integer(150, 600);
  return {
    text: `${kilobytes} KB/s from ${leader.name} to each other for ${seconds(narrowMs)}`,
    nodes: cluster.nodes,
    keepsQuorum: false,
    act: () =>
      whileFaulty(context, narrowMs, () => {
        for (const other of cluster.nodes) {
          if (other !== leader) network.set(leader.name, other.name, { bytesPerSecond: kilobytes * 1024 });
        }
      }),
  };
}

function resets(context: FaultContext): FaultPlan {
  const { network, cluster, random } = context;
  const count = random.integer(3, 10);
  return {
    text: `${count} times a link breaks within a frame`,
    nodes: [],
    keepsQuorum: true,
    async act() {
      network.takeEffects();
      const pairs = pairsOf(cluster.nodes);
      for (let index = 0; index < count; index += 1) {
        const { from, to } = random.pick(pairs);
        network.resetSoon(from.name, to.name);
        await pause(random.integer(50, 400));
      }
      const { ended } = network.takeEffects();
      return ended === 0 ? null : `${ended} connections broke`;
    },
  };
}

/** Breaks the network, waits, heals it, and tells what the nodes had of it. */
async function whileFaulty({ network }: FaultContext, lengthMs: number, breakIt: () => void): Promise<string | null> {
  network.takeEffects();
  breakIt();
  await pause(lengthMs);
  const effects = network.takeEffects();
  network.heal();
  const told = [
    effects.heldBytes > 0 ? `${effects.heldBytes} bytes held back` : '',
    effects.ended > 0 ? `${effects.ended} connections ended` : '',
    effects.refused > 0 ? `${effects.refused} refused` : '',
    effects.latePieces > 0 ? `${effects.latePieces} pieces late, up to ${Math.round(effects.latestMs)} ms` : '',
  ].filter((text) => text !== '');
  return told.length === 0 ? null : told.join(', ');
}
