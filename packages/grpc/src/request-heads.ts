// What requests of one connection say. Most are like the one before but for one value, as a client's timeout: of such
// only that value is looked at.
import { faultOfField, parseRequestHead, type RequestHead } from "./h2-fields.ts";
import type { HeaderList } from "./hpack-decoder.ts";

/** Fields that say something about the request to HTTP: one that differs there is read anew. */
const OWN_NAMES: ReadonlySet<string> = new Set(["content-type", "content-length", "host"]);

export class RequestHeads {
  #last: RequestHead | undefined;

  /** What the request says, or what is wrong with it. */
  read(list: HeaderList): RequestHead | string {
    const head = this.#likeLast(list) ?? parseRequestHead(list);
    if (typeof head !== "string") this.#last = head;
    return head;
  }

  #likeLast(list: HeaderList): RequestHead | undefined {
    const last = this.#last;
    if (last === undefined || list.isCut || last.list.isCut) return undefined;
    const { fields } = list;
    const at = onlyDifference(last.list.fields, fields);
    if (at === undefined) return undefined;
    const name = fields[at - 1]!;
    if (name.startsWith(":") || OWN_NAMES.has(name)) return undefined;
    if (faultOfField(name, fields[at]!) !== undefined) return undefined;
    const { method, scheme, authority, path, contentType, contentLength } = last;
    const like = { derived: last.derived, but: name };
    const derived = undefined;
    return { method, scheme, authority, path, contentType, contentLength, list, derived, like };
  }
}

/** Where the one value stands that differs; undefined: none does, or more than one, or a name. */
function onlyDifference(before: readonly string[], fields: readonly string[]): number | undefined {
  if (before.length !== fields.length) return undefined;
  let only: number | undefined;
  for (let i = 0; i < fields.length; i++) {
    if (fields[i] === before[i]) continue;
    if (i % 2 === 0 || only !== undefined) return undefined;
    only = i;
  }
  return only;
}
