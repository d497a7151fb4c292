// The rows of a table that a RecordLedger's records were sent to.
import assert from "node:assert/strict";
import type { Endpoints } from "./endpoints.ts";
import { ask } from "./test-http.ts";
import type { StoredRecord } from "./test-record-ledger.ts";
import { pathColumn, type Column } from "./test-streams.ts";

export const RECORD_COLUMNS: readonly Column[] = [
  { type: "uuid", name: "id" },
  { type: "datetime", name: "received_at" },
  ...["connection", "sequence", "check"].map(pathColumn),
  { type: "body", name: "body" },
];

/** Of all rows there are, on a machine that is busy. */
const QUERY_MS = 300_000;

/** In journal order. */
export async function storedRecords(
  endpoints: Pick<Endpoints, "warehouse">,
  table: string,
): Promise<readonly StoredRecord[]> {
  const query =
    `select _journal, connection, sequence, "check", octet_length(encode(body)) from ${table} ` +
    `order by _journal, _offset`;
  const rows = await csvRows(endpoints, query);
  return rows.map(([journal = "", connection, sequence, check = "", bodyLength]) => {
    return {
      journal,
      connection: Number(connection),
      sequence: Number(sequence),
      check,
      bodyLength: Number(bodyLength),
    };
  });
}

/** All rows of a query whose values need no quotes. */
export async function csvRows(
  endpoints: Pick<Endpoints, "warehouse">,
  query: string,
): Promise<readonly (readonly string[])[]> {
  const answer = await ask(`${endpoints.warehouse}/sql`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/csv" },
    body: JSON.stringify({ query, limits: { rows: 10_000_000, timeMs: QUERY_MS } }),
    limitMs: QUERY_MS,
  });
  assert.equal(answer.status, 200, answer.text.slice(0, 500));
  const [, ...lines] = answer.text.trimEnd().split(/\r?\n/);
  return lines.map((line) => line.split(","));
}
