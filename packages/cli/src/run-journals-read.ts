// `millrace journals read`: bytes of the matching journals to stdout, spans of one journal at a time.
import { strictText } from "@millrace/base";
import { readJournal } from "@millrace/client";
import { UsageError, type CliIo } from "./cli-io.ts";
import { CLIENT_PORTS, selectedJournals } from "./journal-selection.ts";
import { withTransport, type DoorOptions } from "./system-doors.ts";

export interface ReadOptions extends DoorOptions {
  readonly selector: string;
  readonly block?: true;
  readonly tail?: true;
  readonly offset?: string;
  readonly json?: true;
}

export async function runRead(options: ReadOptions, io: CliIo): Promise<void> {
  await withTransport(options, async (transport) => {
    const offset = beginOffset(options);
    const journals = await selectedJournals(transport, options.selector, io.signal);
    const read = async (journal: string): Promise<void> => {
      const wanted = { journal, offset, block: options.block === true };
      for await (const event of readJournal({ transport, ...CLIENT_PORTS }, wanted, io.signal)) {
        if (event.kind === "jump") io.err(`${journal}: offsets [${event.from}, ${event.to}) are gone\n`);
        else if (options.json === true) await io.outBytes(Buffer.from(jsonSpan(journal, event)));
        else await io.outBytes(event.bytes);
      }
    };
    try {
      await Promise.all(journals.map(({ spec }) => read(spec.name)));
    } catch (error) {
      // Interrupting is how a blocking read ends.
      if (!io.signal.aborted) throw error;
    }
  });
}

function beginOffset(options: ReadOptions): number {
  if (options.tail === true && options.offset !== undefined) throw new UsageError("--tail excludes --offset");
  if (options.tail === true) return -1;
  const text = options.offset ?? "0";
  const offset = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(offset) || offset < -1) {
    throw new UsageError(`--offset ${text}: expected a whole number in [-1, ${Number.MAX_SAFE_INTEGER}]`);
  }
  return offset;
}

/** @param span.bytes may end inside a character */
function jsonSpan(journal: string, span: { readonly offset: number; readonly bytes: Uint8Array }): string {
  const text = strictText(span.bytes);
  const content = text === undefined ? { base64: Buffer.from(span.bytes).toString("base64") } : { text };
  return `${JSON.stringify({ journal, offset: span.offset, ...content })}\n`;
}
