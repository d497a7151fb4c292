// Values of settings as text in fields, and back: what of a form is a change.
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

/** @returns undefined when the text is no value of the setting's type */
function valueOf({ type }: Setting, text: string | boolean): string | number | boolean | undefined {
  if (typeof text === "boolean" || type === "string" || type === "[]string") return text;
  if (type === "bool") return text === "true";
  const number = Number(text.trim());
  if (text.trim() === "" || !Number.isFinite(number)) return undefined;
  return type === "int" && !Number.isInteger(number) ? undefined : number;
}
