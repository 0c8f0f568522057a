const MAX_WIDTH = 60;
/** Characters that terminals show in two columns, and those that take none of their own. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
const NONE = /^[\p{Mn}\p{Me}\p{Cf}]$/u;

/** Columns with a heading, as wide as they need to be; only the last one may be any length. */
export function textTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows].map((row) => row.map((text) => ({ text, width: widthOf(text) })));
  const widths = headings.map((_, column) =>
    Math.min(MAX_WIDTH, Math.max(...all.map((row) => row[column]?.width ?? 0))),
  );
  return all
    .map((row) => {
      const cells = row.map(({ text, width }, column) => text + ' '.repeat(Math.max(0, (widths[column] ?? 0) - width)));
      return `${cells.join('  ').trimEnd()}\n`;
    })
    .join('');
}

/** How many columns of a terminal a text takes. */
export function widthOf(text: string): number {
  let width = 0;
  for (const char of text) width += columnsOf(char);
  return width;
}

/** A text that takes no more than so many columns: the end of a longer one becomes `…`. */
export function cutTo(text: string, columns: number): string {
  let [width, end] = [0, 0];
  for (const char of text) {
    width += columnsOf(char);
    if (width > columns) return `${text.slice(0, end)}…`;
    // Room for the mark.
    if (width < columns) end += char.length;
  }
  return text;
}

function columnsOf(char: string): number {
  return NONE.test(char) ? 0 : WIDE.test(char) ? 2 : 1;
}
