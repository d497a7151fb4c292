// Journals over a broker's HTTP gateway and REST routes (specification section 7). What the gateway cannot carry
// (registers, expected offsets) is refused here rather than dropped.
import { CODES, text, WireError, type Code } from "@millrace/base";
import {
  applyRequestToJson,
  applyResponseFromJson,
  EMPTY_ROUTE,
  fragmentOfPath,
  fragmentsRequestToJson,
  fragmentsResponseFromJson,
  listRequestToJson,
  listResponseFromJson,
  STATUS,
  type AppendPreamble,
  type AppendResponse,
  type ApplyRequest,
  type ApplyResponse,
  type Fragment,
  type FragmentsRequest,
  type FragmentsResponse,
  type Header,
  type ListedJournal,
  type ListRequest,
  type ListResponse,
  type ReadRequest,
  type ReadResponse,
  type Status,
} from "@millrace/protocol";
import { Pool, type Dispatcher } from "undici";
import type { AppendContent, JournalTransport } from "./transport.ts";

/** The gateway does not say who answered or at which revision: such headers are empty. */
const UNKNOWN_HEADER: Header = {
  processId: { zone: "", suffix: "" },
  route: EMPTY_ROUTE,
  etcd: { clusterId: 0n, memberId: 0n, revision: 0, raftTerm: 0n },
};

export interface HttpTransportOptions {
  /** Base URL of a broker, `http://127.0.0.1:8080`. */
  readonly address: string;
  /** Bearer token, or "". */
  readonly token: string;
  /** Connections kept at most. */
  readonly connections: number;
}

export class HttpTransport implements JournalTransport {
  readonly #pool: Pool;
  readonly #base: string;
  readonly #authorization: Readonly<Record<string, string>>;

  constructor(options: HttpTransportOptions) {
    const url = new URL(options.address);
    this.#pool = new Pool(url.origin, { connections: options.connections, bodyTimeout: 0 });
    this.#base = url.pathname.replace(/\/$/, "");
    this.#authorization = options.token === "" ? {} : { authorization: `Bearer ${options.token}` };
  }

