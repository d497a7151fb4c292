// The content stream of an append (section 4.3) and its end: the states from `opening` on. Pure; part of the machine in
// append-fsm.ts, whose invariants it keeps.
import { assert, unreachable, WireError } from "@millrace/base";
import { mayWrite, updatedRegisters, type AppendResponse } from "@millrace/protocol";
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
  switch (input.kind) {
    case "append-opened":
      return [{ ...state, kind: "streaming", phase: "content", counts: NO_COUNTS }, [{ kind: "receive" }]];
    case "invalidated":
      return [state, []];
    case "cancelled":
    case "effect-failed":
      return [{ kind: "failed", error: input.error }, [releasePipeline(state)]];
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
      const counts: Counts = {
        bytes: state.counts.bytes + message.bytes,
        totalChunks: state.counts.totalChunks + 1,
        delayedChunks: state.counts.delayedChunks + (message.delayed ? 1 : 0),
      };
      if (message.bytes === 0) return [{ ...state, phase: "intent", counts }, [{ kind: "receive" }]];
      if (!mayHaveContent(state)) return onNotAllowed({ ...state, counts });
      return [{ ...state, counts }, [{ kind: "write-chunk" }, { kind: "receive" }]];
    }
    default:
      return unreachable(message);
  }
}

/** The first bytes of an append that may have none: nothing was written yet. */
function onNotAllowed(state: Streaming): AppendStep {
  return barrier(state, { kind: "status", status: "NOT_ALLOWED" });
}

/** The intent to commit was followed by the end of the stream. */
function onWhole(state: Streaming): AppendStep {
  const { request, registers, counts } = state;
  const { unionRegisters: union, subtractRegisters: subtract } = request;
  const modifies = union !== undefined || subtract !== undefined;
  if (counts.bytes === 0) {
    // A5
    if (modifies) return rollBack(state, streamError("register modification requires non-empty Append"));
    return barrier(state, { kind: "barrier", status: state.barrierStatus, registers });
  }
  const next = modifies ? updatedRegisters(registers, { union, subtract }) : registers;
  const effects: AppendEffect[] = [
    { kind: "commit", registers: modifies ? next : undefined },
    releasePipeline(state),
    { kind: "await-acknowledgement" },
  ];
  return [acknowledging(state, { kind: "commit", registers: next }), effects];
}

/** A3. Without bytes the append waits, as a commit does, until everything before it is acknowledged. */
function barrier(state: Streaming, ending: AppendEnding): AppendStep {
  const effects: AppendEffect[] = [
    { kind: "barrier" },
    releasePipeline(state),
    { kind: "await-acknowledgement" },
  ];
  return [acknowledging(state, ending), effects];
}

/** A3 */
function rollBack(state: Streaming, error: Error): AppendStep {
  return [{ kind: "failed", error }, [{ kind: "rollback" }, releasePipeline(state)]];
}

function acknowledging(state: Streaming, ending: AppendEnding): AppendState {
  const { request, resolution, rollTo, counts } = state;
  return {
    kind: "reading-acknowledgements",
    request,
    resolution,
    pipeline: { kind: "none" },
    rollTo,
    ending,
    counts,
  };
}

function onAcknowledging(state: Acknowledging, input: AppendInput): AppendStep {
  switch (input.kind) {
    case "acknowledged":
      return [ended(state, input.commit), []];
    case "invalidated":
      return [state, []];
    case "cancelled":
    case "effect-failed":
      return [{ kind: "failed", error: input.error }, []];
    default:
      return unexpected(state, input);
  }
}

function ended(
  state: Acknowledging,
  commit: Extract<AppendInput, { kind: "acknowledged" }>["commit"],
): AppendState {
  const { ending, resolution, counts } = state;
  const status = ending.kind === "commit" ? "OK" : ending.status;
  const base: AppendResponse = {
    status,
    header: resolution.header,
    totalChunks: counts.totalChunks,
    delayedChunks: counts.delayedChunks,
    storeHealthError: "",
  };
  const whole = status === "OK" && ending.kind !== "status";
  return { kind: "finished", response: whole ? { ...base, commit, registers: ending.registers } : base };
}

function releasePipeline({ pipeline }: Attempt): AppendEffect {
  assert(pipeline.kind === "held", "an append that writes holds the pipeline");
  return { kind: "release-pipeline", route: pipeline.route };
}

/** Journals that are not writable and appends that suspend take no bytes; without bytes they are barriers. */
function mayHaveContent(attempt: Attempt): boolean {
  const { spec } = attempt.resolution;
  const suspends =
    attempt.request.suspend === "SUSPEND_IF_FLUSHED" ||
    attempt.request.suspend === "SUSPEND_NOW" ||
    attempt.request.suspend === "SUSPEND_KEEP";
  return spec !== undefined && mayWrite(spec) && !suspends;
}

function streamError(text: string): WireError {
  return new WireError("INVALID_ARGUMENT", `append stream: ${text}`);
}

function unexpected(state: AppendState, input: AppendInput): never {
  assert(false, "the append machine got an input that its state cannot have", {
    state: state.kind,
    input: input.kind,
  });
  return unreachable(input as never);
}
