// Columns of a mapping, as requests and answers have them.
import {
  DEFINITION_LIMITS,
  parsePath,
  TEMPLATE_LANGUAGES,
  templateProblem,
  type Column,
} from "@millrace/ingest";
import type { Problem } from "./api-errors.ts";
import {
  checked,
  choice,
  flag,
  list,
  named,
  object,
  optional,
  required,
  text,
  variants,
  type Schema,
} from "./schema.ts";

const COLUMN_NAME_LENGTH_MAX = 128;
const PATH_LENGTH_MAX = 4096;

const name = required(
  text({ min: 1, max: COLUMN_NAME_LENGTH_MAX, description: "Of the table's column", example: "item" }),
);

export const columnSchema: Schema<Column> = checked(
  named(
    "Column",
    variants("type", {
      uuid: { name },
      datetime: { name },
      ip: { name },
      body: { name },
      headers: { name },
      path: {
        name,
        path: optional(
          text({
            max: PATH_LENGTH_MAX,
            description: "Where in the body, `a.b[0].c`; empty: all of it. It must be there",
            example: "order.item",
          }),
        ),
        defaultValue: optional(
          text({ max: PATH_LENGTH_MAX, description: "Written where the body has nothing at the path" }),
        ),
        rawString: optional(flag({ description: "Texts are written without their JSON quotes" })),
      },
      template: {
        name,
        template: required(
          object({
            language: required(choice(TEMPLATE_LANGUAGES)),
            content: required(
              text({
                min: 1,
                max: DEFINITION_LIMITS.templateLengthMax,
                description:
                  "Jsonnet with Ip, Now, Header, Body, …, or JSONata on the body with $ip, $now, …",
                example: "{ item: Body('order.item'), at: Now() }",
              }),
            ),
          }),
        ),
        rawString: optional(
          flag({ description: "A result that is a text is written without its JSON quotes" }),
        ),
      },
    }),
  ) as Schema<Column>,
  columnProblems,
);

export const columnsSchema: Schema<readonly Column[]> = checked(
  list(columnSchema, { min: 1, max: DEFINITION_LIMITS.columnsMax }),
  doubleNames,
);

function columnProblems(column: Column): readonly Problem[] {
  const problems = nameProblems(column.name);
  if (column.type === "path") return [...problems, ...pathProblems(column)];
  const problem = column.type === "template" ? templateProblem(column) : undefined;
  return problem === undefined ? problems : [...problems, bad(problem, "template.content")];
}

function nameProblems(column: string): readonly Problem[] {
  const problems: Problem[] = [];
  if (!isPrintable(column)) {
    const rule = "it must not contain control characters or halves of surrogate pairs";
    problems.push(bad(`column name ${JSON.stringify(column)} is invalid: ${rule}`, "name"));
  }
  if (column.startsWith("_")) {
    problems.push(bad(`column name "${column}" is reserved: it starts with an underscore`, "name"));
  }
  return problems;
}

function pathProblems(column: Column & { readonly type: "path" }): readonly Problem[] {
  // What was asked may be without one, whatever a definition must have.
  const path = column.path as string | undefined;
  if (path === undefined) return [bad(`column "${column.name}" is missing path`, "path")];
  const parsed = parsePath(path);
  if (parsed.kind !== "invalid") return [];
  return [bad(`column "${column.name}" path "${path}" is invalid: ${parsed.reason}`, "path")];
}

/** Names of columns in SQL are the same whatever their case. */
function doubleNames(columns: readonly Column[]): readonly Problem[] {
  const names = new Set<string>();
  const problems: Problem[] = [];
  for (const [i, column] of columns.entries()) {
    const folded = column.name.toLowerCase();
    if (names.has(folded)) problems.push(bad(`column name "${column.name}" is not unique`, `[${i}].name`));
    names.add(folded);
  }
  return problems;
}

/** Whether a table can have it as a name: no control character (NUL ends a name in SQL), and well-formed Unicode. */
function isPrintable(column: string): boolean {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return !/[\u0000-\u001f\u007f-\u009f]/.test(column) && !/\p{Surrogate}/u.test(column);
}

function bad(message: string, field: string): Problem {
  return { name: "badRequest", message, field };
}
