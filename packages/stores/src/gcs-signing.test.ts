import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";
import { test } from "node:test";
import { signedUrl, unsignedGet } from "./gcs-signing.ts";

/** Made once by @google-cloud/storage 7.22.0 with a key that nobody has any more. */
const VENDORS_URL =
  "https://storage.googleapis.com/some-bucket/pre/j%20%C3%B6/date%3D2026-01-01/a%252Fb%2Bc%3Bd%28e%29%21%2A%27~" +
  "?X-Goog-Algorithm=GOOG4-RSA-SHA256" +
  "&X-Goog-Credential=signer%40p.iam.gserviceaccount.com%2F20261121%2Fauto%2Fstorage%2Fgoog4_request" +
  "&X-Goog-Date=20261121T135143Z&X-Goog-Expires=60&X-Goog-SignedHeaders=host&X-Goog-Signature=" +
  "27b336e4869b09937ffd741f59a16b0c133f6af0db6cf6feff55b16129bb6b17f195dd1c13e5eb59f742d2fdd82068bb40cb44ec7cb65cb8" +
  "58cc479ca68d1ca675259aa22fa3ece40ae24ffc0ad6dcf209b112f86f7bebf5c17386adf108297993b8b73dac0762212650a95be6baff7e" +
  "207683720d5e326f16762bbf6def32cdfd5e7bea4f1c9bb866f01b31ba42dbbfbe721e5c02f1f6b2346d04c53cc0236560b68712c3a2b295" +
  "546e36be5f5a20f251f983541865808a8d7209a42f504f36643a00ad2c60c197b6016ede52e510654a3fe636dc837c05fce2c493555db379" +
  "99d8e8c49bb4fbdc688f36182412f583d26d83ae0d37e7839e1740fcec84cb68";
const VENDORS_PUBLIC_KEY =
  "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA9U9zQovWgRlDD5MQbf7MVuSLp/dNnf+h2uVU7n2x7t2ssFyEl6URYGUlWDapvIEneDqN" +
  "GmxHri/q4bxZ0F60JhLVbFNQizUvKgIFhmmWMAx4FByCAecvJuDd2nYUTEZ6dEPiUa6z9KhOnBCJu2JkpRpRAn+EPNGUP9mIWhkpBKlLrhbOBDhD" +
  "R66/4KzzuWjHZp2G4Br/csdQ2fKf6Ih/u1T4BmqesmjRWkmuN/mApDc8w6G/wGy6frt7rMUFIAXt2lQ5/kV33q7uaXmeaRtUVeyeCJt66w8jNmsY" +
  "eoybN9lG5k1qpDTCkH8CYzCcQXMKBO/22yo3DaR3tACtCKhd2wIDAQAB";
const REQUEST = {
  endpoint: "https://storage.googleapis.com",
  bucket: "some-bucket",
  key: "pre/j ö/date=2026-01-01/a%2Fb+c;d(e)!*'~",
  signer: "signer@p.iam.gserviceaccount.com",
  nowMs: 1_795_269_103_973,
  ttlMs: 60_000,
};

test("unsignedGet: the URL and what is signed are the vendor's own", () => {
  const unsigned = unsignedGet(REQUEST);
  const [begin, signature] = VENDORS_URL.split("&X-Goog-Signature=");
  assert.equal(unsigned.url, begin);
  const bytes = Buffer.from(signature!, "hex");
  const key = createPublicKey({
    key: Buffer.from(VENDORS_PUBLIC_KEY, "base64"),
    format: "der",
    type: "spki",
  });
  assert.ok(verify("RSA-SHA256", Buffer.from(unsigned.stringToSign), key, bytes));
  assert.equal(signedUrl(unsigned, bytes.toString("base64")), VENDORS_URL);
});

test("unsignedGet: a life beyond a week, or of less than a second -> the nearest that there is", () => {
  const secondsOf = (ttlMs: number): string | null =>
    new URL(unsignedGet({ ...REQUEST, ttlMs }).url).searchParams.get("X-Goog-Expires");
  assert.equal(secondsOf(1e12), "604800");
  assert.equal(secondsOf(1), "1");
});
