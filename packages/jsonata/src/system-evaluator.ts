// Starts processes that evaluate.
import { fork, type ForkOptions } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import type { EvaluatorProcess, ProcessEvents } from "./evaluator-lane.ts";
import { EVALUATION_LIMITS } from "./limits.ts";
import type { FromEvaluator, Question } from "./messages.ts";

const ENTRY = fileURLToPath(new URL("system-evaluator-main.js", import.meta.url));

/** Nothing of this process is handed on: neither its environment nor its options. */
const OPTIONS: ForkOptions = {
  serialization: "advanced",
  stdio: ["ignore", "ignore", "ignore", "ipc"],
  env: {},
  execArgv: [
    `--max-old-space-size=${EVALUATION_LIMITS.heapMb}`,
    "--max-semi-space-size=8",
    "--disable-proto=delete",
    "--disallow-code-generation-from-strings",
  ],
};

/** Ends of which the evaluation is the cause: by the watchdog, or by the engine when its memory is full. */
const OWN: ReadonlySet<string> = new Set(["SIGVTALRM", "SIGABRT", "SIGTRAP", "SIGILL", "SIGSEGV", "SIGBUS"]);
/** What a shell, or a container, makes of SIGABRT. */
const ABORTED = 134;

export function launchEvaluator({
  onReady,
  onAnswer,
  onEnd,
}: ProcessEvents): EvaluatorProcess & { readonly pid: number | undefined } {
  const child = fork(ENTRY, [], OPTIONS);
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  const end = (text: string, isOwn: boolean): void => {
    process.off("exit", kill);
    onEnd({ text, isOwn });
  };
  // A process that could not be made has no other event.
  child.on("error", (error) => child.pid === undefined && end(error.message, false));
  child.on("message", (message: FromEvaluator) => {
    if (message.kind === "ready") onReady();
    else onAnswer(message.answer);
  });
  child.once("exit", (code, signal) => {
    const isOwn = signal === null ? code === ABORTED : OWN.has(signal);
    end(`ended (${signal ?? code})`, isOwn);
  });
  return {
    pid: child.pid,
    // One that is gone says so by its exit.
    ask: (question: Question) => void (child.connected && child.send(question, () => undefined)),
    end: kill,
  };
}

/** Processes for programs that behave: half of the processors, the others have enough to do. */
export function evaluatorProcesses(): number {
  return Math.min(4, Math.max(1, availableParallelism() >> 1));
}
