// The one record that the door works on. It is refilled for each record, so mappings find everything at the same place
// and nothing is allocated; whatever outlives the record must copy.
import { BodyBytes, type RequestHead } from "@millrace/base";
import type { ProgramResult } from "@millrace/jsonata";
import type { BodyKind } from "./http-source-content.ts";
import { headersOf, RecordHeaders } from "./http-source-headers.ts";
import { JsonScanner } from "./body-json.ts";
import { TemplateBudget } from "./mapping-budget.ts";
import type { BodyForm, RecordContext } from "./mapping-record.ts";
import { RecordValues } from "./mapping-values.ts";

export class DoorRecord implements RecordContext {
  acceptedAtMs = 0;
  body = new BodyBytes(new Uint8Array(0));
  bodyBegin = 0;
  bodyEnd = 0;
  bodyIsText = false;
  kind: BodyKind = "opaque";
  form: BodyForm = "opaque";
  problem = "";
  clientIp: Uint8Array = new Uint8Array(0);
  /** Hash of the key that the record has, if it has one. */
  key: string | undefined;
  readonly scanner = new JsonScanner();
  readonly values = new RecordValues();
  evaluated: readonly ProgramResult[] = [];
  budget = new TemplateBudget(0);
  #head: RequestHead | undefined;
  #headers: RecordHeaders | undefined;

  /**
   * What all records of a request share.
   * @param head must stay valid while records of it are mapped @param budget that its templates have left
   */
  startRequest(
    acceptedAtMs: number,
    clientIp: Uint8Array,
    head: RequestHead | RecordHeaders,
    budget: TemplateBudget,
  ): void {
    this.acceptedAtMs = acceptedAtMs;
    this.budget = budget;
    this.key = undefined;
    this.clientIp = clientIp;
    const isMade = head instanceof RecordHeaders;
    this.#head = isMade ? undefined : head;
    this.#headers = isMade ? head : undefined;
  }

  /** The record lies in body[begin, end). end() must follow. */
  start(body: BodyBytes, begin: number, end: number): void {
    this.budget.startRecord();
    this.body = body;
    this.bodyBegin = begin;
    this.bodyEnd = end;
  }

  /** Its content is not what its type says; as bytes it may still be text. */
  refuse(problem: string): void {
    this.form = "undecodable";
    this.problem = problem;
    this.bodyIsText = false;
  }

  /** The same of one record of many, for as long as `take` takes: the next one is looked into. */
  whileRefused(problem: string, take: () => void): void {
    this.refuse(problem);
    take();
    this.form = "scanned";
    this.bodyIsText = true;
  }

  /** Nothing is kept of the record (V2). */
  end(): void {
    this.values.forget();
  }

  headers(): RecordHeaders {
    this.#headers ??= this.#head === undefined ? new RecordHeaders([]) : headersOf(this.#head);
    return this.#headers;
  }
}
