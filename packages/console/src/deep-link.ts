// What of the page has an address: `#journal?name=a/b/part-000`, `#sql?query=select+1`, `#sources`. After the hash,
// so that nothing of it reaches a server or its logs.
import { SECTIONS, type Section } from "./shortcuts.ts";

export interface Place {
  readonly section: Section;
  readonly journal?: string;
  readonly query?: string;
}

/** @param hash as location.hash has it; undefined when it names no section */
export function parsePlace(hash: string): Place | undefined {
  const [name = "", ...rest] = hash.replace(/^#/, "").split("?");
  const section = SECTIONS.find((one) => one === name);
  if (section === undefined) return undefined;
  const members = new URLSearchParams(rest.join("?"));
  const journal = members.get("name");
  const query = members.get("query");
  return {
    section,
    ...(section === "journal" && journal !== null ? { journal } : {}),
    ...(section === "sql" && query !== null ? { query } : {}),
  };
}

export function placeHash({ section, journal, query }: Place): string {
  const members = new URLSearchParams();
  if (journal !== undefined) members.set("name", journal);
  if (query !== undefined) members.set("query", query);
  const text = members.toString();
  return `#${section}${text === "" ? "" : `?${text.replaceAll("%2F", "/")}`}`;
}
