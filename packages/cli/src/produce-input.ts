// Where `millrace produce` gets its records from: lines of a stream, a file some times over, or a generator.
import { WireError } from "@millrace/base";

/** No record of a source is as long; a stream without newlines must not fill the memory. */
export const LINE_CHARS_MAX = 64 * 1024 * 1024;

/** Cuts a byte stream into non-empty lines without their newline; a final line may lack one. */
export async function* inputLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let rest: string[] = [];
  let restChars = 0;
  for await (const chunk of chunks) {
    const text = decoder.decode(chunk, { stream: true });
    let begin = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", begin)) {
      const line = trimmed(rest.join("") + text.slice(begin, end));
      rest = [];
      restChars = 0;
      if (line !== "") yield line;
      begin = end + 1;
    }
    rest.push(text.slice(begin));
    restChars += text.length - begin;
    if (restChars > LINE_CHARS_MAX) {
      throw new WireError("TOO_LARGE", `a line of the input is over ${LINE_CHARS_MAX} characters`);
    }
  }
  const line = trimmed(rest.join("") + decoder.decode());
  if (line !== "") yield line;
}

/** The lines of `open()`, `times` times. */
export async function* repeatedLines(
  open: () => AsyncIterable<string>,
  times: number,
): AsyncGenerator<string, void, void> {
  for (let done = 0; done < times; done++) {
    let isEmpty = true;
    for await (const line of open()) {
      isEmpty = false;
      yield line;
    }
    if (isEmpty) return;
  }
}

/** Records of exactly `bytes` bytes, or of as few as they take, numbered from 0. */
export async function* generatedLines(bytes: number): AsyncGenerator<string, void, void> {
  for (let n = 0; ; n++) {
    const head = `{"n":${n},"note":"`;
    yield `${head}${"x".repeat(Math.max(0, bytes - head.length - 2))}"}`;
  }
}

/** Each line as the value of `field` in a record of its own. */
export async function* textRecords(
  lines: AsyncIterable<string>,
  field: string,
): AsyncGenerator<string, void, void> {
  const head = `{${JSON.stringify(field)}:`;
  for await (const line of lines) yield `${head}${JSON.stringify(line)}}`;
}

/** Groups lines into batches of at most `count`, `limit` lines in all. */
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

function trimmed(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}
