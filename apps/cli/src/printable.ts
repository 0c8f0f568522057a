const STEERING = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu;

/** Tapes come from anywhere: what would steer a terminal, or look like another line, is shown instead of sent. */
export function printable(text: string): string {
  return text.replaceAll(STEERING, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The same for text of several lines. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

const STEERING_JSON = /\\\\|\\u00(?:[01][0-9a-f]|7f)|[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/gi;

/** The same for the values of a JSON text that will be decoded before it is shown. */
export function printableJson(json: string): string {
  return json.replaceAll(STEERING_JSON, (found) => {
    if (found === '\\\\') return found;
    return found.length > 1 ? `\\${found}` : `\\\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
