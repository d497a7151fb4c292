// What the platform's process and the warehouse's process say to each other over the fork's channel.
import type { Code, Facts, KnownToken } from "@millrace/base";
import type { Column, LoadOutcome, LoadRequest, TableFit } from "@millrace/ingest";

export interface WarehouseOptions {
  /** Database file. */
  readonly file: string;
  /** Directory that staged objects' paths are relative to, absolute, ending in '/'. */
  readonly stagingDir: string;
  readonly tempDir: string;
  /** Free space below which the platform takes nothing new: the process is not ready then. */
  readonly reserveBytes: number;
  readonly memoryBytes: number;
  readonly threads: number;
  readonly listenHost: string;
  /** 0: any free port. */
  readonly listenPort: number;
  /** The platform's token; "" lets everyone in who reaches the address, unless the project has tokens. */
  readonly token: string;
  /** What the platform's own process sends. */
  readonly innerToken: string;
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

export type WarehouseCall =
  | {
      readonly kind: "check" | "prepare";
      readonly tableId: string;
      readonly columns: readonly Column[];
      readonly fit: TableFit;
    }
  | { readonly kind: "load"; readonly request: LoadRequest }
  | { readonly kind: "drop"; readonly tableId: string; readonly journals: readonly string[] }
  | { readonly kind: "loaded-ends"; readonly tableId: string };

export type WarehouseAnswer =
  | { readonly kind: "checked"; readonly problem: string | undefined }
  | { readonly kind: "prepared" | "dropped" }
  | { readonly kind: "load-outcome"; readonly outcome: LoadOutcome }
  | { readonly kind: "loaded-ends"; readonly ends: readonly (readonly [journal: string, end: number])[] }
  | { readonly kind: "failed"; readonly code: Code; readonly message: string; readonly facts: Facts };

export type ToWarehouse =
  /** The first message: options may hold secrets, so they are not arguments of the process. */
  | { readonly kind: "start"; readonly options: WarehouseOptions }
  | { readonly kind: "call"; readonly id: number; readonly call: WarehouseCall }
  /** The project's tokens. Before the first of these nobody is let in. */
  | { readonly kind: "tokens"; readonly tokens: readonly KnownToken[] }
  /** Answered by pong at once, whatever else it does. */
  | { readonly kind: "ping" }
  | { readonly kind: "stop" };

export type FromWarehouse =
  | { readonly kind: "ready"; readonly host: string; readonly port: number }
  /** The last message of a process that cannot start. */
  | { readonly kind: "not-started"; readonly code: Code; readonly message: string }
  | { readonly kind: "answer"; readonly id: number; readonly answer: WarehouseAnswer }
  /** @property problem what keeps it from loading now */
  | { readonly kind: "pong"; readonly problem?: string };
