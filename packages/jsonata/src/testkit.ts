// Programs evaluated in the caller's own thread: for tests of those who have them evaluated.
import { Evaluation } from "./evaluation.ts";
import type { ProgramEvaluator, ProgramResult, RecordInput } from "./evaluator.ts";
import { decodeResult, type SentTask } from "./messages.ts";

/** No process is started, and so nothing bounds what a step of a program takes. */
export function localEvaluator(): ProgramEvaluator {
  const evaluation = new Evaluation();
  let last: Promise<unknown> = Promise.resolve();
  const run = (task: SentTask): Promise<ProgramResult> => {
    const result = last.then(() => evaluation.run(task)).then(decodeResult);
    last = result;
    return result;
  };
  return {
    evaluate: ({ programs, steps, records }) => {
      const all = (record: RecordInput): Promise<ProgramResult[]> =>
        Promise.all(programs.map((program) => run({ program, record, steps })));
      return Promise.all(records.map(all));
    },
    check: async (program) => {
      const result = await run({ program, record: undefined, steps: 0 });
      return result.kind === "failed" ? result.reason : undefined;
    },
  };
}
