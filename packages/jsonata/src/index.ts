export {
  MENTIONS_BODY_TEXT,
  MENTIONS_HEADERS,
  type EvaluationJob,
  type ProgramEvaluator,
  type ProgramResult,
  type RecordInput,
} from "./evaluator.ts";
export { Evaluators } from "./evaluators.ts";
export { EVALUATION_LIMITS } from "./limits.ts";
export { evaluatorProcesses, launchEvaluator } from "./system-evaluator.ts";
