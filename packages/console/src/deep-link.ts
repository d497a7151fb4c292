// What of the page has an address: `#journal?name=a/b/part-000`, `#sql?query=select+1`, `#sources`,
// `#sources?source=orders&tab=versions`. After the hash, so that nothing of it reaches a server or its logs.
import { managePlaceMembers, parseManagePlace, type ManagePlace } from "./manage-place.ts";
import { SECTIONS, type Section } from "./shortcuts.ts";

export interface Place {
  readonly section: Section;
  readonly journal?: string;
  readonly query?: string;
  /** What the management dialog shows. */
  readonly manage?: ManagePlace;
}

/** @param hash as location.hash has it; undefined when it names no section */
export function parsePlace(hash: string): Place | undefined {
  const [name = "", ...rest] = hash.replace(/^#/, "").split("?");
  const section = SECTIONS.find((one) => one === name);
  if (section === undefined) return undefined;
  const members = new URLSearchParams(rest.join("?"));
  const journal = members.get("name");
  const query = members.get("query");
  const manage = section === "sources" ? parseManagePlace(members) : undefined;
  return {
    section,
    ...(section === "journal" && journal !== null ? { journal } : {}),
    ...(section === "sql" && query !== null ? { query } : {}),
    ...(manage === undefined ? {} : { manage }),
  };
}

export function placeHash({ section, journal, query, manage }: Place): string {
  const members = manage === undefined ? new URLSearchParams() : managePlaceMembers(manage);
  if (journal !== undefined) members.set("name", journal);
  if (query !== undefined) members.set("query", query);
  const text = members.toString();
  return `#${section}${text === "" ? "" : `?${text.replaceAll("%2F", "/")}`}`;
}