  /** Ends the connections; requests under way fail. */
  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async append(
    request: AppendPreamble,
    content: AppendContent,
    signal: AbortSignal,
  ): Promise<AppendResponse> {
    if (
      request.offset !== 0 ||
      request.checkRegisters ||
      request.unionRegisters ||
      request.subtractRegisters
    ) {
      throw new WireError(
        "INVALID_ARGUMENT",
        "appends over HTTP carry neither registers nor an expected offset",
      );
    }
    const body = content.kind === "bytes" ? Buffer.concat(content.bytes) : content.chunks;
    const response = await this.#send("PUT", journalPath(request.journal), {
      body: body as Buffer,
      signal,
      append: true,
    });
    const answer = await response.body.text();
    if (response.statusCode !== 204) {
      const status = statusOf(answer);
      if (status === undefined) throw failure("append", response.statusCode, answer);
      return { ...emptyAppendResponse(status), storeHealthError: "" };
    }
    const commit: Fragment = {
      journal: request.journal,
      begin: numberHeader(response, "x-commit-begin"),
      end: numberHeader(response, "x-commit-end"),
      sum: textHeader(response, "x-commit-sha1-sum"),
      compressionCodec: "NONE",
      backingStore: "",
      modTime: 0,
      pathPostfix: "",
    };
    return { ...emptyAppendResponse("OK"), commit };
  }

  async *read(request: ReadRequest, signal: AbortSignal): AsyncGenerator<ReadResponse, void, void> {
    if (request.doNotProxy && !request.metadataOnly) {
      // Whoever reads stored fragments himself wants their URLs, which a head has.
      for await (const response of this.read({ ...request, metadataOnly: true }, signal)) {
        if (response.status === "OK" && response.fragmentUrl === "") break;
        yield response;
        return;
      }
    }
    const query = `?offset=${request.offset}&block=${request.block}`;
    const method = request.metadataOnly ? "HEAD" : "GET";
    const response = await this.#send(method, journalPath(request.journal) + query, { signal });
    const writeHead = Number(response.headers["x-write-head"] ?? 0);
    if (response.statusCode !== 206) {
      const answer = await response.body.text();
      const status = response.statusCode === 416 ? "OFFSET_NOT_YET_AVAILABLE" : statusOf(answer);
      if (status === undefined) {
        const code = codeOf(response.headers["x-error-code"]);
        throw code === undefined
          ? failure("read", response.statusCode, answer)
          : new WireError(code, answer.trim());
      }
      const at = request.offset < 0 ? writeHead : request.offset;
      yield { status, header: UNKNOWN_HEADER, offset: at, writeHead, fragmentUrl: "" };
      return;
    }
    let offset = rangeBegin(response, request.offset);
    yield {
      status: "OK",
      header: UNKNOWN_HEADER,
      offset,
      writeHead,
      ...fragmentOf(response, request.journal),
    };
    const end = request.endOffset === 0 ? Number.POSITIVE_INFINITY : request.endOffset;
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      const content = chunk.subarray(0, Math.max(0, end - offset));
      if (content.length > 0) yield { status: "OK", offset, writeHead: 0, fragmentUrl: "", content };
      offset += content.length;
      if (offset >= end) return;
    }
    const ending = response.trailers["x-close-error"];
    if (ending === "OFFSET_NOT_YET_AVAILABLE") {
      // The head as it was when the answer began: below it there is a hole.
      const head = Math.max(offset, writeHead);
      yield { status: ending, header: UNKNOWN_HEADER, offset, writeHead: head, fragmentUrl: "" };
    }
    const [, name, what] = /^([A-Z_]+): (.*)$/.exec(String(ending)) ?? [];
    const code = codeOf(name);
    if (code !== undefined) throw new WireError(code, what!);
  }

  async list(request: ListRequest, signal: AbortSignal): Promise<ListResponse> {
    let whole: ListResponse | undefined;
    for await (const message of this.#results(
      "/v1/journals/list",
      listRequestToJson({ ...request, watch: false }),
      signal,
    )) {
      const response = listResponseFromJson(message);
      whole =
        whole === undefined ? response : { ...whole, journals: [...whole.journals, ...response.journals] };
    }
    if (whole === undefined)
      throw new WireError("UNAVAILABLE", "the broker ended the listing before it began");
    return whole;
  }

  async *watchList(request: ListRequest, signal: AbortSignal): AsyncGenerator<ListResponse, void, void> {
    let first: ListResponse | undefined;
    let journals: ListedJournal[] = [];
    for await (const message of this.#results(
      "/v1/journals/list",
      listRequestToJson({ ...request, watch: true }),
      signal,
    )) {
      const response = listResponseFromJson(message);
      if (first === undefined) first = response;
      else if (response.journals.length === 0) {
        // An empty message ends a snapshot.
        yield { ...first, journals };
        first = undefined;
        journals = [];
        continue;
      }
      journals.push(...response.journals);
    }
  }

  async apply(request: ApplyRequest, signal: AbortSignal): Promise<ApplyResponse> {
    return applyResponseFromJson(await this.#call("/v1/journals/apply", applyRequestToJson(request), signal));
  }

  async listFragments(request: FragmentsRequest, signal: AbortSignal): Promise<FragmentsResponse> {
    return fragmentsResponseFromJson(
      await this.#call("/v1/journals/fragments", fragmentsRequestToJson(request), signal),
    );
  }

  async #call(path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    const response = await this.#send("POST", path, { body: JSON.stringify(body), signal });
    const answer = await response.body.text();
    if (response.statusCode !== 200) throw failure(path, response.statusCode, errorText(answer));
    return parseJson(path, answer);
  }

  /** Messages of a REST stream: lines of `{"result":…}`, or `{"error":…}` last. */
  async *#results(path: string, body: unknown, signal: AbortSignal): AsyncGenerator<unknown, void, void> {
    const response = await this.#send("POST", path, { body: JSON.stringify(body), signal });
    if (response.statusCode !== 200)
      throw failure(path, response.statusCode, errorText(await response.body.text()));
    for await (const line of lines(response.body as AsyncIterable<Uint8Array>)) {
      const message = parseJson(path, line) as {
        result?: unknown;
        error?: { message?: string; httpCode?: number };
      };
      if (message.error !== undefined)
        throw failure(path, message.error.httpCode ?? 500, message.error.message ?? line);
      yield message.result;
    }
  }

  async #send(
    method: Dispatcher.HttpMethod,
    path: string,
    options: { body?: string | Buffer; signal: AbortSignal; append?: true },
  ): Promise<Dispatcher.ResponseData> {
    const contentType = typeof options.body === "string" ? { "content-type": "application/json" } : {};
    try {
      return await this.#pool.request({
        method,
        path: this.#base + path,
        headers: { ...this.#authorization, ...contentType },
        signal: options.signal,
        ...(options.body === undefined ? {} : { body: options.body }),
      });
    } catch (error) {
      options.signal.throwIfAborted();
      const { code, message } = error as NodeJS.ErrnoException;
      const refused = code === "ECONNREFUSED" || code === "UND_ERR_CONNECT_TIMEOUT";
      const unknown = options.append === true && !refused;
      throw new WireError(unknown ? "OUTCOME_UNKNOWN" : "UNAVAILABLE", `${method} ${path}: ${message}`, {
        cause: error,
      });
    }
  }
}

