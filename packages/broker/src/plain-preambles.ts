// Preambles that say no more than a journal's name: clients append to few journals, again and again. What was read of
// one is known by its bytes, and appends share the object.
//
//  N1  What is kept is valid, and bounded: a name takes the place of another one that has its slot.
import { newAppendRequest, validateAppendRequest, type AppendPreamble } from "@millrace/protocol";

const SLOTS = 1024;

interface Known {
  readonly name: Uint8Array;
  readonly request: AppendPreamble;
}

export class PlainPreambles {
  readonly #known: (Known | undefined)[] = Array.from({ length: SLOTS }, () => undefined);

  /**
   * @param bytes of a message whose name begins at `begin` and goes to the end
   * @throws {ValidationError} and TypeError where the name is no UTF-8
   */
  read(bytes: Uint8Array, begin: number): AppendPreamble {
    const slot = slotOf(bytes, begin);
    const known = this.#known[slot];
    if (known !== undefined && isName(known.name, bytes, begin)) return known.request;
    const name = bytes.slice(begin);
    const request = newAppendRequest({ journal: decoder.decode(name) });
    validateAppendRequest(request);
    this.#known[slot] = { name, request };
    return request;
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** FNV-1a */
function slotOf(bytes: Uint8Array, begin: number): number {
  let hash = 0x811c9dc5;
  for (let i = begin; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return (hash >>> 0) % SLOTS;
}

function isName(name: Uint8Array, bytes: Uint8Array, begin: number): boolean {
  if (name.length !== bytes.length - begin) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[begin + i]) return false;
  return true;
}
