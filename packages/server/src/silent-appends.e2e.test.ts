// Appends over gRPC that have begun and say nothing, at a real broker: whole ones do not wait for them, and they end
// with Gazette's text.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger, systemClock, utf8 } from "@millrace/base";
import { appendOnce, applyJournals, GrpcTransport } from "@millrace/client";
import { GrpcChannel, type CallEnd } from "@millrace/grpc";
import { JOURNAL_SERVICE, newAppendRequest, upsertChange } from "@millrace/protocol";
import { specOf } from "./test-cluster-load.ts";
import { scratch, TestPlatform } from "./test-platform.ts";

const { append } = JOURNAL_SERVICE;
const J = "a/journal";
const SILENT = 200;
/** Far below the second that each of them would cost, were they waited for one after the other. */
const PATIENCE_MS = 60_000;

test(`${SILENT} appends say nothing -> whole ones are answered meanwhile, and each of those is cut`, async () => {
  const broker = TestPlatform.launch(scratch(), [], ["serve", "broker"]);
  await broker.ready();
  const address = broker.endpoints.broker;
  const transport = new GrpcTransport({ address, clock: systemClock, logger: silentLogger });
  const channel = new GrpcChannel({ address, clock: systemClock, logger: silentLogger });
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const honest = (): Promise<unknown> =>
    appendOnce(transport, J, { kind: "bytes", bytes: [utf8("x")] }, {}, signal);
  await applyJournals(
    transport,
    [upsertChange(specOf(J, 0, { prefix: "a", journals: 1, replication: 1 }), 0)],
    never,
  );
  await honest();
  const ends: CallEnd[] = [];
  for (let n = 0; n < SILENT; n++) {
    const listener = { onMessage: () => undefined, onEnd: (end: CallEnd) => void ends.push(end) };
    const call = channel.start(append.path, { waitForReady: true }, listener);
    call.send(append.encodeRequest(newAppendRequest({ journal: J })));
  }
  let answered = 0;
  // The last of them might have the journal for itself, and time without end.
  for (; answered < 100 || ends.length < SILENT; answered++) await honest();
  const said = new Set(ends.map(({ code, message }) => `${code} ${message}`));
  assert.deepEqual(
    [...said],
    ["UNKNOWN append stream: client stream didn't sustain the minimum append data rate"],
  );
  await Promise.all([channel.close(signal), transport.close()]);
  await broker.stop();
});
