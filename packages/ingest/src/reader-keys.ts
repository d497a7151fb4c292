// The window of a partition's keys (key-window.ts) as it is at an offset: nothing of it is stored but where it begins,
// and what stands from there on is read again. Of what the clean-up has removed nothing matters any more.
import { WireError, type Clock, type Logger } from "@millrace/base";
import { readJournal, type JournalTransport } from "@millrace/client";
import { FrameDecoder } from "./frame-decoder.ts";
import { KeyWindow, type WindowBounds } from "./key-window.ts";

export interface KeyReaderPorts {
  readonly transport: JournalTransport;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * @param at the place, and from where on keys matter there
 * @throws {WireError} of the journal; CORRUPT
 */
export async function keysAt(
  ports: KeyReaderPorts,
  journal: string,
  at: { readonly offset: number; readonly keysBegin?: number },
  bounds: WindowBounds,
  signal: AbortSignal,
): Promise<KeyWindow> {
  const window = new KeyWindow(bounds);
  const { offset, keysBegin = offset } = at;
  if (keysBegin >= offset) return window;
  let decoder = new FrameDecoder(keysBegin);
  const range = { journal, offset: keysBegin, endOffset: offset, block: true };
  try {
    for await (const event of readJournal(ports, range, signal)) {
      if (event.kind === "jump") {
        // Fragments begin where frames do.
        if (event.to >= offset) return window;
        decoder = new FrameDecoder(event.to);
        continue;
      }
      for (const frame of decoder.push(event.bytes)) window.kept(frame);
    }
  } catch (thrown) {
    // Nothing is left of it to be read.
    if (signal.aborted || WireError.from(thrown).code !== "SUSPENDED") throw thrown;
  }
  return window;
}
