import { hideQuoted, isHidden } from './redact-keyed.js';
import type { Rules } from './redact-rules.js';

/** How a program takes a secret on its command line where no long flag says so. */
interface Tool {
  readonly name: RegExp;
  /** The group `value` is the secret. */
  readonly secrets: readonly RegExp[];
}

const QUOTE = '(?<open>["\']?)';
const REST = '(?<value>[^\\s"\']+)';
const flag = (flags: string): RegExp => new RegExp(`(?<before>\\s${flags})${QUOTE}${REST}`, 'g');
/** `-u name:secret`; `-u 1000:1000` and the like are other programs' business. */
const userFlag = (flags: string): RegExp =>
  new RegExp(`(?<before>\\s(?:${flags}))(?<open>["']?[^\\s"':]{0,256}:)(?<value>[^\\s"']+)`, 'g');

const TOOLS: readonly Tool[] = [
  {
    name: /\b(?:curl|wget|https?|xh)\b/,
    secrets: [
      userFlag('-[a-zA-Z]{0,8}[uUa][ \\t]{0,4}|--(?:user|proxy-user|auth)[ =][ \\t]{0,4}'),
      /(?<before>\s(?:-b|--cookie)[ =]{1,4})(?<open>["']?)(?<value>[^\s"'=]{1,256}=[^"'\n]{1,4096}?(?=["'\s]|$))/g,
    ],
  },
  { name: /\b(?:mysql\w{0,16}|mariadb[\w-]{0,16})\b/, secrets: [flag('-p(?=[^\\s-])')] },
  { name: /\bsshpass\b/, secrets: [flag('-p[ \\t]{0,4}')] },
  { name: /\b(?:docker|podman|helm|oras|crane|nerdctl)\b[^\n]{0,80}?\blogin\b/, secrets: [flag('-p[ \\t]{1,4}')] },
  { name: /\bredis-cli\b/, secrets: [flag('-a[ \\t]{0,4}')] },
  { name: /\b(?:zip|unzip)\b/, secrets: [flag('-P[ \\t]{0,4}')] },
  { name: /\b7za?\b/, secrets: [flag('-p(?=\\S)')] },
  { name: /\bldap[a-z]{3,12}\b/, secrets: [flag('-w[ \\t]{0,4}')] },
  {
    name: /\b(?:smbclient|rpcclient)\b/,
    secrets: [/(?<before>\s-U[ \t]{0,4})(?<open>["']?[^\s"'%]{1,256}%)(?<value>[^\s"']+)/g],
  },
  { name: /\bopenssl\b/, secrets: [/(?<before>\s-pass(?:in|out)?[ \t]{1,4})(?<open>["']?pass:)(?<value>[^\s"']+)/g] },
];

/** A cheap test: few texts have a flag that could be one of these. */
const FLAG = /[\s"'](?:-[a-zA-Z]{0,8}[uUapPwb]|--(?:proxy-)?(?:user|auth|cookie))/;
/** What follows the name of a program, to the end of its line; a line that ends in a backslash goes on. */
const COMMAND =
  /\b(?:curl|wget|https?|xh|mysql\w{0,16}|mariadb[\w-]{0,16}|sshpass|docker|podman|helm|oras|crane|nerdctl|redis-cli|zip|unzip|7za?|ldap[a-z]{3,12}|smbclient|rpcclient|openssl)\b(?=[ \t])(?:[^\n\\]|\\[\s\S]){1,4096}/g;

/** Whether a text may hold a command line with a secret. */
export function mayBeCommand(text: string): boolean {
  return FLAG.test(text);
}

/** Hides what short flags of well-known programs give: `curl -u name:secret`, `mysql -psecret`, `sshpass -p secret`. */
export function hideCommands(text: string, rules: Rules): string {
  if (!FLAG.test(text)) return text;
  return text.replace(COMMAND, (command) => {
    let out = command;
    for (const { name, secrets } of TOOLS) {
      if (!name.test(out)) continue;
      for (const pattern of secrets) out = out.replace(pattern, (...found: unknown[]) => hidden(found, rules));
    }
    return out;
  });
}

function hidden(found: unknown[], rules: Rules): string {
  const { before, open, value } = found.at(-1) as { before: string; open: string; value: string };
  if (isHidden(value)) return String(found[0]);
  return `${before}${open}${hideQuoted(value, { kind: 'flag', name: before.trim().replace(/=$/, '') }, rules)}`;
}

const PROGRAM =
  /^(?:.{0,256}[/\\])?(curl|wget|https?|xh|mysql\w{0,16}|mariadb[\w-]{0,16}|sshpass|docker|podman|redis-cli|zip|unzip|7za?|ldap[a-z]{3,12}|smbclient|openssl)(?:\.exe)?$/;

/** An argument vector, word by word: `["curl", "-u", "name:secret"]`. */
export class ArgumentWords {
  #program = '';
  #before = '';

  /** @param program what runs with these arguments, where that is not one of them */
  constructor(program = '') {
    this.#program = PROGRAM.exec(program)?.[1] ?? '';
  }

  /** The next word, without its secret when the words before say that it holds one. */
  hide(word: string, rules: Rules): string {
    const program = PROGRAM.exec(word)?.[1];
    const line = ` ${this.#program} ${this.#before} `;
    const shown =
      this.#program === '' || word.length > 4096 || /["'\s]/.test(word) ? undefined : hideCommands(line + word, rules);
    if (program !== undefined) this.#program = program;
    else if (word === 'login' && this.#program !== '') this.#program += ' login';
    this.#before = /^--?\w[\w-]{0,40}$/.test(word) ? word : '';
    return shown?.startsWith(line) === true ? shown.slice(line.length) : word;
  }
}
