// What is wrong with a mapping, for whoever wants to store it.
import type { ProgramEvaluator } from "@millrace/jsonata";
import { JsonnetError } from "@millrace/jsonnet";
import { DEFINITION_LIMITS } from "./limits.ts";
import type { Column, TemplateColumn } from "./definitions.ts";
import { PathTree } from "./mapping-path.ts";
import { templateWriter } from "./mapping-template.ts";

/** How all that is wrong with a template begins. */
export function invalidTemplate(column: string, problem: string): string {
  return `column "${column}" template is invalid: ${problem}`;
}

/**
 * Why the column's Jsonnet template cannot be compiled, with line and column: `column "x" template is invalid: 1:1-8
 * Unknown variable: Invalid`. Undefined when it can.
 */
export function templateProblem(column: TemplateColumn): string | undefined {
  const { content, language } = column.template;
  // JSONata is compiled elsewhere: programsProblem().
  if (language !== "jsonnet") return undefined;
  // Who is too long is not looked into.
  if (content.length > 2 * DEFINITION_LIMITS.templateLengthMax) return undefined;
  try {
    templateWriter(column, { tree: new PathTree(), templates: 1 });
    return undefined;
  } catch (error) {
    if (!(error instanceof JsonnetError)) throw error;
    return invalidTemplate(column.name, error.message);
  }
}

export interface ProgramProblem {
  /** Of the column among all. */
  readonly index: number;
  readonly message: string;
}

/** Why the first JSONata template that is wrong cannot be compiled, in the same words. Undefined when all can. */
export async function programsProblem(
  columns: readonly Column[],
  evaluator: Pick<ProgramEvaluator, "check">,
): Promise<ProgramProblem | undefined> {
  for (const [index, column] of columns.entries()) {
    if (column.type !== "template" || column.template.language !== "jsonata") continue;
    const problem = await evaluator.check(column.template.content);
    if (problem !== undefined) return { index, message: invalidTemplate(column.name, problem) };
  }
  return undefined;
}
