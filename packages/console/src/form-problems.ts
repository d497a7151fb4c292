// What the API says is wrong with a request, at the fields of the form that made it.

/** What is wrong with one field of a request, as the API names it: `body.table.tableId`. */
export interface FieldProblem {
  readonly field: string;
  readonly message: string;
}

/** What an error's body says by field; what has another form is left out. */
export function parseProblems(value: unknown): readonly FieldProblem[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((one: unknown): FieldProblem[] => {
    const { field, message } = (one ?? {}) as { readonly field?: unknown; readonly message?: unknown };
    return typeof field === "string" && typeof message === "string" ? [{ field, message }] : [];
  });
}

/** What is said of a field itself. */
export function problemsAt(problems: readonly FieldProblem[], field: string): readonly string[] {
  return problems.filter((problem) => problem.field === field).map(({ message }) => message);
}

/** A message as it is read beside the field's label: `Port must be …` for `Body.table.connection.port must be …`. */
export function labelled(message: string, field: string, label: string): string {
  const at = message.toLowerCase().indexOf(field.toLowerCase());
  return at === -1 ? message : message.slice(0, at) + label + message.slice(at + field.length);
}

/** What is said of a field and of what is within it, named from there: `name` of `body.columns[2].name`. */
export function problemsWithin(problems: readonly FieldProblem[], field: string): readonly FieldProblem[] {
  return problems.flatMap((problem): FieldProblem[] => {
    if (problem.field === field) return [{ field: "", message: problem.message }];
    const rest = problem.field.startsWith(field) ? problem.field.slice(field.length) : "";
    return rest.startsWith(".") || rest.startsWith("[")
      ? [{ field: rest.replace(/^\./, ""), message: problem.message }]
      : [];
  });
}
