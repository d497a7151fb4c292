// Values of settings as text in fields, and back: what of a form is a change.
import { problemsWithin, type FieldProblem } from "./form-problems.ts";
import type { Setting } from "./stream-definitions.ts";

export type SettingText = string | boolean | null;

export interface SettingOutcome {
  readonly changes: readonly { readonly key: string; readonly value: string | number | boolean | null }[];
  /** By key: what is wrong with a field. */
  readonly problems: Readonly<Record<string, string>>;
  readonly isRefused: boolean;
}

export function settingInput(value: Setting["value"]): string | boolean {
  return typeof value === "boolean" ? value : String(value);
}

/** @param touched by key: the text of a field, null to take the value away */
export function settingChanges(
  settings: readonly Setting[],
  touched: Readonly<Record<string, SettingText>>,
): SettingOutcome {
  const changes: { key: string; value: string | number | boolean | null }[] = [];
  const problems: Record<string, string> = {};
  for (const setting of settings) {
    const text = touched[setting.key];
    if (text === undefined) continue;
    const value = text === null ? null : valueOf(setting, text);
    if (value === undefined) problems[setting.key] = setting.type === "int" ? "a whole number" : "a number";
    else if (value !== setting.value || value === null) changes.push({ key: setting.key, value });
  }
  return { changes, problems, isRefused: Object.keys(problems).length > 0 };
}

/** What values there are, `minimum 0, maximum 10000000` of the API, as a sentence; "" when it says nothing. */
export function boundsOf({ validation = "" }: Setting): string {
  const bounds = /^minimum (\S+), maximum (\S+)$/.exec(validation);
  if (bounds === null) return validation === "" ? "" : `${validation}.`;
  const [min, max] = bounds.slice(1).map((bound) => plainBound(bound));
  return `From ${min} to ${max}.`;
}

/** `30m0s` as 30m, 10000000 as 10,000,000. */
function plainBound(bound: string): string {
  if (/^[0-9]+$/.test(bound)) return bound.replace(/\B(?=([0-9]{3})+$)/g, ",");
  return bound.replace(/(?<=[hm])0[ms](0s)?$/, "");
}

/** What the API said of changes that were sent in this order, by key. */
export function refusedSettings(
  sent: readonly string[],
  problems: readonly FieldProblem[],
): Readonly<Record<string, string>> {
  const refused = sent.map((key, i): [string, string] => {
    const messages = problemsWithin(problems, `body.settings[${i}]`).map(({ message }) => message);
    return [key, messages.join(" ")];
  });
  return Object.fromEntries(refused.filter(([, text]) => text !== ""));
}

/** @returns undefined when the text is no value of the setting's type */
function valueOf({ type }: Setting, text: string | boolean): string | number | boolean | undefined {
  if (typeof text === "boolean" || type === "string" || type === "[]string") return text;
  if (type === "bool") return text === "true";
  const number = Number(text.trim());
  if (text.trim() === "" || !Number.isFinite(number)) return undefined;
  return type === "int" && !Number.isInteger(number) ? undefined : number;
}
