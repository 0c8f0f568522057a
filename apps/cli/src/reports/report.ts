/** How bad a finding is; `note`: nothing has to be done. */
export type Level = 'error' | 'warning' | 'note';

/** Where something stands: a line of a file; tapes have one record a line. */
export interface Site {
  /** As the user would name it: relative to the working directory where it is below it. */
  readonly file: string;
  readonly line: number;
}

/** Something that a person has to know. */
export interface Finding {
  /** From a closed set, such as `miss/arguments-differ`. */
  readonly rule: string;
  readonly level: Level;
  /** One line. */
  readonly message: string;
  readonly site: Site | undefined;
  /** What would mend it, one line. */
  readonly remedy?: string | undefined;
}

/** One thing that was tried. */
export interface Case {
  readonly name: string;
  readonly site: Site | undefined;
  /** `error`: it could not be established; `skipped`: it was not tried. */
  readonly outcome: 'passed' | 'failed' | 'error' | 'skipped';
  readonly message?: string;
}

/** What a command found out, in the one form that all report formats are made of. */
export interface Report {
  /** The command, such as `replay`. */
  readonly command: string;
  /** One line. */
  readonly headline: string;
  readonly exitCode: number;
  readonly findings: readonly Finding[];
  readonly cases: readonly Case[];
  /** Figures by name, for the JSON report. */
  readonly figures: Readonly<Record<string, unknown>>;
}

/** `file:line`. */
export function siteText({ file, line }: Site): string {
  return `${file}:${line}`;
}
