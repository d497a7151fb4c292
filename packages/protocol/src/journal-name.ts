// Names of journals. Requests may append `;meta` to a name: it is validated, carried along for whoever cares,
// and plays no part in finding the journal.
import { within } from "@millrace/protobuf";
import { JOURNAL_NAME_BYTES } from "./limits.ts";
import { validatePathComponent } from "./token.ts";

/** The name, and the metadata with its leading `;` ("" when there is none). */
export function splitMeta(journal: string): { readonly name: string; readonly meta: string } {
  const at = journal.indexOf(";");
  return at === -1 ? { name: journal, meta: "" } : { name: journal.slice(0, at), meta: journal.slice(at) };
}

/** The name without its metadata. */
export function stripMeta(journal: string): string {
  return splitMeta(journal).name;
}

/** A name with or without metadata. @throws {ValidationError} */
export function validateJournalName(journal: string): void {
  const { name, meta } = splitMeta(journal);
  validatePathComponent(name, JOURNAL_NAME_BYTES);
  if (meta === "") return;
  within("metadata path segment", () =>
    validatePathComponent(meta.slice(1), { min: 1, max: JOURNAL_NAME_BYTES.max }),
  );
}
