// Cuts lines into inserts. Where it cuts is a function of the lines alone, not of the pieces that they come in: an
// insert that is made again, from objects that were staged again, has the same rows under the same number.
const NEWLINE = 10;

/**
 * @param bytesMin an insert ends with the line that reaches so many bytes
 * @param pieces text that ends with a line
 */
export async function* insertCuts(
  pieces: AsyncIterable<Uint8Array>,
  bytesMin: number,
): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of pieces) {
    let from = 0;
    while (bytes + piece.length - from >= bytesMin) {
      const end = piece.indexOf(NEWLINE, Math.max(from, from + bytesMin - bytes - 1)) + 1;
      if (end === 0) break;
      held.push(piece.slice(from, end));
      yield Buffer.concat(held);
      held = [];
      bytes = 0;
      from = end;
    }
    if (from === piece.length) continue;
    // A copy: whoever makes pieces may use the memory again.
    held.push(piece.slice(from));
    bytes += piece.length - from;
  }
  if (bytes > 0) yield Buffer.concat(held);
}
