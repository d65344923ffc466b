/**
 * Rules that find mistakes, with types: no promise left to itself, no `any`, exhaustive switches, and no way to the
 * world (clock, timers, chance, process, disk, network) except through src/base/platform.ts.
 * Layout is biome's work, directions between rooms are dependency-cruiser's.
 */
import { builtinModules } from 'node:module';
import tseslint from 'typescript-eslint';
import { ROOMS } from './rooms.cjs';

const PLATFORM = 'Only src/node and src/bin touch the world; take it from the interfaces of src/base/platform.ts.';

const WORLD_GLOBALS = [
  'Date',
  'performance',
  'process',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'clearInterval',
  'clearImmediate',
  'queueMicrotask',
  'crypto',
  'fetch',
  'WebSocket',
  'console',
].map((name) => ({ name, message: PLATFORM }));

const NODE_MODULES = builtinModules.filter((name) => !name.startsWith('_') && !name.includes('/')).join('|');

const nodeModuleRules = Object.entries(ROOMS)
  .filter(([, { node }]) => node !== null)
  .map(([room, { node, advice }]) => {
    const allowed = node.map((name) => `(?!${name.slice('node:'.length)}$)`).join('');
    const message = `${room}/ may import ${node.length === 0 ? 'no node: module' : node.join(', ')}. ${advice}`;
    return {
      files: [`src/${room}/**/*.ts`],
      rules: {
        'no-restricted-imports': [
          'error',
          { patterns: [{ regex: `^(?:node:)?${allowed}(?:${NODE_MODULES})(?:/.*)?$`, message }] },
        ],
      },
    };
  });

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'coverage/', 'compat/clients/', '**/*.js', '**/*.cjs', '**/*.mjs'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: 'error',
      'no-param-reassign': 'off',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, allowDefaultCaseForExhaustiveSwitch: true },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true, allowNullish: false, allowAny: false, allowNever: true },
      ],
      // `() => items.push(x)` as a callback is plain; what returns a promise is caught by no-floating-promises.
      '@typescript-eslint/no-confusing-void-expression': 'off',
      // A default for what the compiler cannot see to be there (noUncheckedIndexedAccess) is no mistake.
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      // An interface with one method, and a class of static facts, read well enough.
      '@typescript-eslint/no-extraneous-class': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { args: 'none', ignoreRestSiblings: true }],
      // Replies to a user's mistake are thrown without a stack: ReplyError and NotResident are no Errors, for speed.
      '@typescript-eslint/only-throw-error': 'off',
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/node/**', 'src/bin/**'],
    rules: {
      'no-restricted-globals': ['error', ...WORLD_GLOBALS],
      'no-restricted-properties': ['error', { object: 'Math', property: 'random', message: PLATFORM }],
    },
  },
  ...nodeModuleRules,
  {
    files: ['test/**/*.ts', 'compat/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-type-assertion': 'off',
      '@typescript-eslint/no-misused-spread': 'off',
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
);
