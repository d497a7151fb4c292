// Where `millrace produce` gets its records from: lines of a stream, a file again and again, or a generator.

/** Cuts a byte stream into non-empty lines without their newline; a final line may lack one. */
export async function* inputLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    const text = rest + decoder.decode(chunk, { stream: true });
    let begin = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", begin)) {
      const line = text.slice(begin, end).replace(/\r$/, "");
      if (line !== "") yield line;
      begin = end + 1;
    }
    rest = text.slice(begin);
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}

/** Records of about `bytes` bytes, numbered from 0. */
export async function* generatedLines(bytes: number): AsyncGenerator<string, void, void> {
  for (let n = 0; ; n++) {
    const head = `{"n":${n},"note":"`;
    yield `${head}${"x".repeat(Math.max(0, bytes - head.length - 2))}"}`;
  }
}

/** Groups lines into batches of at most `count`. */
export async function* batchesOf(
  lines: AsyncIterable<string>,
  count: number,
  limit: number,
): AsyncGenerator<readonly string[], void, void> {
  let batch: string[] = [];
  let taken = 0;
  if (limit <= 0) return;
  for await (const line of lines) {
    batch.push(line);
    taken++;
    if (batch.length === count || taken === limit) {
      yield batch;
      batch = [];
    }
    if (taken === limit) return;
  }
  if (batch.length > 0) yield batch;
}
