/** The parameters of a query (`?a=1&b`), decoded; what cannot be decoded is as it stands. */
export function queryOf(search: string): { readonly name: string; readonly value: string }[] {
  const pairs = search.slice(1).split('&');
  return pairs.flatMap((pair) => {
    if (pair === '') return [];
    const equals = pair.indexOf('=');
    const name = equals < 0 ? pair : pair.slice(0, equals);
    const value = equals < 0 ? '' : pair.slice(equals + 1);
    return [{ name: percentDecoded(spaced(name)), value: percentDecoded(spaced(value)) }];
  });
}

const spaced = (text: string): string => text.replaceAll('+', ' ');

/** Without its percent signs; as it stands when they mean nothing. */
export function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
