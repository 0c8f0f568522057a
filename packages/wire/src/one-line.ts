/**
 * The same JSON text without line breaks, for framings that end a message with one. Inside strings JSON has none
 * (RFC 8259, section 7), so only white space between tokens changes.
 */
export function oneLine(text: string): string {
  return text.includes('\n') || text.includes('\r') ? text.replace(/[\r\n]+/g, ' ') : text;
}
