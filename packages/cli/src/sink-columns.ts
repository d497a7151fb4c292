// Columns as a command is given them. Loaded when they are read: the shapes of the API's requests come with its client.
import { SHAPES, type Column } from "@millrace/api-client";
import { knownFields } from "./known-fields.ts";
import { readJson } from "./stream-options.ts";

/** @throws {UsageError} also of a field that no column has */
export function readColumns(given: string): readonly Column[] {
  const columns = readJson("--columns", given);
  return knownFields(columns, { items: SHAPES.Column }, "--columns") as readonly Column[];
}
