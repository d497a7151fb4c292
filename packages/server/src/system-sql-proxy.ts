// Passes the console's queries on to the warehouse's own address, and the answers as they come: a large result must not
// fill this process.
import { request } from "node:http";
import { WireError } from "@millrace/base";
import type { SqlAnswer } from "./console-routes.ts";

/**
 * @param warehouseUrl where SQL is answered now; what it throws is the answer
 * @param token of the platform, "" when none is needed
 */
export function sqlProxy(
  warehouseUrl: () => string,
  token: string,
): (body: string, accept: string, signal: AbortSignal) => Promise<SqlAnswer> {
  const authorization: Record<string, string> = token === "" ? {} : { authorization: `Bearer ${token}` };
  return (body, accept, signal) =>
    new Promise((resolve, reject) => {
      const headers = { "content-type": "application/json", accept, ...authorization };
      const outgoing = request(
        new URL("/sql", warehouseUrl()),
        { method: "POST", headers, signal },
        (response) =>
          resolve({
            status: response.statusCode ?? 500,
            contentType: response.headers["content-type"] ?? "application/json",
            body: response,
          }),
      );
      outgoing.on("error", (error) => {
        reject(
          new WireError("UNAVAILABLE", `the warehouse does not answer: ${error.message}`, { cause: error }),
        );
      });
      outgoing.end(body);
    });
}
