// The adapter over the SDK against a server that checks signatures.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { never } from "@millrace/base";
import type { KeyService } from "@millrace/ingest";
import { openAwsKms } from "./aws-kms.ts";
import { KMS_ENVIRONMENT, KMS_REGION, refused, TestKms } from "./test-kms-server.ts";

const before = Object.keys(KMS_ENVIRONMENT).map((name) => [name, process.env[name]] as const);
Object.assign(process.env, KMS_ENVIRONMENT);
after(() => {
  for (const [name, value] of before) {
    if (value === undefined) Reflect.deleteProperty(process.env, name);
    else process.env[name] = value;
  }
});

const CONTEXT = { "millrace-prefix": "/a", "millrace-installation": "1" };

async function opened(kms: TestKms, key: string): Promise<KeyService> {
  return openAwsKms({ region: KMS_REGION, endpoint: kms.url, key });
}

async function failureOf(
  service: KeyService,
  work: Promise<unknown>,
): Promise<{ kind: string; reason: string }> {
  return work.then(
    () => assert.fail("no failure"),
    (thrown: unknown) => service.failureOf(thrown),
  );
}

test("a data key by alias -> 32 bytes, wrapped; unwraps by ARN, id and alias, signed, without a warning", async () => {
  const warnings: string[] = [];
  const note = ({ message }: Error): void => void warnings.push(message);
  process.on("warning", note);
  const kms = await TestKms.start();
  const arn = kms.addKey("one", "millrace");
  const service = await opened(kms, "alias/millrace");
  const { plain, wrapped, by } = await service.generate("alias/millrace", CONTEXT, never);
  assert.equal(plain.length, 32);
  assert.equal(by, arn);
  assert.ok(!Buffer.from(wrapped).includes(Buffer.from(plain)));
  for (const key of [arn, "one", "alias/millrace"])
    assert.deepEqual(await service.unwrap(wrapped, key, CONTEXT, never), plain);
  assert.deepEqual(
    kms.asked.map(({ operation, EncryptionContext }) => [operation, EncryptionContext]),
    ["GenerateDataKey", "Decrypt", "Decrypt", "Decrypt"].map((operation) => [operation, CONTEXT]),
  );
  assert.equal(kms.unsigned, 0);
  await turn();
  process.off("warning", note);
  assert.deepEqual(warnings, []);
});

test("another key, another context, other bytes -> told apart", async () => {
  const kms = await TestKms.start();
  const [one, two] = [kms.addKey("one"), kms.addKey("two")];
  const service = await opened(kms, one);
  const { wrapped } = await service.generate(one, CONTEXT, never);
  const changed = Uint8Array.from(wrapped, (byte, i) => (i === wrapped.length - 1 ? byte ^ 1 : byte));
  const elsewhere = { ...CONTEXT, "millrace-prefix": "/b" };
  assert.equal((await failureOf(service, service.unwrap(wrapped, two, CONTEXT, never))).kind, "other-key");
  assert.equal((await failureOf(service, service.unwrap(wrapped, one, elsewhere, never))).kind, "changed");
  assert.equal((await failureOf(service, service.unwrap(changed, one, CONTEXT, never))).kind, "changed");
});

test("refusals and what is no answer -> their kind and words, one request each", async () => {
  const kms = await TestKms.start();
  const arn = kms.addKey("one");
  const service = await opened(kms, arn);
  const cases = [
    [refused("ThrottlingException"), "passing", "400 ThrottlingException the test says ThrottlingException"],
    [
      refused("KMSInternalException", 500),
      "passing",
      "500 KMSInternalException the test says KMSInternalException",
    ],
    [
      refused("AccessDeniedException"),
      "refused",
      "400 AccessDeniedException the test says AccessDeniedException",
    ],
    [refused("DisabledException"), "refused", "400 DisabledException the test says DisabledException"],
  ] as const;
  for (const [refusal, kind, reason] of cases) {
    kms.next.push(refusal);
    const failure = await failureOf(service, service.generate(arn, CONTEXT, never));
    assert.deepEqual([failure.kind, failure.reason], [kind, reason]);
    assert.equal(kms.next.length, 0);
  }
  assert.equal((await failureOf(service, service.generate("none", CONTEXT, never))).kind, "refused");
  kms.stop();
  assert.equal((await failureOf(service, service.generate(arn, CONTEXT, never))).kind, "passing");
});

test("the key's ARN and no region -> the ARN's", async () => {
  const kms = await TestKms.start();
  const arn = kms.addKey("one");
  const service = await openAwsKms({ region: "", endpoint: kms.url, key: arn });
  assert.equal((await service.generate(arn, CONTEXT, never)).by, arn);
});

test("an abort -> ends the request", async () => {
  const kms = await TestKms.start();
  const service = await opened(kms, kms.addKey("one"));
  await assert.rejects(service.generate("one", CONTEXT, AbortSignal.abort()), { name: "AbortError" });
});

test("a wrong secret of the credentials -> refused, and what to give", async () => {
  const kms = await TestKms.start();
  const arn = kms.addKey("one");
  process.env["AWS_SECRET_ACCESS_KEY"] = "another";
  const service = await opened(kms, arn);
  const failure = await failureOf(service, service.generate(arn, CONTEXT, never));
  process.env["AWS_SECRET_ACCESS_KEY"] = KMS_ENVIRONMENT["AWS_SECRET_ACCESS_KEY"];
  assert.equal(failure.kind, "refused");
  assert.match(failure.reason, /InvalidSignatureException/);
  assert.equal(kms.unsigned, 1);
});
