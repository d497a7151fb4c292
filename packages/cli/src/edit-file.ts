// The file that a person edits: specs as YAML, below lines that tell him what to do. Pure.

/** Lines that start so are ours: they are not part of what was written. */
const NOTE = "#⚙";
const PROBLEM = "#⚠";

const INTRODUCTION = [
  "Edit the specs of journals, save and leave the editor: what changed is applied at once.",
  "Leave the file as it is, or empty, to cancel. A journal is deleted by `delete: true`.",
  "Revisions say what you saw: when somebody else changed a journal meanwhile, nothing is applied.",
];

/** @param problem why the last edit was refused; shown above it */
export function composeEdit(yaml: string, problem?: string): string {
  const lines = INTRODUCTION.map((line) => `${NOTE} ${line}`);
  const problems = (problem ?? "").split("\n").filter((line) => line !== "");
  return [...lines, ...problems.map((line) => `${PROBLEM} ${line}`), yaml].join("\n");
}

/** What was written, without the lines that are ours. */
export function writtenIn(edited: string): string {
  const lines = edited.split("\n");
  return lines.filter((line) => !line.startsWith(NOTE) && !line.startsWith(PROBLEM)).join("\n");
}

export type EditVerdict = "unchanged" | "empty" | "changed";

/** @param before what was in the file when the editor was opened */
export function verdictOf(before: string, after: string): EditVerdict {
  if (after.trim() === "") return "empty";
  return after.trim() === before.trim() ? "unchanged" : "changed";
}
