// Plans as people read them.
import type { Action, FieldChange, StreamsPlan } from "./streams-plan.ts";

const CHARS_MAX = 200;

/** A line for each action, and how many they are. @param isDetailed with each field, before and after */
export function planText(plan: StreamsPlan, options: { isDetailed: boolean; isPruned: boolean }): string {
  const lines = plan.actions.flatMap((action) => {
    return [actionText(action), ...(options.isDetailed ? action.changes.flatMap(changeText) : [])];
  });
  if (!options.isPruned) {
    lines.push(...plan.strangers.map((one) => `in no file: ${one} (--prune deletes it)`));
  }
  const counts = [
    ["create", "create"],
    ["update", "change"],
    ["delete", "delete"],
  ].map(([verb, word]) => `${plan.actions.filter((action) => groupOf(action) === verb).length} to ${word}`);
  lines.push(plan.actions.length === 0 ? "nothing to do" : counts.join(", "));
  return lines.map((line) => `${line}\n`).join("");
}

/** `update sink orders/orders: name, columns`. */
export function actionText({ verb, kind, sourceId, sinkId, changes }: Action): string {
  const name = kind === "source" ? sourceId : `${sourceId}/${sinkId}`;
  const isNamed = verb === "update" || verb === "settings";
  const fields = isNamed ? `: ${changes.map(({ field }) => field).join(", ")}` : "";
  return `${verb === "settings" ? "change settings of" : verb} ${kind} ${name}${fields}`;
}

function groupOf({ verb }: Action): "create" | "update" | "delete" {
  return verb === "create" || verb === "delete" ? verb : "update";
}

function changeText({ field, before, after }: FieldChange): readonly string[] {
  const line = (sign: string, value: string | undefined): readonly string[] =>
    value === undefined ? [] : [`  ${sign} ${field}: ${shortened(value)}`];
  return [...line("-", before), ...line("+", after)];
}

function shortened(text: string): string {
  return text.length <= CHARS_MAX ? text : `${text.slice(0, CHARS_MAX)}…`;
}
