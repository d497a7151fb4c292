// COPY … FROM STDIN as the driver's own kind of query: it submits, and is told what the server says.
import type { Connection } from "pg";

/** What the driver's types leave out. */
interface CopyConnection extends Connection {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(message: string): void;
}

/** Sends `chunks` once the server asks for them. The driver calls what begins with `handle`. */
export class CopyIn {
  /** Rows that the server took. */
  readonly done: Promise<number>;
  readonly #text: string;
  readonly #chunks: AsyncIterable<Uint8Array>;
  #resolve: (rows: number) => void = () => {};
  #reject: (error: unknown) => void = () => {};
  #rows = 0;
  #isOver = false;
  /** Why `chunks` ended too early: it says more than the server's answer to that. */
  #failure: { readonly error: unknown } | undefined;

  constructor(text: string, chunks: AsyncIterable<Uint8Array>) {
    this.#text = text;
    this.#chunks = chunks;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  submit(connection: Connection): void {
    connection.query(this.#text);
  }

  handleCopyInResponse(connection: CopyConnection): void {
    void this.#send(connection);
  }

  handleCommandComplete(message: { readonly text?: string }): void {
    this.#rows = Number(/^COPY (\d+)$/.exec(message.text ?? "")?.[1] ?? Number.NaN);
  }

  handleReadyForQuery(): void {
    this.#isOver = true;
    this.#resolve(this.#rows);
  }

  handleError(error: unknown): void {
    this.#isOver = true;
    this.#reject(this.#failure?.error ?? error);
  }

  /** Never rejects: whatever goes wrong ends in `handleError`, by the server's answer or by the connection's end. */
  async #send(connection: CopyConnection): Promise<void> {
    try {
      for await (const chunk of this.#chunks) {
        if (this.#isOver) return;
        connection.sendCopyFromChunk(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
        await drained(connection);
      }
      if (!this.#isOver) connection.endCopyFrom();
    } catch (error) {
      this.#failure = { error };
      if (!this.#isOver) connection.sendCopyFail("the rows could not be read");
    }
  }
}

/** Resolves when more may be written, or when nothing can be written any more. */
function drained({ stream }: Connection): Promise<void> {
  if (!stream.writableNeedDrain || stream.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off("drain", done).off("close", done);
      resolve();
    };
    stream.on("drain", done).on("close", done);
  });
}
