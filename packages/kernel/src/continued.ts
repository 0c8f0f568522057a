/** The bytes of a body of which something was read already: that first, then what its iterator has left. */
export async function* continued(
  read: Uint8Array,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield read;
  for await (const chunk of { [Symbol.asyncIterator]: () => rest }) yield chunk;
}
