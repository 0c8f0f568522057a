const MAX_WIDTH = 60;

/** Columns with a heading, as wide as they need to be; only the last one may be any length. */
export function textTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows];
  const widths = headings.map((_, column) =>
    Math.min(MAX_WIDTH, Math.max(...all.map((row) => row[column]?.length ?? 0))),
  );
  const lineOf = (row: readonly string[]): string =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
  return all.map((row) => `${lineOf(row).trimEnd()}\n`).join('');
}
