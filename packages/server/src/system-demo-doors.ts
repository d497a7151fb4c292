// The demo's doors over HTTP/1.1 with kept connections.
import { Agent, request } from "node:http";
import { CODES, WireError, type Code } from "@millrace/base";
import { HttpTransport, listJournals, readHead } from "@millrace/client";
import { parseLabelSelector } from "@millrace/protocol";
import type { DemoDoors } from "./demo.ts";

export interface DoorAddresses {
  readonly api: string;
  readonly broker: string;
  readonly warehouse: string;
  /** Token that the doors want, or "". */
  readonly token: string;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

export function openDemoDoors(addresses: DoorAddresses): DemoDoors & { close(): Promise<void> } {
  const agent = new Agent({ keepAlive: true });
  const authorization: Record<string, string> =
    addresses.token === "" ? {} : { authorization: `Bearer ${addresses.token}` };
  const json = { "content-type": "application/json", ...authorization };
  const transport = new HttpTransport({ address: addresses.broker, token: addresses.token, connections: 1 });
  return {
    close: async () => {
      agent.destroy();
      await transport.close();
    },
    partitionHeads: async (sourceId, sinkId, signal) => {
      const selector = parseLabelSelector(
        `prefix=stream/, millrace.dev/source=${sourceId}, millrace.dev/sink=${sinkId}`,
      );
      const { journals } = await listJournals(transport, selector, signal);
      const heads = new Map<string, number>();
      for (const { spec } of journals) {
        heads.set(spec.name, (await readHead(transport, spec.name, signal)).writeHead);
      }
      return heads;
    },
    api: async (method, path, body, signal) => {
      const text = body === undefined ? "" : JSON.stringify(body);
      const answer = await exchange(agent, method, new URL(path, addresses.api), json, text, signal);
      return { status: answer.status, body: parse(answer) };
    },
    ingest: async (url, body, signal) => {
      const answer = await exchange(
        agent,
        "POST",
        new URL(url),
        { "content-type": "application/x-ndjson" },
        body,
        signal,
      );
      if (answer.status >= 300) throw failure("the source", answer);
      return (parse(answer) as { accepted: number }).accepted;
    },
    sql: async (query, signal) => {
      const url = new URL("/sql", addresses.warehouse);
      const answer = await exchange(agent, "POST", url, json, JSON.stringify({ query }), signal);
      if (answer.status !== 200) throw failure("the warehouse", answer);
      const [row] = (parse(answer) as { rows: readonly Readonly<Record<string, unknown>>[] }).rows;
      if (row === undefined) throw new WireError("INTERNAL", `no row: ${query}`);
      return row;
    },
  };
}

function parse(answer: Answer): unknown {
  try {
    return JSON.parse(answer.text);
  } catch {
    throw new WireError(
      "INTERNAL",
      `status ${answer.status} with a body that is not JSON: ${answer.text.slice(0, 200)}`,
    );
  }
}

function failure(who: string, { status, text }: Answer): WireError {
  const codes = Object.keys(CODES) as Code[];
  const code = codes.find((each) => CODES[each].status === status) ?? "INTERNAL";
  return new WireError(code, `${who} answered ${status}: ${text.slice(0, 500)}`);
}

function exchange(
  agent: Agent,
  method: string,
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  signal: AbortSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = { "content-length": Buffer.byteLength(body) };
    const outgoing = request(
      url,
      { agent, method, headers: { ...headers, ...length }, signal },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (text += chunk));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
        response.on("error", reject);
      },
    );
    outgoing.on("error", (error) => reject(signal.aborted ? (signal.reason as Error) : error));
    outgoing.end(body);
  });
}
