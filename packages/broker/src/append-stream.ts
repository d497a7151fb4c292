// The content stream of an append (section 4.3) and its end: the states from `opening` on. Pure; part of the
// machine in append-fsm.ts, whose invariants it keeps.
import { assert, unreachable, WireError } from "@millrace/base";
import { mayWrite, updatedRegisters, type AppendResponse, type Fragment } from "@millrace/protocol";
import type {
  AppendEffect,
  AppendEnding,
  AppendInput,
  AppendState,
  AppendStep,
  Attempt,
  Counts,
  StreamMessage,
} from "./append-states.ts";

type Opening = Extract<AppendState, { kind: "opening" }>;
type Streaming = Extract<AppendState, { kind: "streaming" }>;
type Acknowledging = Extract<AppendState, { kind: "reading-acknowledgements" }>;

const NO_COUNTS: Counts = { bytes: 0, totalChunks: 0, delayedChunks: 0 };
const RECEIVE: readonly AppendEffect[] = [{ kind: "receive" }];
const WRITE_AND_RECEIVE: readonly AppendEffect[] = [{ kind: "write-chunk" }, { kind: "receive" }];

export function onStream(state: Opening | Streaming | Acknowledging, input: AppendInput): AppendStep {
  switch (state.kind) {
    case "opening":
      return onOpening(state, input);
    case "streaming":
      return onStreaming(state, input);
    case "reading-acknowledgements":
      return onAcknowledging(state, input);
    default:
      return unreachable(state);
  }
}

function onOpening(state: Opening, input: AppendInput): AppendStep {
  const { attempt, opened } = state;
  switch (input.kind) {
    case "append-opened":
      return [{ kind: "streaming", attempt, opened, phase: "content", counts: NO_COUNTS }, RECEIVE];
    case "invalidated":
      return [state, []];
    case "evicted":
    case "cancelled":
    case "effect-failed":
      return [{ kind: "failed", error: input.error }, [releasePipeline(attempt)]];
    default:
      return unexpected(state, input);
  }
}

function onStreaming(state: Streaming, input: AppendInput): AppendStep {
  switch (input.kind) {
    case "message":
      return state.phase === "content"
        ? onContentMessage(state, input.message)
        : rollBack(state, streamError("expected EOF after empty Content chunk"));
    case "end-of-stream":
      return state.phase === "content" ? rollBack(state, streamError("unexpected EOF")) : onWhole(state);
    case "invalidated":
      return [state, [{ kind: "lift-rate-limit" }]];
    case "evicted":
    case "cancelled":
    case "effect-failed":
      return rollBack(state, input.error);
    default:
      return unexpected(state, input);
  }
}

function onContentMessage(state: Streaming, message: StreamMessage): AppendStep {
  switch (message.shape) {
    case "preamble":
      return rollBack(state, streamError("expected Content chunk"));
    case "invalid":
      return rollBack(state, streamError(message.text));
    case "chunk": {
      const { attempt, opened, counts: before } = state;
      const counts: Counts = {
        bytes: before.bytes + message.bytes,
        totalChunks: before.totalChunks + 1,
        delayedChunks: before.delayedChunks + (message.delayed ? 1 : 0),
      };
      if (message.bytes === 0)
        return [{ kind: "streaming", attempt, opened, phase: "intent", counts }, RECEIVE];
      // Nothing was written yet: the first bytes are refused already.
      if (!mayHaveContent(attempt))
        return barrier(attempt, NO_COUNTS, { kind: "status", status: "NOT_ALLOWED" });
      return [{ kind: "streaming", attempt, opened, phase: "content", counts }, WRITE_AND_RECEIVE];
    }
    default:
      return unreachable(message);
  }
}

/** The intent to commit was followed by the end of the stream. */
function onWhole(state: Streaming): AppendStep {
  const { attempt, counts } = state;
  const { registers, barrierStatus } = state.opened;
  const { unionRegisters: union, subtractRegisters: subtract } = attempt.request;
  const modifies = union !== undefined || subtract !== undefined;
  if (counts.bytes === 0) {
    // A5
    if (modifies) return rollBack(state, streamError("register modification requires non-empty Append"));
    return barrier(attempt, counts, { kind: "barrier", status: barrierStatus, registers });
  }
  const next = modifies ? updatedRegisters(registers, { union, subtract }) : registers;
  const ending: AppendEnding = { kind: "commit", registers: next };
  return [
    { kind: "reading-acknowledgements", attempt, ending, counts },
    [
      { kind: "commit", registers: modifies ? next : undefined },
      releasePipeline(attempt),
      { kind: "await-acknowledgement" },
    ],
  ];
}

/** A3. Without bytes the append waits, as a commit does, until everything before it is acknowledged. */
function barrier(attempt: Attempt, counts: Counts, ending: AppendEnding): AppendStep {
  return [
    { kind: "reading-acknowledgements", attempt, ending, counts },
    [{ kind: "barrier" }, releasePipeline(attempt), { kind: "await-acknowledgement" }],
  ];
}

/** A3 */
function rollBack({ attempt }: Streaming, error: Error): AppendStep {
  return [{ kind: "failed", error }, [{ kind: "rollback" }, releasePipeline(attempt)]];
}

function onAcknowledging(state: Acknowledging, input: AppendInput): AppendStep {
  switch (input.kind) {
    case "acknowledged":
      return [{ kind: "finished", response: answer(state, input.commit) }, []];
    case "invalidated":
      return [state, []];
    case "cancelled": {
      const error = state.ending.kind === "commit" ? outcomeUnknown(input.error) : input.error;
      return [{ kind: "failed", error }, []];
    }
    case "evicted":
    case "effect-failed":
      return [{ kind: "failed", error: input.error }, []];
    default:
      return unexpected(state, input);
  }
}

/** What is told to a caller whose time is over while the append may happen: not what would have it repeated. */
export function outcomeUnknown(error: Error): Error {
  if (!(error instanceof WireError)) return error; // the caller itself has gone
  const text = `${error.message}: it may have happened; look at the journal's end before trying again`;
  return new WireError("OUTCOME_UNKNOWN", text, { cause: error });
}

function answer({ ending, attempt, counts }: Acknowledging, commit: Fragment): AppendResponse {
  const { header } = attempt.resolution;
  const { totalChunks, delayedChunks } = counts;
  const status = ending.kind === "commit" ? "OK" : ending.status;
  if (ending.kind === "status" || status !== "OK") {
    return { status, header, totalChunks, delayedChunks, storeHealthError: "" };
  }
  const { registers } = ending;
  return { status, header, commit, registers, totalChunks, delayedChunks, storeHealthError: "" };
}

function releasePipeline({ pipeline }: Attempt): AppendEffect {
  assert(pipeline.kind === "held", "an append that writes holds the pipeline");
  return { kind: "release-pipeline", route: pipeline.route };
}

/** Journals that are not writable and appends that suspend take no bytes; without bytes they are barriers. */
export function mayHaveContent({ request, resolution }: Attempt): boolean {
  const { suspend } = request;
  const suspends = suspend !== "SUSPEND_RESUME" && suspend !== "SUSPEND_NO_RESUME";
  return !suspends && resolution.spec !== undefined && mayWrite(resolution.spec);
}

/** What a content stream does wrong, in the protocol's words. */
export function streamError(text: string): WireError {
  return new WireError("INVALID_ARGUMENT", `append stream: ${text}`);
}

function unexpected(state: AppendState, input: AppendInput): never {
  assert(false, "the append machine got an input that its state cannot have", {
    state: state.kind,
    input: input.kind,
  });
}
