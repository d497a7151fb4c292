// A process that evaluates programs. It holds no secret and no file, and ends when whoever has started it is gone, when
// its memory is full, or when a thread beside finds that one evaluation takes too long (system-watchdog-main.ts).
import { Worker } from "node:worker_threads";
import { Evaluation } from "./evaluation.ts";
import { ANSWER_CHARS_MAX, ANSWER_MS_MAX } from "./limits.ts";
import type { FromEvaluator, Question } from "./messages.ts";
import { pulseOf } from "./pulse.ts";

const evaluation = new Evaluation();
const pulse = pulseOf(new SharedArrayBuffer(8));
/** Questions are answered one after the other. */
let last: Promise<void> = Promise.resolve();
let waiting = 0;

// Who uses a terminal ends the platform, which ends this.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
process.on("disconnect", () => process.exit());
process.on("message", (question: Question) => {
  waiting++;
  last = last.then(() => answer(question));
});

const watchdog = new Worker(new URL("system-watchdog-main.js", import.meta.url), {
  workerData: pulse.buffer,
});
watchdog.once("online", () => send({ kind: "ready" }));
watchdog.once("error", () => process.exit(1));

async function answer({ id, tasks }: Question): Promise<void> {
  const results: string[] = [];
  const beganMs = performance.now();
  let chars = 0;
  for (const task of tasks) {
    pulse.beat();
    const result = await evaluation.run(task);
    results.push(result);
    chars += result.length;
    if (chars > ANSWER_CHARS_MAX || performance.now() - beganMs > ANSWER_MS_MAX) break;
  }
  waiting--;
  if (waiting === 0) pulse.rest();
  send({ kind: "answer", answer: { id, results } });
}

function send(message: FromEvaluator): void {
  process.send?.(message);
}
