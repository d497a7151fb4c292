// `millrace journals append`: stdin or a file to one journal, as one atomic append or line by line.
import { createReadStream } from "node:fs";
import { WireError } from "@millrace/base";
import { AppendService, append, type Commit } from "@millrace/client";
import type { CliIo } from "./cli-io.ts";
import { CLIENT_PORTS, selectedJournal } from "./journal-selection.ts";
import { withTransport, type DoorOptions } from "./system-doors.ts";

export interface AppendOptions extends DoorOptions {
  readonly selector: string;
  readonly input: string;
  readonly framing: "none" | "lines";
  readonly json?: true;
}

/** Bytes of lines that go into one append call; the service batches further. */
const LINES_BYTES = 64 * 1024;
/** One atomic append is held in memory. */
const ATOMIC_BYTES_MAX = 1024 * 1024 * 1024;

export async function runAppend(options: AppendOptions, io: CliIo): Promise<void> {
  await withTransport(options, async (transport) => {
    const journal = await selectedJournal(transport, options.selector, io.signal);
    const input =
      options.input === "-" ? io.stdin : (createReadStream(options.input) as AsyncIterable<Uint8Array>);
    const ports = { transport, ...CLIENT_PORTS };
    const { begin, end } =
      options.framing === "none"
        ? await append(ports, journal, await collect(input), {}, io.signal)
        : await appendLines(new AppendService(ports), journal, input, io.signal);
    if (options.json === true) io.out(`${JSON.stringify({ journal, begin, end })}\n`);
    else io.err(`${journal}: committed [${begin}, ${end})\n`);
  });
}

async function collect(input: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of input) {
    bytes += part.length;
    if (bytes > ATOMIC_BYTES_MAX) {
      const message = `the input is over ${ATOMIC_BYTES_MAX} bytes, too long for one append: try --framing lines`;
      throw new WireError("TOO_LARGE", message);
    }
    parts.push(part);
  }
  return parts;
}

async function appendLines(
  service: AppendService,
  journal: string,
  input: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Commit> {
  let rest: Uint8Array = new Uint8Array();
  let first: Promise<Commit> | undefined;
  let last: Promise<Commit> | undefined;
  const send = async (bytes: Uint8Array): Promise<void> => {
    await service.room(bytes.length, signal);
    last = service.append(journal, [bytes]).done;
    first ??= last;
  };
  for await (const part of input) {
    rest = rest.length === 0 ? part : Buffer.concat([rest, part]);
    const end = rest.lastIndexOf(10) + 1;
    if (end < LINES_BYTES) continue;
    await send(rest.slice(0, end));
    rest = rest.subarray(end);
  }
  const end = rest.lastIndexOf(10) + 1;
  if (end > 0) await send(rest.slice(0, end));
  if (first === undefined || last === undefined) throw unended("the input has no whole line");
  const [{ begin }, commit] = await Promise.all([first, last]);
  if (end < rest.length)
    throw unended(`committed [${begin}, ${commit.end}), but the last line has no newline`);
  return { ...commit, begin };
}

function unended(what: string): WireError {
  return new WireError("UNPROCESSABLE", `${what}: what follows the last newline was not appended`);
}