function journalPath(journal: string): string {
  return `/${journal.split("/").map(encodeURIComponent).join("/")}`;
}

function emptyAppendResponse(status: Status): AppendResponse {
  return { status, header: UNKNOWN_HEADER, totalChunks: 0, delayedChunks: 0, storeHealthError: "" };
}

/** A protocol status at the begin of a plain-text answer. */
function statusOf(answer: string): Exclude<Status, "OK"> | undefined {
  const word = /[A-Z][A-Z_]+/.exec(answer)?.[0];
  return word !== undefined && word !== "OK" && word in STATUS ? (word as Exclude<Status, "OK">) : undefined;
}

function failure(what: string, httpStatus: number, answer: string): WireError {
  const codes = Object.keys(CODES) as Code[];
  const code = codes.find((each) => CODES[each].status === httpStatus) ?? "INTERNAL";
  return new WireError(code, answer.trim() === "" ? `${what}: HTTP status ${httpStatus}` : answer.trim());
}

function codeOf(name: unknown): Code | undefined {
  return typeof name === "string" && Object.hasOwn(CODES, name) ? (name as Code) : undefined;
}

function errorText(answer: string): string {
  try {
    return (JSON.parse(answer) as { message?: string }).message ?? answer;
  } catch {
    return answer;
  }
}

function parseJson(path: string, answer: string): unknown {
  try {
    return JSON.parse(answer);
  } catch (error) {
    throw new WireError("INTERNAL", `${path}: the answer is not JSON`, { cause: error });
  }
}

function textHeader(response: Dispatcher.ResponseData, name: string): string {
  const value = response.headers[name];
  if (typeof value !== "string") throw new WireError("INTERNAL", `the answer has no ${name}`);
  return value;
}

function numberHeader(response: Dispatcher.ResponseData, name: string): number {
  const value = Number(textHeader(response, name));
  if (!Number.isSafeInteger(value)) throw new WireError("INTERNAL", `${name} is not an offset`);
  return value;
}

/** The fragment that has the first byte, and where it is stored. Its postfix is not told. */
function fragmentOf(
  { headers }: Dispatcher.ResponseData,
  journal: string,
): { readonly fragment?: Fragment; readonly fragmentUrl: string } {
  const [name, url] = [headers["x-fragment-name"], headers["x-fragment-location"]];
  if (typeof name !== "string") return { fragmentUrl: "" };
  return { fragment: fragmentOfPath(journal, name), fragmentUrl: typeof url === "string" ? url : "" };
}

function rangeBegin(response: Dispatcher.ResponseData, wanted: number): number {
  const match = /^bytes (\d+)-/.exec(String(response.headers["content-range"]));
  return match === null ? Math.max(0, wanted) : Number(match[1]);
}

async function* lines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, void> {
  let rest: Uint8Array = new Uint8Array();
  for await (const chunk of chunks) {
    const buffer: Uint8Array = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let begin = 0;
    for (let end = buffer.indexOf(10); end >= 0; end = buffer.indexOf(10, begin)) {
      if (end > begin) yield text(buffer.subarray(begin, end));
      begin = end + 1;
    }
    rest = buffer.subarray(begin);
  }
  if (rest.length > 0) yield text(rest);
}
