import { sentence } from '../config/schema.js';
import type { OptionSpec } from '../options/option.js';
import { SPECS } from '../options/table.js';
import { SECTION_SPECS } from '../sections/sections.js';

const HEAD = `# Configuration

<!-- Generated from the options in apps/cli/src/options/: \`pnpm --filter shadowcat generate\`. -->

Every option is a flag, a variable in the environment, and a key of the configuration file. All three have the same name:
\`--session-idle 1h\`, \`SHADOWCAT_SESSION_IDLE=1h\`, \`session-idle: 1h\`. The flag wins over the variable, the variable over the
file, the file over the default. \`shadowcat config show\` prints what is in effect and where it came from.

The file is \`shadowcat.yaml\` in the working directory, or what \`--config\` or \`SHADOWCAT_CONFIG\` names. One file serves all
commands; each reads the keys that it has. \`shadowcat config init\` writes one with every key as a comment,
\`shadowcat config check\` checks one, and an editor that knows YAML schemas checks it while you type (first line of the
file that \`init\` writes; the schema is \`apps/cli/schema/shadowcat.schema.json\`, or \`shadowcat config schema\`).

\`\`\`yaml
listen: 127.0.0.1:8787
upstream: http://localhost:3000/mcp
session-idle: 1h
record: tapes/
\`\`\`

## Values

| value | written as |
|---|---|
| duration | a number and its unit: \`500ms\`, \`30s\`, \`5m\`, \`2h\`, \`1d\` |
| size | bytes, or with a unit: \`65536\`, \`64k\`, \`4MiB\` (1024s), \`4MB\` (1000s) |
| host:port | \`127.0.0.1:8787\`, \`[::1]:8787\`, or a port alone, which means 127.0.0.1 |
| boolean | on the command line the flag alone, and \`--no-durable\` for the contrary; elsewhere \`true\` or \`false\` |
| repeatable | on the command line several times; in the file a list, or one value; in a variable between commas, or a JSON array |
| name=value | the same, and in the file also a mapping; in a variable one on each line |
| a command | on the command line after \`--\`; in the file a list of words; in a variable words between spaces, or a JSON array. No shell is involved |

Relative paths are relative to the directory that Shadowcat is started in. Of options that exclude each other (\`upstream\` and
\`command\`; \`token\`, \`token-file\` and \`no-auth\`) the one from the higher source counts; two from one source are an error.
`;

/** docs/configuration.md. */
export function configurationPage(): string {
  const groups = new Map<string, OptionSpec[]>();
  for (const spec of SPECS) groups.set(spec.group, [...(groups.get(spec.group) ?? []), spec]);
  const sections = [...groups].map(([group, specs]) => {
    const rows = specs.map((spec) => `| ${rowOf(spec).join(' | ')} |`);
    return `## ${group}\n\n| key | value | default | commands | |\n|---|---|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `${HEAD}\n${sections.join('\n')}\n${sectionsText()}`;
}

const SECTIONS_HEAD = `## Groups of servers

These keys are in the file only, since they hold more than one value. A flag or a variable that names servers (\`--upstream\`, a
command) stands in the place of all of them.
`;

function sectionsText(): string {
  const parts = SECTION_SPECS.map(({ name, help, example, keys }) => {
    const rows = Object.entries(keys).map(
      ([key, { help: text, shape }]) =>
        `| \`${key}\` | ${shape.label.replaceAll('|', '\\|')} | ${text.replaceAll('|', '\\|')}. |`,
    );
    const yaml = `\`\`\`yaml\n${example}\n\`\`\``;
    return `### ${name}\n\n<a id="${name}"></a>${sentence(help)}\n\n${yaml}\n\n| key | value | |\n|---|---|---|\n${rows.join('\n')}\n`;
  });
  return [SECTIONS_HEAD, ...parts].join('\n');
}

function rowOf(spec: OptionSpec): string[] {
  const repeatable = spec.kind === 'many' && spec.place === 'flag' ? ', repeatable' : '';
  const help = sentence(spec.help);
  return [
    `<a id="${spec.name}"></a>\`${spec.name}\``,
    `${spec.type.label.replaceAll('|', '\\|')}${repeatable}`,
    spec.fallback === undefined ? '' : `\`${spec.fallback}\``,
    spec.commands.join(', '),
    help.replaceAll('|', '\\|'),
  ];
}
