// One attempt to bring one closed fragment into one store, as a machine without effects of its own (D18):
//
//   looking --missing--> writing --written n bytes--> confirming --there, n bytes--> confirmed
//      |                  ^   ^                            '--else--> failed
//      |          differs |   '--threw--.
//      '--there--> verifying --matches--> syncing --synced--> confirmed      any other failure --> failed
//
// A1 `confirmed`, upon which the local copy is released, follows only a read-back of the object that matched the SHA-1
//    in its name and a sync of it, or our own write of it in this very attempt and then a look that found it with the
//    length written.
// A2 An object that is there under the right name and differs is written again: it is a torn upload of the same bytes.
// A3 Once in a while an object that is there is written again without being read (`readBack` false): it may be one that
//    the store cannot give back, torn in a way that makes every read fail. Reading is only the cheaper way.
// A4 After a write of unknown outcome the attempt has failed; the next one looks, and reads back what it finds (A1).
// A5 What is found is not yet durable: its put may have failed, or its writer died, between name and sync. A sync that
//    failed is not tried again (D5): the object is written again.
import { assert, unreachable } from "@millrace/base";

export type AttemptState =
  | { readonly kind: "looking"; readonly readBack: boolean }
  | { readonly kind: "verifying"; readonly modTimeMs: number }
  | { readonly kind: "syncing"; readonly modTimeMs: number }
  | { readonly kind: "writing" }
  | { readonly kind: "confirming"; readonly bytes: number }
  | { readonly kind: "confirmed"; readonly modTimeMs: number; readonly bytesWritten: number }
  | { readonly kind: "failed"; readonly reason: AttemptFailure };

export type AttemptFailure =
  /** What the store threw, or the reading of the local bytes. */
  | { readonly kind: "error"; readonly error: unknown }
  /** The postfix of its path cannot be evaluated: no store was asked. */
  | { readonly kind: "no-path"; readonly error: unknown }
  /** The object that was just written is not there, or has another length. */
  | { readonly kind: "not-confirmed"; readonly written: number; readonly found: number | undefined };

export type AttemptInput =
  /** Of a look: the object, or undefined when there is none. */
  | {
      readonly kind: "found";
      readonly object: { readonly bytes: number; readonly modTimeMs: number } | undefined;
    }
  | { readonly kind: "verified"; readonly matches: boolean }
  | { readonly kind: "synced" }
  | { readonly kind: "written"; readonly bytes: number }
  | { readonly kind: "threw"; readonly error: unknown };

export type AttemptEffect = "look" | "verify" | "sync" | "write";

/** What the state waits for; undefined when the attempt is over. */
export function attemptEffect(state: AttemptState): AttemptEffect | undefined {
  switch (state.kind) {
    case "looking":
    case "confirming":
      return "look";
    case "verifying":
      return "verify";
    case "syncing":
      return "sync";
    case "writing":
      return "write";
    case "confirmed":
    case "failed":
      return undefined;
    default:
      return unreachable(state);
  }
}

export function stepAttempt(state: AttemptState, input: AttemptInput): AttemptState {
  assert(attemptEffect(state) !== undefined, "an attempt that is over takes no input", { state: state.kind });
  if (input.kind === "threw") {
    return state.kind === "syncing" ? { kind: "writing" } : failed({ kind: "error", error: input.error }); // A5
  }
  if (input.kind === "found" && state.kind === "looking") {
    const { object } = input;
    if (object === undefined || !state.readBack) return { kind: "writing" }; // A3
    return { kind: "verifying", modTimeMs: object.modTimeMs };
  }
  if (input.kind === "verified" && state.kind === "verifying") {
    return input.matches ? { kind: "syncing", modTimeMs: state.modTimeMs } : { kind: "writing" }; // A5, A2
  }
  if (input.kind === "synced" && state.kind === "syncing") return confirmed(state.modTimeMs, 0); // A1
  if (input.kind === "written" && state.kind === "writing") return { kind: "confirming", bytes: input.bytes };
  if (input.kind === "found" && state.kind === "confirming") {
    const { object } = input;
    if (object?.bytes === state.bytes) return confirmed(object.modTimeMs, state.bytes); // A1
    return failed({ kind: "not-confirmed", written: state.bytes, found: object?.bytes });
  }
  assert(false, "an attempt gets the answer to what it asked", { state: state.kind, input: input.kind });
}

function confirmed(modTimeMs: number, bytesWritten: number): AttemptState {
  return { kind: "confirmed", modTimeMs, bytesWritten };
}

function failed(reason: AttemptFailure): AttemptState {
  return { kind: "failed", reason };
}
