// The one record that the door works on. It is refilled for each record, so mappings find everything at the same place
// and nothing is allocated; whatever outlives the record must copy.
import { BodyBytes, type RequestHead, utf8 } from "@millrace/base";
import { headersJson } from "./http-source-headers.ts";
import { JsonScanner } from "./body-json.ts";
import type { BodyForm, RecordContext } from "./mapping.ts";

export class DoorRecord implements RecordContext {
  acceptedAtMs = 0;
  body = new BodyBytes(new Uint8Array(0));
  bodyBegin = 0;
  bodyEnd = 0;
  bodyIsText = false;
  form: BodyForm = "opaque";
  clientIp: Uint8Array = new Uint8Array(0);
  readonly scanner = new JsonScanner();
  #head: RequestHead | undefined;
  #headers: Uint8Array | undefined;

  /** What all records of a request share. @param head must stay valid while records of it are mapped */
  startRequest(acceptedAtMs: number, clientIp: Uint8Array, head: RequestHead): void {
    this.acceptedAtMs = acceptedAtMs;
    this.clientIp = clientIp;
    this.#head = head;
    this.#headers = undefined;
  }

  headersJson(): Uint8Array {
    this.#headers ??= utf8(this.#head === undefined ? "{}" : headersJson(this.#head));
    return this.#headers;
  }
}
