import type { Command } from 'commander';
import { CommandContext } from '../commands/context.js';
import { commandPath } from '../commands/define.js';
import type { Host } from '../host.js';
import { buildProgram } from '../program.js';

const WIDTH = 118;

const HEAD = `# The command line

<!-- Generated from the help texts: \`pnpm --filter shadowcat generate\`. -->

In a checkout: \`npm start -- <words>\`, or \`node apps/cli/dist/main.js <words>\` on Node 22.19 or newer after \`npm run build\`.

Only data goes to stdout: the endpoint's URL of \`reverse\`, \`record\` and \`replay\` (the first line, once connections are
accepted), what \`config show\`, \`config schema\`, \`doctor\`, \`tape\` and \`shadow\` print, an overlay that
\`verify --learn\` does not write beside the tape, help and version. Everything else goes to stderr;
\`NO_COLOR\` is respected. The first SIGTERM or SIGINT ends a proxy in good order, a second one at once.

| exit code | replay, verify, tape, shadow | others |
|---|---|---|
| 0 | everything established and equal | fine |
| 1 | differences, or misses | failure |
| 2 | usage or configuration | usage or configuration |
| 3 | a tape that is invalid, truncated or corrupt; findings that cannot be read | |
| 4 | incomplete: blocked, skipped, never established | |
| 5 | target unreachable, or a command that does not start | |
| 6 | a secret was found | |

Errors are one or two plain lines: what, where (\`file:line:column\` and key, flag or variable), what to do. \`--log-level debug\`
adds stack traces. All options with their defaults are in [configuration.md](configuration.md).
`;

const NOWHERE: Host = {
  env: {},
  cwd: '.',
  node: '',
  terminal: false,
  columns: undefined,
  out: () => {},
  err: () => {},
  stopping: () => ({ signal: new AbortController().signal, [Symbol.dispose]() {} }),
  stack: () => Promise.reject(new Error('nothing runs here')),
};

/** docs/cli.md. */
export function commandsPage(): string {
  const program = buildProgram(new CommandContext(NOWHERE, []));
  return `${HEAD}${sectionsOf(program)
    .map((command) => `\n## ${commandPath(command)}\n\n\`\`\`text\n${helpOf(command)}\`\`\`\n`)
    .join('')}`;
}

function sectionsOf(command: Command): Command[] {
  const { commands } = command;
  const visible = new Set(command.createHelp().visibleCommands(command));
  return [command, ...commands.filter((child) => visible.has(child)).flatMap(sectionsOf)];
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({
    getOutHelpWidth: () => WIDTH,
    getOutHasColors: () => false,
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
