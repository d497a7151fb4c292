// Requests of the page to the address it came from: the token added, errors as one kind.
import { parseProblems, type FieldProblem } from "./form-problems.ts";

export class ApiError extends Error {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  readonly code: string;
  /** Place in a query, 1-based. */
  readonly position: number | undefined;
  /** What is wrong with fields of what was sent. */
  readonly problems: readonly FieldProblem[];

  constructor(
    message: string,
    facts: {
      status: number;
      code: string;
      position?: number | undefined;
      problems?: readonly FieldProblem[];
      cause?: unknown;
    },
  ) {
    super(message, { cause: facts.cause });
    this.name = "ApiError";
    this.status = facts.status;
    this.code = facts.code;
    this.position = facts.position;
    this.problems = facts.problems ?? [];
  }
}

export interface ApiPorts {
  readonly fetch: typeof fetch;
  /** "" when there is none. */
  readonly token: () => string;
  /** Called when an answer was that a token is required, or that it is a wrong one. */
  readonly onUnauthorised: () => void;
}

export class ApiClient {
  readonly #ports: ApiPorts;

  constructor(ports: ApiPorts) {
    this.#ports = ports;
  }

  /** @throws {ApiError} */
  async getJson(url: string, signal: AbortSignal): Promise<unknown> {
    return await this.#json(await this.open(url, { headers: { accept: "application/json" } }, signal));
  }

  /** @throws {ApiError} */
  postJson(url: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    return this.sendJson("POST", url, body, signal);
  }

  /** @param body undefined: none is sent @throws {ApiError} */
  async sendJson(method: string, url: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    const accept = { accept: "application/json" };
    const init =
      body === undefined
        ? { method, headers: accept }
        : { method, headers: { ...accept, "content-type": "application/json" }, body: JSON.stringify(body) };
    return await this.#json(await this.open(url, init, signal));
  }

  /** @returns an answer with a 2xx status @throws {ApiError} for any other, and when none comes */
  async open(
    url: string,
    init: { method?: string; headers?: Record<string, string>; body?: string },
    signal: AbortSignal,
  ): Promise<Response> {
    const token = this.#ports.token();
    const authorization = token === "" ? undefined : { authorization: `Bearer ${token}` };
    let response: Response;
    try {
      // `omit`: the token is the only credential there is.
      const headers = { ...init.headers, ...authorization };
      response = await this.#ports.fetch(url, {
        ...init,
        headers,
        cache: "no-store",
        credentials: "omit",
        signal,
      });
    } catch (cause) {
      if (signal.aborted) throw cause;
      throw new ApiError("the server does not answer", { status: 0, code: "UNREACHABLE", cause });
    }
    if (response.ok) return response;
    const error = await errorOf(response);
    if (wantsToken(error)) this.#ports.onUnauthorised();
    throw error;
  }

  async #json(response: Response): Promise<unknown> {
    try {
      return await response.json();
    } catch (cause) {
      throw new ApiError("the answer is cut off or not JSON", {
        status: response.status,
        code: "BAD_ANSWER",
        cause,
      });
    }
  }
}

/** The configuration API says 400 to a request without a token, as its specification has it. */
function wantsToken({ status, code, message }: ApiError): boolean {
  return status === 401 || (code === "stream.api.missingField" && message.includes("X-StorageApi-Token"));
}

async function errorOf(response: Response): Promise<ApiError> {
  const body = await response.text().catch(() => "");
  let parsed: Record<string, unknown> = {};
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === "object" && value !== null) parsed = value as Record<string, unknown>;
  } catch {
    // A proxy's page, or nothing.
  }
  const { message, error, position, problems } = parsed;
  return new ApiError(typeof message === "string" ? message : `the server answered ${response.status}`, {
    status: response.status,
    code: typeof error === "string" ? error : `HTTP_${response.status}`,
    position: typeof position === "number" ? position : undefined,
    problems: parseProblems(problems),
  });
}
