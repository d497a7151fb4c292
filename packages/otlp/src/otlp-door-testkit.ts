// A door with one source, whose pipeline does as it is told.
import { gunzipSync } from "node:zlib";
import { text } from "@millrace/base";
import {
  FLATTEN_LIMITS,
  type AnsweredExport,
  type ExportOutcome,
  type FlatRecords,
  type OtlpHttpPorts,
  type OtlpRefusal,
  type RequestWalk,
  type SourceFound,
  type Walked,
} from "./index.ts";

export const SECRET = "s".repeat(48);
export const GUNZIP_BYTES_MAX = 1024 * 1024;

export interface Written {
  readonly source: string;
  readonly signal: string;
  readonly records: readonly string[];
}

export class FakeDoor implements OtlpHttpPorts<string> {
  readonly limits = FLATTEN_LIMITS;
  readonly written: Written[] = [];
  /** What is said of the records of the next write. */
  outcome: Omit<ExportOutcome, "total"> = { rejected: 0 };
  gunzips = 0;
  /** Of walks, between parts. */
  yields = 0;
  /** Of walks that were done. */
  released = 0;
  /** Of every source. */
  refused: OtlpRefusal | undefined;
  /** Exports over gRPC, as they were answered. */
  readonly answered: AnsweredExport[] = [];

  onAnswered(_source: string, answered: AnsweredExport): void {
    this.answered.push(answered);
  }

  find({
    projectId,
    sourceId,
    secret,
  }: {
    projectId: string;
    sourceId: string;
    secret: string;
  }): SourceFound<string> {
    if (projectId === "1" && sourceId === "otel") return this.findBySecret(secret);
    return this.findBySecret("");
  }

  findBySecret(secret: string): SourceFound<string> {
    if (secret === SECRET) return { kind: "source", source: "otel" };
    return { kind: "refused", refusal: { status: 404, name: "noSourceFound", message: "Nobody." } };
  }

  refusal(): OtlpRefusal | undefined {
    return this.refused;
  }

  gunzip(_source: string, body: Uint8Array): ReturnType<OtlpHttpPorts<string>["gunzip"]> {
    this.gunzips++;
    try {
      return { kind: "bytes", bytes: gunzipSync(body, { maxOutputLength: GUNZIP_BYTES_MAX }) };
    } catch (thrown) {
      const isLarge = (thrown as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE";
      const message = isLarge ? "Too large." : "Invalid gzip body.";
      return { kind: "refused", refusal: { status: isLarge ? 413 : 400, name: "badRequest", message } };
    }
  }

  walk(_source: string, walk: RequestWalk): Promise<Walked> {
    for (;;) {
      const step = walk.next();
      if (step.done === true) {
        const release = (): void => void this.released++;
        return Promise.resolve({ kind: "records", records: step.value, release });
      }
      this.yields++;
    }
  }

  write(source: string, { signal, count, bytes }: FlatRecords): Promise<ExportOutcome> {
    this.written.push({ source, signal, records: text(bytes).trimEnd().split("\n") });
    return Promise.resolve({ total: count, ...this.outcome });
  }
}
