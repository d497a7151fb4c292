import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger, type Logger } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import { RefusedClients } from "./refused-clients.ts";

/** A handshake's error and its socket, as Node hands them over: the code is a string, whatever its type says. */
type Failed = Parameters<RefusedClients["onFailed"]>;

function failed(code: string, authorizationError: string | null, remoteAddress?: string): Failed {
  const error = Object.assign(new Error("socket hang up"), { code });
  return [error, { authorizationError, remoteAddress } as unknown as Failed[1]];
}

test("refused clients: told once in ten seconds with the count between; other failures are not theirs", async () => {
  const agenda = new Agenda();
  const lines: unknown[] = [];
  const logger: Logger = {
    ...silentLogger,
    debug: (event) => void lines.push(event),
    warn: (event, fields) => void lines.push(event, fields),
  };
  const refused = new RefusedClients(new SimulatedClock(agenda), logger);
  const missing = failed("ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE", null, "10.0.0.1");
  const stranger = failed("ECONNRESET", "DEPTH_ZERO_SELF_SIGNED_CERT");
  refused.onFailed(...missing);
  const line = { peer: "10.0.0.1", reason: "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE", moreBefore: 0 };
  assert.deepEqual(lines.splice(0), ["client-certificate-refused", line]);
  for (let i = 0; i < 100; i++) refused.onFailed(...stranger);
  assert.deepEqual(lines, []);
  await agenda.advance(10_000);
  refused.onFailed(...stranger);
  const next = { peer: undefined, reason: "DEPTH_ZERO_SELF_SIGNED_CERT", moreBefore: 100 };
  assert.deepEqual(lines.splice(0), ["client-certificate-refused", next]);
  refused.onFailed(...failed("ECONNRESET", null));
  refused.onFailed(...failed("ERR_SSL_WRONG_VERSION_NUMBER", null));
  assert.deepEqual(lines, ["tls-handshake-failed", "tls-handshake-failed"]);
});
