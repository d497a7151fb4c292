// Dead letters of a sink: records that it could not map, shown and replayed.
import { WireError } from "@millrace/base";
import { letterText, type ListedLetter } from "@millrace/ingest";
import { deadLetterAnswer, deadLettersAnswer, taskAnswer } from "./answer-schemas.ts";
import { ApiError } from "./api-errors.ts";
import { pageBody } from "./api-responses.ts";
import { keyOfSink, pageOf, sinkOf } from "./lookups.ts";
import { operation, type Operation } from "./operation.ts";
import { pageQuery } from "./request-schemas.ts";
import { outputsOf, startTask } from "./task-runner.ts";
import type { TaskSuccess } from "./task-store.ts";

const LETTERS = "/branches/{branchId}/sources/{sourceId}/sinks/{sinkId}/dead-letters";
const NOT_FOUND = ["sourceNotFound", "sinkNotFound"] as const;

/** Of a body, in a list. */
const SHOWN_BYTES_MAX = 4096;
/** No step of a replay is begun after this time: a task has five minutes. */
const REPLAY_MS_MAX = 4 * 60_000;
const REPORT_INTERVAL_MS = 500;

export const deadLetterOperations: readonly Operation[] = [
  operation({
    id: "listDeadLetters",
    method: "GET",
    path: LETTERS,
    tag: "sinks",
    summary: "List records that a sink could not map and that wait for a replay, oldest first",
    access: "read",
    status: 200,
    query: pageQuery,
    answer: deadLettersAnswer,
    errors: [...NOT_FOUND, "badRequest"],
    handle: async ({ query, ...asked }) => {
      const sink = await sinkOf(asked);
      const request = pageOf(query);
      const found = await listed(asked.deps.deadLetters.list(sink, request, asked.deps.signal));
      const { letters, totalCount } = found;
      const page = pageBody({ items: letters, totalCount }, request, letters.at(-1)?.id);
      return { ...keyOfSink(sink), page, deadLetters: letters.map(shortBody) };
    },
  }),
  operation({
    id: "getDeadLetter",
    method: "GET",
    path: `${LETTERS}/{deadLetterId}`,
    tag: "sinks",
    summary: "Get a dead letter with the whole of its body",
    access: "read",
    status: 200,
    answer: deadLetterAnswer,
    errors: [...NOT_FOUND, "deadLetterNotFound"],
    handle: async (asked) => {
      const sink = await sinkOf(asked);
      const id = asked.path["deadLetterId"] ?? "";
      const letter = await asked.deps.deadLetters.get(sink, id, asked.deps.signal);
      if (letter !== undefined) return { ...keyOfSink(sink), ...letterBody(letter, letter.body.length) };
      throw new ApiError("deadLetterNotFound", `Dead letter "${id}" not found in the sink`);
    },
  }),
  operation({
    id: "replayDeadLetters",
    method: "POST",
    path: `${LETTERS}/replay`,
    tag: "sinks",
    summary: "Map the dead letters of a sink again; what is refused again becomes a dead letter again",
    access: "write",
    status: 202,
    answer: taskAnswer,
    errors: [...NOT_FOUND, "badRequest", "resourceLocked"],
    handle: async (asked) => {
      const { deps } = asked;
      const sink = await sinkOf(asked);
      if (sink.disabled !== undefined) {
        throw new ApiError("badRequest", `sink "${sink.sinkId}" is disabled: it takes no records`);
      }
      const key = keyOfSink(sink);
      const task = { type: "api.replay.deadLetters", key, isRepeatable: false } as const;
      return startTask(deps, task, async (signal, report): Promise<TaskSuccess> => {
        const about = outputsOf(deps, key);
        let reportedMs = deps.clock.monotonicMs();
        const onProgress = async (done: { replayed: number; refused: number }): Promise<void> => {
          if (deps.clock.monotonicMs() - reportedMs < REPORT_INTERVAL_MS) return;
          const { replayed, refused } = done;
          await report({ ...about, replayed, refused });
          reportedMs = deps.clock.monotonicMs();
        };
        const options = { budgetMs: REPLAY_MS_MAX, onProgress };
        const { replayed, refused, isDone } = await deps.deadLetters.replay(sink, options, signal);
        const rest = isDone ? "" : " The time was over: more are left.";
        const result = `Dead letters have been replayed: ${replayed} became rows, ${refused} were refused again.`;
        return { result: `${result}${rest}`, outputs: { ...about, replayed, refused } };
      });
    },
  }),
];

async function listed<T>(listing: Promise<T>): Promise<T> {
  try {
    return await listing;
  } catch (thrown) {
    const error = WireError.from(thrown);
    if (error.code === "INVALID_ARGUMENT") throw new ApiError("badRequest", error.message);
    throw thrown;
  }
}

function shortBody(letter: ListedLetter): object {
  const isCut = letter.body.length > SHOWN_BYTES_MAX;
  return { ...letterBody(letter, SHOWN_BYTES_MAX), ...(isCut ? { isCut } : {}) };
}

function letterBody(letter: ListedLetter, shownMax: number): object {
  const { id, receivedAt, ip, headers, body, version, status, column, reason, attempts } = letter;
  const whole = letterText(letter);
  const shown = body.subarray(0, shownMax);
  // What is cut in the middle of a character ends before it.
  const text = whole === undefined || shown.length === body.length ? whole : cutText(shown);
  const content = text === undefined ? { bodyBase64: Buffer.from(shown).toString("base64") } : { body: text };
  const why = { version, statusCode: status, column, reason, attempts };
  return { id, receivedAt, ip, headers, bodyBytes: body.length, ...content, ...why };
}

function cutText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).replace(/\ufffd$/, "");
}
