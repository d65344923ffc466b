/**
 * The rooms of src/, and what each may import besides itself and base/. One table for dependency-cruiser (directions,
 * npm homes), ESLint (node: modules) and the tidy tests (every folder is a known room). docs/architecture.md says why.
 *
 *   imports  rooms below it
 *   node     `node:` modules; the world (clock, disk, network, process) belongs to node/ and bin/ alone
 *   npm      packages whose home the room is
 *   advice   what to do instead, shown when the rule is broken
 */
const ROOMS = {
  base: {
    imports: [],
    node: ['node:buffer', 'node:zlib'],
    npm: [],
    advice: 'base/ holds what every room may use and knows none of them: move the code up, or pass in what it needs.',
  },
  config: {
    imports: [],
    node: ['node:buffer'],
    npm: [],
    advice: 'config/ turns text into values and knows nothing of their use: react to them where they are used.',
  },
  resp: {
    imports: [],
    node: ['node:buffer'],
    npm: ['redis-parser'],
    advice: 'resp/ is bytes and replies. What needs a command or a session belongs into commands/ or server/.',
  },
  values: {
    imports: [],
    node: [],
    npm: [],
    advice: 'values/ is what keys hold, in memory and as bytes. What answers a client belongs into commands/.',
  },
  scripting: {
    imports: ['resp'],
    node: ['node:buffer', 'node:crypto', 'node:fs/promises', 'node:module'],
    npm: ['wasmoon-lua5.1'],
    advice: 'scripting/ runs Lua and calls commands through the callback that it is given; it reads its engine, once.',
  },
  commands: {
    imports: ['resp', 'values', 'scripting'],
    node: [],
    npm: [],
    advice:
      'commands/ are pure functions of arguments and view. What needs a connection or the cluster: server/families/.',
  },
  raft: {
    imports: [],
    node: [],
    npm: [],
    advice: 'raft/ is a pure core: hand in messages and ticks, carry out what ready() returns, in partition/.',
  },
  storage: {
    imports: [],
    node: ['node:buffer', 'node:crypto'],
    npm: ['abstract-level'],
    advice: 'storage/ keeps bytes and knows neither Raft nor commands; files come from Disk in base/platform.ts.',
  },
  transport: {
    imports: [],
    node: ['node:buffer', 'node:crypto'],
    npm: [],
    advice: 'transport/ carries bytes between nodes and knows no Raft; sockets come from Network in base/platform.ts.',
  },
  partition: {
    imports: ['config', 'resp', 'values', 'scripting', 'commands', 'raft', 'storage'],
    node: ['node:buffer'],
    npm: [],
    advice: 'partition/ is one replica. What needs other nodes or partitions belongs into cluster/ or txn/.',
  },
  txn: {
    imports: ['config', 'resp', 'values', 'commands', 'partition'],
    node: ['node:buffer'],
    npm: [],
    advice: 'txn/ reaches participants through its own interface, which cluster/ implements.',
  },
  cluster: {
    imports: ['config', 'resp', 'values', 'commands', 'raft', 'storage', 'transport', 'partition', 'txn'],
    node: ['node:buffer', 'node:crypto'],
    npm: [],
    advice: 'cluster/ routes work to partitions. What needs a client’s connection belongs into server/.',
  },
  server: {
    imports: ['config', 'resp', 'values', 'scripting', 'commands', 'txn', 'cluster'],
    node: ['node:buffer', 'node:crypto'],
    npm: [],
    advice: 'server/ serves clients and reaches data through cluster/api.ts only.',
  },
  node: {
    imports: [
      'config',
      'resp',
      'values',
      'scripting',
      'commands',
      'raft',
      'storage',
      'transport',
      'partition',
      'txn',
      'cluster',
      'server',
    ],
    node: null,
    npm: ['level', 'abstract-level', 'pino'],
    advice: 'node/ builds a node from configuration and platform; only bin/ may import it.',
  },
  bin: {
    imports: ['config', 'resp', 'node'],
    node: null,
    npm: ['picocolors', 'ioredis'],
    advice: 'bin/ is argv and exit codes. What a test wants to call belongs into node/ or below.',
  },
};

module.exports = { ROOMS };
