// Calls of the configuration API, typed by its document. How a request is sent is the caller's: a connection, its
// credential and its certificates are his.
import { CODES, WireError, type Code } from "@millrace/base";
import type { Calls } from "./api-calls.ts";
import { PLACES } from "./api-places.ts";

export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With its query. */
  readonly path: string;
  /** Absent: there is no body. */
  readonly contentType?: string;
  readonly body?: string;
}

export interface ApiAnswer {
  readonly status: number;
  readonly body: string;
}

/** @throws {WireError} UNAVAILABLE when nobody answers */
export type SendRequest = (request: ApiRequest, signal: AbortSignal) => Promise<ApiAnswer>;

export type CallName = keyof Calls;
export type Input<N extends CallName> = Calls[N]["input"];
export type Answer<N extends CallName> = Calls[N]["answer"];

export class ApiClient {
  readonly #send: SendRequest;

  constructor(send: SendRequest) {
    this.#send = send;
  }

  /** @throws {WireError} of the answer's status, with its text, and its name as the fact `error` */
  async call<N extends CallName>(name: N, input: Input<N>, signal: AbortSignal): Promise<Answer<N>> {
    const answer = await this.#send(requestOf(name, input), signal);
    if (answer.status >= 200 && answer.status < 300) return parsed(answer) as Answer<N>;
    throw refusalOf(answer);
  }
}

function requestOf(name: CallName, input: object): ApiRequest {
  const { method, path, query, body } = PLACES[name];
  const given = input as Readonly<Record<string, string | number | boolean | undefined>>;
  const { body: content } = input as { readonly body?: unknown };
  // The rest of a path keeps its slashes.
  const filled = path.replace(/\{(\w+)\}/g, (_match, field: string) =>
    String(given[field]).split("/").map(encodeURIComponent).join("/"),
  );
  const parameters = query.flatMap((field) => {
    return given[field] === undefined ? [] : `${field}=${encodeURIComponent(String(given[field]))}`;
  });
  const request = { method, path: parameters.length === 0 ? filled : `${filled}?${parameters.join("&")}` };
  if (body === "none") return request;
  if (body === "json") {
    return { ...request, contentType: "application/json", body: JSON.stringify(content) };
  }
  return {
    ...request,
    contentType: String(given["contentType"]),
    body: typeof content === "string" ? content : "",
  };
}

function parsed({ body, status }: ApiAnswer): unknown {
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new WireError("INTERNAL", `the answer with status ${status} is not JSON`, { cause });
  }
}

/** Of several codes with a status, those that are not about journals. */
const PLAIN: readonly Code[] = ["FORBIDDEN", "NOT_FOUND", "CONFLICT", "UNAVAILABLE", "INTERNAL"];

function codeOf(status: number): Code {
  const codes = [...PLAIN, ...(Object.keys(CODES) as Code[])];
  return codes.find((each) => CODES[each].status === status) ?? "INTERNAL";
}

function refusalOf({ status, body }: ApiAnswer): WireError {
  const code = codeOf(status);
  try {
    const { message, error } = JSON.parse(body) as { message?: unknown; error?: unknown };
    if (typeof message === "string") {
      return new WireError(code, message, { facts: { error: String(error), status } });
    }
  } catch {
    // Not the API's: shown as it is.
  }
  return new WireError(code, body.trim() === "" ? `HTTP status ${status}` : body.trim(), {
    facts: { status },
  });
}
