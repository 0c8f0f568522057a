// The laws of the house as data: which room has which colour, who may import whom, and what to do instead.
// docs/architecture.md tells the same in words; its picture is drawn from the real imports.

/**
 * PURE decides (bytes and values in, bytes and values out). IO touches the world. COMPOSE introduces them to each other.
 * DEV helps tests. TOOLING is this house's own machinery.
 * @typedef {'PURE' | 'IO' | 'COMPOSE' | 'DEV' | 'TOOLING'} Colour
 * @typedef {{ colour: Colour, floor?: number }} Room
 */

/** @type {Readonly<Record<string, Room>>} */
export const ROOMS = {
  'packages/kernel': { colour: 'PURE', floor: 0 },
  'packages/wire': { colour: 'PURE', floor: 1 },
  'packages/pool': { colour: 'PURE', floor: 2 },
  'packages/session': { colour: 'PURE', floor: 2 },
  'packages/pipeline': { colour: 'PURE', floor: 2 },
  'packages/bridge': { colour: 'PURE', floor: 2 },
  'packages/combine': { colour: 'PURE', floor: 2 },
  'packages/shadow': { colour: 'PURE', floor: 2 },
  'packages/upstream': { colour: 'PURE', floor: 2 },
  'packages/tape': { colour: 'PURE', floor: 2 },
  'packages/metrics': { colour: 'PURE', floor: 2 },
  'packages/transport-http': { colour: 'IO' },
  'packages/transport-sse': { colour: 'IO' },
  'packages/transport-stdio': { colour: 'IO' },
  'packages/transport-ws': { colour: 'IO' },
  'packages/store': { colour: 'IO' },
  'packages/tape-file': { colour: 'IO' },
  'packages/offload': { colour: 'IO' },
  'packages/testkit': { colour: 'DEV' },
  'apps/cli': { colour: 'COMPOSE' },
};

/**
 * The I/O packages that may use another one. Each pair has a reason in docs/architecture.md.
 * @type {Readonly<Record<string, readonly string[]>>}
 */
export const IO_PAIRS = {
  'packages/transport-http': ['packages/transport-sse'],
  'packages/tape-file': ['packages/offload'],
};

/** The rooms whose things testkit may know: it doubles for shapes, not for behaviour. */
export const TESTKIT_KNOWS = ['packages/kernel', 'packages/wire'];

/**
 * Third-party packages that a PURE package may use, because they compute and nothing else.
 * @type {Readonly<Record<string, readonly string[]>>}
 */
export const PURE_THIRD_PARTY = {
  'packages/metrics': ['prom-client'],
};

export const MAX_CODE_LINES = 400;

/** Lower-case words joined by hyphens; further dots for `x.test.ts` and the like. */
export const FILE_NAME = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;

/**
 * What each law says, and what to do instead of breaking it.
 * @typedef {keyof typeof LAWS} Law
 */
export const LAWS = {
  'unknown-room': {
    law: 'every package has a room',
    instead: 'Give it a colour in tooling/boundaries/laws.mjs and a line in docs/architecture.md.',
  },
  'no-import-of-cli': {
    law: 'law 1: nothing imports the CLI',
    instead: 'Move what you need into the package whose job it is, and let apps/cli import it from there.',
  },
  'io-imports-io': {
    law: 'law 2: an I/O package imports PURE packages, and another I/O package only where the architecture says so',
    instead: 'Declare the narrow interface you need and let apps/cli pass the other package in.',
  },
  'pure-imports-io': {
    law: 'law 2: a PURE package imports no I/O',
    instead:
      'Declare a port (a narrow interface) in the PURE package; an I/O package implements it, apps/cli passes it in.',
  },
  'pure-imports-node': {
    law: 'law 4: a PURE package does not know Node',
    instead: 'Take bytes, values or a port as an argument; what needs node:* belongs in an I/O package.',
  },
  'pure-floors': {
    law: 'law 3: a PURE package imports PURE packages of a lower floor only (kernel < wire < the rest)',
    instead: 'Declare the narrow interface you need in your own package; structural typing and apps/cli do the rest.',
  },
  'pure-wall-clock': {
    law: 'law 4: a PURE package has no wall clock',
    instead: 'Take `now` as an argument, or a Clock from @shadowcat/kernel (clock.wall()).',
  },
  'pure-third-party': {
    law: 'law 5: a PURE package uses no third-party package',
    instead: 'Write the few lines, or give the dependency to an I/O package or apps/cli and take a port.',
  },
  'pure-compiles-alone': {
    law: 'law 4: a PURE package compiles with tooling/tsconfig/pure.json as it is',
    instead: 'Leave types, lib and paths alone; declare a missing web global in tooling/tsconfig/web-globals.d.ts.',
  },
  'one-home': {
    law: 'law 5: a third-party runtime dependency lives in one package',
    instead: 'Use it through the package that has it, behind an interface of ours.',
  },
  'no-deep-import': {
    law: "law 6: only what a package's `exports` names may be imported",
    instead: "Import the package's name; if what you need is not exported, export it from there on purpose.",
  },
  'testkit-in-tests': {
    law: 'testkit is for tests',
    instead: 'Move what production code needs into the package whose job it is.',
  },
  'testkit-knows-little': {
    law: 'testkit imports kernel and wire only',
    instead: "Put a double for another package's port into that package's own test folder.",
  },
  'same-references': {
    law: "tsconfig.json's references are the workspace dependencies of package.json",
    instead: 'Make both lists the same, so that `tsc -b` and turbo build in the same order.',
  },
  'too-long': {
    law: `a module has at most ${MAX_CODE_LINES} code lines (comments and blanks not counted)`,
    instead: 'Split it: one concept a file.',
  },
  'file-name': {
    law: 'file names are kebab-case',
    instead: 'Rename it: lower-case words joined by hyphens.',
  },
};
