// Sources whose secret is sealed with a key that is not here for a while: over real sockets.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { never, silentLogger, systemClock } from "@millrace/base";
import { callUnary, GrpcChannel } from "@millrace/grpc";
import { CASES, protobufRequest } from "@millrace/otlp/testkit";
import type { SourceType } from "./definitions.ts";
import { DoorHarness, SOURCE } from "./http-source-testkit.ts";
import { TestKeys } from "./secret-keys-testkit.ts";
import { sealedBy } from "./system-aes-box.ts";

const BY = { type: "system" } as const;
const EXPORT_LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

let door: DoorHarness;
afterEach(() => door.close());

/** A door whose source has got a new secret, sealed with a key that is not here. */
async function closed(type: SourceType): Promise<{ keys: TestKeys; path: string; secret: string }> {
  const keys = new TestKeys();
  const sinks = [{ columns: [{ type: "body", name: "b" }] }] as const;
  door = await new DoorHarness().open({ type, sinks, secrets: sealedBy(keys) });
  keys.sealWith(TestKeys.key(2));
  const changed = await door.repository.changeSource(SOURCE, { kind: "rotateSecret" }, BY, never);
  assert.ok(changed.kind === "changed");
  await door.mirror.waitForRevision(changed.revision, never);
  const { secret } = changed.entity;
  return { keys, path: door.path.replace(door.secret, secret), secret };
}

test("HTTP source: the key of its secret is closed -> 503 for either secret; open -> the new one alone", async () => {
  const { keys, path } = await closed("http");
  for (const either of [door.path, path]) {
    const answer = await door.post("{}", {}, either);
    assert.deepEqual([answer.status, answer.headers["retry-after"]], [503, "5"]);
    assert.match(answer.body, /"stream\.in\.pipelineNotReady"/);
  }
  assert.equal((await door.post("{}", {}, "/stream/1/other/s")).status, 404, "of others nothing is said");
  keys.open(TestKeys.key(2));
  assert.equal((await door.post('{"origin":"a"}', {}, path)).status, 200);
  assert.equal((await door.post('{"origin":"a"}')).status, 404);
});

test("OTLP: the key of its secret is closed -> to be sent again over either transport; open -> taken", async () => {
  const { keys, path, secret } = await closed("otlp");
  const { name, request } = CASES.find(({ signal, records }) => signal === "logs" && records.length > 0)!;
  const channel = new GrpcChannel({
    address: `http://127.0.0.1:${door.port}`,
    clock: systemClock,
    logger: silentLogger,
  });
  try {
    const metadata = new Map([["authorization", `Bearer ${secret}`]]);
    const overGrpc = (): Promise<Uint8Array> =>
      callUnary(channel, EXPORT_LOGS, protobufRequest(name), { metadata }, never);
    const overHttp = async (of: string): Promise<number> =>
      (await door.post(JSON.stringify(request), {}, `${of}/v1/logs`)).status;
    assert.deepEqual([await overHttp(path), await overHttp(door.path)], [503, 503]);
    await assert.rejects(overGrpc(), { code: "UNAVAILABLE" });
    keys.open(TestKeys.key(2));
    assert.deepEqual([await overHttp(path), await overHttp(door.path)], [200, 404]);
    assert.equal((await overGrpc()).length, 0);
  } finally {
    await channel.close(AbortSignal.abort());
  }
});
