/** Directions between rooms, from the table in rooms.cjs. Type imports count. Run: npm run layers */
const { ROOMS } = require('./rooms.cjs');

const names = Object.keys(ROOMS);
const npmHomes = new Map();
for (const [room, { npm }] of Object.entries(ROOMS)) {
  for (const name of npm) npmHomes.set(name, [...(npmHomes.get(name) ?? []), room]);
}
const escape = (name) => name.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');

const directions = Object.entries(ROOMS).map(([room, { imports, advice }]) => ({
  name: `room-${room}`,
  severity: 'error',
  comment: `${room}/ may import ${['base', ...imports].join(', ')} and itself. ${advice}`,
  from: { path: `^src/${room}/` },
  to: { path: '^src/', pathNot: [room, 'base', ...imports].map((name) => `^src/${name}/`) },
}));

const homes = [...npmHomes].map(([name, rooms]) => ({
  name: `home-of-${name}`,
  severity: 'error',
  comment: `${name} is used in ${rooms.map((room) => `${room}/`).join(' and ')} only, so that it can be replaced there.`,
  from: { path: '^src/', pathNot: rooms.map((room) => `^src/${room}/`) },
  to: { path: `node_modules/${escape(name)}/` },
}));

const nodeModules = Object.entries(ROOMS)
  .filter(([, { node }]) => node !== null)
  .map(([room, { node }]) => ({
    name: `world-${room}`,
    severity: 'error',
    comment: `${room}/ may import ${node.length === 0 ? 'no node: module' : node.join(', ')}; the world comes in through src/base/platform.ts.`,
    from: { path: `^src/${room}/` },
    to: { dependencyTypes: ['core'], pathNot: node.map((name) => `^(node:)?${escape(name.replace('node:', ''))}$`) },
  }));

module.exports = {
  forbidden: [
    ...directions,
    ...homes,
    ...nodeModules,
    {
      name: 'no-ring',
      severity: 'error',
      comment: 'Files that need each other are one thing, or share a third: put that into a file of its own.',
      from: { path: '^src/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-ring-of-rooms',
      severity: 'error',
      comment: 'Rooms form no ring, not even by types: see rooms.cjs.',
      from: { path: '^src/([^/]+)/' },
      to: { circular: true, path: '^src/', pathNot: '^src/$1/' },
    },
    {
      name: 'src-without-test',
      severity: 'error',
      comment: 'src/ never imports test/ or compat/: what both need belongs into src/.',
      from: { path: '^src/' },
      to: { path: '^(test|compat)/' },
    },
    {
      name: 'known-room',
      severity: 'error',
      comment: 'Every file of src/ lies in a room of rooms.cjs: add the room there, and to docs/architecture.md.',
      from: { path: '^src/', pathNot: names.map((name) => `^src/${name}/`) },
      to: {},
    },
    {
      name: 'known-package',
      severity: 'error',
      comment: 'src/ uses only packages that have a home in rooms.cjs and stand in "dependencies".',
      from: { path: '^src/' },
      to: {
        dependencyTypes: ['npm', 'npm-dev', 'npm-no-pkg', 'npm-optional', 'npm-peer', 'npm-unknown'],
        pathNot: [...npmHomes.keys()].map((name) => `node_modules/${escape(name)}/`),
      },
    },
    {
      name: 'not-found',
      severity: 'error',
      comment: 'The import leads nowhere.',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^compat/clients/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
    reporterOptions: {
      mermaid: { minify: false },
      archi: { collapsePattern: '^src/[^/]+' },
    },
  },
};
