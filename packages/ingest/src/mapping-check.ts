// What is wrong with a mapping, for whoever wants to store it.
import { JsonnetError } from "@millrace/jsonnet";
import { DEFINITION_LIMITS } from "./limits.ts";
import type { TemplateColumn } from "./definitions.ts";
import { PathTree } from "./mapping-path.ts";
import { templateWriter } from "./mapping-template.ts";

/**
 * Why the column's template cannot be compiled, with line and column: `column "x" template is invalid: 1:1-8 Unknown
 * variable: Invalid`. Undefined when it can.
 */
export function templateProblem(column: TemplateColumn): string | undefined {
  const { content } = column.template;
  // Who is too long is not looked into.
  if (content.length > 2 * DEFINITION_LIMITS.templateLengthMax) return undefined;
  try {
    templateWriter(column, { tree: new PathTree(), templates: 1 });
    return undefined;
  } catch (error) {
    if (!(error instanceof JsonnetError)) throw error;
    return `column "${column.name}" template is invalid: ${error.message}`;
  }
}
