// What an operation of the API is: one row says its place, what it takes, what it answers, who may use it and what it
// does. Routes (api-routes.ts) and the document (openapi.ts) are made from the rows.
import type { By } from "@millrace/ingest";
import type { ApiErrorName } from "./api-errors.ts";
import type { ApiDependencies } from "./api-dependencies.ts";
import type { Fields, ObjectOf, Schema } from "./schema.ts";

/** Reading is for every token; changing for administrators'. */
export type Access = "read" | "write";

export interface Call<B, Q extends Fields> {
  readonly deps: ApiDependencies;
  readonly by: By;
  /** Parameters of the path, by name. */
  readonly path: Readonly<Record<string, string>>;
  readonly query: ObjectOf<Q>;
  readonly body: B;
  /** First value of each header, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Address of who asks. */
  readonly ip: string;
}

interface OperationBase {
  /** A name for clients, unique. */
  readonly id: string;
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below `/v1`, parameters as `{name}`; `{name*}` takes the rest of the path. */
  readonly path: string;
  readonly tag: "sources" | "sinks" | "tokens" | "tasks" | "internal";
  readonly summary: string;
  readonly access: Access;
  readonly status: 200 | 202;
  readonly answer: Schema<unknown>;
  /** Besides what every operation may answer. */
  readonly errors: readonly ApiErrorName[];
}

export interface OperationSpec<B, Q extends Fields> extends OperationBase {
  readonly query?: Q;
  /** `raw`: bytes of any content type. */
  readonly body?: Schema<B> | "raw";
  handle(call: Call<B, Q>): Promise<object> | object;
}

export interface Operation extends OperationBase {
  readonly query: Fields;
  readonly body: Schema<unknown> | "raw" | undefined;
  handle(call: Call<unknown, Fields>): Promise<object> | object;
}

/** Of an operation without a query. */
type NoFields = Readonly<Record<string, never>>;

/** A row of the table. What the handler is given has been checked by the row's own schemas. */
export function operation<B = undefined, Q extends Fields = NoFields>(spec: OperationSpec<B, Q>): Operation {
  return {
    ...spec,
    query: spec.query ?? {},
    body: spec.body,
    handle: (call) => spec.handle(call as Call<B, Q>),
  };
}
