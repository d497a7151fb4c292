// The lines that an empty page offers: how to make a source and a sink, and how to send a record.

export interface CurlTarget {
  /** Base of the configuration API, ending in `/v1/`. */
  readonly apiUrl: string;
  /** Whether callers must send a token. */
  readonly needsToken: boolean;
}

const SINK = {
  type: "table",
  name: "Events",
  sinkId: "events",
  table: {
    type: "duckdb",
    tableId: "main.events",
    mapping: {
      columns: [
        { type: "uuid", name: "id" },
        { type: "datetime", name: "received_at" },
        { type: "body", name: "body" },
      ],
    },
  },
} as const;

export function createSourceLine(target: CurlTarget): string {
  return post(target, "branches/default/sources", { type: "http", name: "Events", sourceId: "events" });
}

export function createSinkLine(target: CurlTarget, sourceId: string): string {
  return post(target, `branches/default/sources/${encodeURIComponent(sourceId)}/sinks`, SINK);
}

/** @param url address of the source with its secret, or the name of a shell variable that holds it */
export function sendRecordLine(url: string): string {
  return [`curl -s '${url}' \\`, `  -H 'content-type: application/json' -d '{"hello":"millrace"}'`].join(
    "\n",
  );
}

/** JSON with its larger parts on lines of their own. */
function broken(json: string): string {
  return json
    .replace(',"table":', ',\n    "table":')
    .replace("[{", "[\n      {")
    .replaceAll("},{", "},\n      {");
}

function post({ apiUrl, needsToken }: CurlTarget, path: string, body: unknown): string {
  const lines = [`curl -s '${apiUrl}${path}'`, `-H 'content-type: application/json'`];
  if (needsToken) lines.push(`-H "authorization: Bearer $MILLRACE_AUTH_TOKEN"`);
  lines.push(`-d '${broken(JSON.stringify(body))}'`);
  return lines.join(" \\\n  ");
}
