// Requests as tests need them: any Host, any Origin, any bytes, trailers, and a limit of time on each.
import { request, type Agent, type IncomingHttpHeaders, type IncomingMessage } from "node:http";

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Default: a connection of its own. */
  readonly agent?: Agent;
  /** Of this machine, from which the connection is made. */
  readonly localAddress?: string;
  readonly limitMs?: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
  readonly trailers: Readonly<Record<string, string | undefined>>;
  /** The body as JSON. */
  json(): Readonly<Record<string, unknown>>;
}

const LIMIT_MS = 30_000;

/** The head of an answer; the body is still to be read. */
export function begin(url: string, ask: Ask = {}): Promise<IncomingMessage> {
  const { method = "GET", headers = {}, body, agent, limitMs = LIMIT_MS, localAddress } = ask;
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const outgoing = request(
      url,
      { method, headers: { ...length, ...headers }, agent: agent ?? false, localAddress },
      resolve,
    );
    outgoing.setTimeout(limitMs, () =>
      outgoing.destroy(new Error(`${method} ${url}: silent for ${limitMs} ms`)),
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** The whole answer. */
export async function ask(url: string, options: Ask = {}): Promise<Answer> {
  const message = await begin(url, options);
  const parts: Buffer[] = [];
  for await (const part of message as AsyncIterable<Buffer>) parts.push(part);
  const bytes = Buffer.concat(parts);
  const text = bytes.toString("utf8");
  return {
    status: message.statusCode ?? 0,
    headers: message.headers,
    bytes,
    text,
    trailers: message.trailers,
    json: () => JSON.parse(text) as Readonly<Record<string, unknown>>,
  };
}

/** A POST of JSON. */
export function post(
  url: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return ask(url, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  });
}
