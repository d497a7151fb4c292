// What the commands about sources and sinks share: the key that their arguments name, options, how things are shown.
import { readFileSync } from "node:fs";
import type { Version } from "@millrace/api-client";
import { UsageError } from "./cli-io.ts";
import type { DoorOptions } from "./system-doors.ts";
import { renderTable } from "./table-output.ts";

/** The only branch there is. */
export const BRANCH = { branchId: "default" } as const;

export interface JsonOptions extends DoorOptions {
  readonly json?: true;
}

export type SettingValue = string | number | boolean;

export function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

/** `NAME=VALUE`: values that are JSON flags or numbers are sent as such, others as text. @throws {UsageError} */
export function parseSetting(given: string, option: string): readonly [string, SettingValue] {
  const at = given.indexOf("=");
  if (at < 1) throw new UsageError(`${option}: expected NAME=VALUE, got ${given}`);
  const value = given.slice(at + 1);
  if (value === "true" || value === "false") return [given.slice(0, at), value === "true"];
  return [given.slice(0, at), /^[0-9]{1,15}$/.test(value) ? Number(value) : value];
}

/** JSON, or `@` and the file that has it. The API checks what it says. @throws {UsageError} */
export function readJson(flag: string, given: string): unknown {
  try {
    return JSON.parse(given.startsWith("@") ? readFileSync(given.slice(1), "utf8") : given);
  } catch (error) {
    throw new UsageError(`${flag}: ${(error as Error).message}`);
  }
}

/** @throws {UsageError} */
export function versionNumber(given: string): number {
  if (/^[0-9]{1,10}$/.test(given) && Number(given) >= 1) return Number(given);
  throw new UsageError(`version ${given}: expected a whole number >= 1`);
}

/** One thing, a field a line. */
export function renderFields(fields: readonly (readonly [name: string, value: string])[]): string {
  return renderTable(["FIELD", "VALUE"], fields);
}

export function renderVersions(versions: readonly Version[]): string {
  const rows = versions.map(({ number, at, by, description }) => {
    return [String(number), at, by.tokenDesc ?? by.userName ?? by.tokenId ?? by.type, description];
  });
  return renderTable(["VERSION", "AT", "BY", "DESCRIPTION"], rows);
}

interface Stateful {
  readonly disabled?: { readonly reason: string };
  readonly deleted?: object;
}

/** In a list: without the reason, one word. */
export function stateWord(entity: Stateful): string {
  return stateOf(entity).split(" ", 1)[0]!;
}

export function stateOf(entity: Stateful): string {
  if (entity.deleted !== undefined) return "deleted";
  return entity.disabled === undefined ? "enabled" : `disabled (${entity.disabled.reason})`;
}

/** What is given alone, so that what is not given is not sent. */
export function given<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
