import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { ANY_LABELS, CAPABILITY, labelSet, parseLabelSelector } from "@millrace/protocol";
import { AuthKeys, requireCapability } from "./auth-keys.ts";

const SECRET = "c2VjcmV0";
const OTHER = "b3RoZXI=";
const NOW_MS = 1_700_000_000_000;
const NOW = NOW_MS / 1000;
const NAMED = parseLabelSelector("hi=there");

/** A token made by hand. */
function token(header: unknown, claims: unknown, key: string, digest = "sha256"): string {
  const part = (json: unknown): string => Buffer.from(JSON.stringify(json)).toString("base64url");
  const signed = `${part(header)}.${part(claims)}`;
  const signature = createHmac(digest, Buffer.from(key, "base64")).update(signed).digest("base64url");
  return `Bearer ${signed}.${signature}`;
}

const HS256 = { alg: "HS256", typ: "JWT" };

test("auth keys: what one signs another verifies, with its keys in another order", () => {
  const signer = AuthKeys.parse(`${SECRET},${OTHER}`);
  const verifier = AuthKeys.parse(` ${OTHER}\n${SECRET} `);
  const capabilities = CAPABILITY.APPEND | CAPABILITY.LIST;
  const header = signer.sign({ capabilities, selector: NAMED }, 3_600_000, NOW_MS + 999);
  const verified = verifier.verify(header, NOW_MS);
  assert.deepEqual(verified, { capabilities, selector: NAMED, expiresAtMs: NOW_MS + 3_600_000 });
  requireCapability(verified, CAPABILITY.APPEND);
  assert.throws(() => requireCapability(verified, CAPABILITY.REPLICATE), {
    code: "UNAUTHENTICATED",
    message: "authorization is missing required REPLICATE capability",
  });
});

test("auth keys: signed token -> header, claims and signature byte for byte", () => {
  const claims = {
    capabilities: CAPABILITY.READ,
    selector: { ...ANY_LABELS, include: labelSet(["name", "a/b"]) },
  };
  const [head, body, signature] = AuthKeys.parse(SECRET).sign(claims, 60_000, NOW_MS).slice(7).split(".");
  assert.equal(head, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9");
  const plain = Buffer.from(body!, "base64url").toString();
  const include = '"include":{"labels":[{"name":"name","value":"a/b"}]},"exclude":{"labels":null}';
  assert.equal(plain, `{"cap":8,"sel":{${include}},"exp":${NOW + 60},"iat":${NOW}}`);
  assert.equal(createHmac("sha256", "secret").update(`${head}.${body}`).digest("base64url"), signature);
});

test("auth keys: token of the other digest, absent and null selectors -> verified", () => {
  const keys = AuthKeys.parse(SECRET);
  const cases: [unknown, string][] = [
    [undefined, ""],
    [null, ""],
    [{ include: null, exclude: { labels: null } }, ""],
    [{ exclude: { labels: [{ name: "a1", value: "x/", prefix: true }] } }, "a1:prefix!=x/"],
  ];
  for (const [sel, selector] of cases) {
    const header = token({ alg: "HS384" }, { cap: 2, sel, exp: NOW + 1.9, aud: "x" }, SECRET, "sha384");
    const verified = keys.verify(header, NOW_MS);
    assert.deepEqual(verified.selector, parseLabelSelector(selector));
    assert.equal(verified.expiresAtMs, NOW_MS + 1000);
  }
});

// Signed by Gazette's own code with the secret `secret`: the same claims with and without a selector, in both digests.
const GO_CLAIMS =
  "eyJjYXAiOjE4LCJzZWwiOnsiaW5jbHVkZSI6eyJsYWJlbHMiOm51bGx9LCJleGNsdWRlIjp7ImxhYmVscyI6bnVsbH19LCJleHAiOjE3MDAwMDM2" +
  "MDAsImlhdCI6MTcwMDAwMDAwMH0";
const GO_SELECTED =
  "eyJjYXAiOjE4LCJzZWwiOnsiaW5jbHVkZSI6eyJsYWJlbHMiOlt7Im5hbWUiOiJhcHAiLCJ2YWx1ZSI6IngifSx7Im5hbWUiOiJhcHAiLCJ2YWx1" +
  "ZSI6InkifSx7Im5hbWUiOiJuYW1lIiwidmFsdWUiOiJhL2pvdXJuYWwifV19LCJleGNsdWRlIjp7ImxhYmVscyI6W3sibmFtZSI6InJlZ2lvbiIs" +
  "InZhbHVlIjoiZXUvIiwicHJlZml4Ijp0cnVlfV19fSwiZXhwIjoxNzAwMDAzNjAwLCJpYXQiOjE3MDAwMDAwMDB9";
const GO_HS256 = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
const GO_HS384 = "eyJhbGciOiJIUzM4NCIsInR5cCI6IkpXVCJ9";
const GO_SELECTOR = "name=a/journal,app in (x,y),region:prefix!=eu/";
for (const [header, claims, signature, selector] of [
  [GO_HS256, GO_CLAIMS, "wgzHf8aX5MImpo3jv-oORZcQBT2gzyxQH97B1Lc9qRM", ""],
  [GO_HS256, GO_SELECTED, "JpH75SeT6GghCpmTirIhZEJ0QTXA5fu6jTpHHXqSPMc", GO_SELECTOR],
  [GO_HS384, GO_CLAIMS, "Rg3WEQSFc5cI6LSfpWFDjBuGgcEC_ghFzWpoJOnep7fPOKTHbqleYckL4PdjKoAC", ""],
  [GO_HS384, GO_SELECTED, "LH7nWeXVobZf_779OlbVdZgKE9HxrhzD5ytpJdohUid-lZHvOIS0q7vrovPCzgLC", GO_SELECTOR],
] as const) {
  test(`auth keys: token of Gazette's, selector ${JSON.stringify(selector)} -> verified`, () => {
    const keys = AuthKeys.parse(SECRET);
    const verified = keys.verify(`Bearer ${header}.${claims}.${signature}`, NOW_MS);
    assert.deepEqual(verified.selector, parseLabelSelector(selector));
    assert.equal(verified.capabilities, CAPABILITY.APPEND | CAPABILITY.LIST);
    assert.equal(verified.expiresAtMs, NOW_MS + 3_600_000);
    // Signed here the bytes are the same.
    if (header === GO_HS256) {
      assert.equal(keys.sign(verified, 3_600_000, NOW_MS), `Bearer ${header}.${claims}.${signature}`);
    }
  });
}

const FINE = { cap: 2, exp: NOW + 60, iat: NOW };
const MALFORMED = "verifying Authorization: token is malformed: ";
const INVALID = "verifying Authorization: token has invalid claims: ";
for (const [what, header, message] of [
  ["nothing", undefined, "missing or empty Authorization token"],
  ["another scheme", "Basic eHg=", "invalid or unsupported Authorization header (expected 'Bearer')"],
  ["two segments", "Bearer a.b", `${MALFORMED}token contains an invalid number of segments`],
  ["four segments", "Bearer a.b.c.d", `${MALFORMED}token contains an invalid number of segments`],
  [
    "a vast one",
    `Bearer ${"a".repeat(70_000)}.b.c`,
    `${MALFORMED}token contains an invalid number of segments`,
  ],
  [
    "no base64",
    "Bearer e!.e30.e30",
    `${MALFORMED}could not base64 decode header: illegal base64 data at input byte 1`,
  ],
  ["no JSON", "Bearer e30a.e30.e30", `${MALFORMED}could not JSON decode header: not JSON`],
  [
    "a header that is no object",
    token([], FINE, SECRET),
    `${MALFORMED}could not JSON decode header: expected a JSON object`,
  ],
  [
    "another key",
    token(HS256, FINE, OTHER),
    "verifying Authorization: token signature is invalid: signature is invalid",
  ],
  [
    "the digest of another method",
    token({ alg: "HS384" }, FINE, SECRET),
    "verifying Authorization: token signature is invalid: signature is invalid",
  ],
  [
    "no signature",
    token({ alg: "none" }, FINE, SECRET).replace(/[^.]*$/, ""),
    "verifying Authorization: token signature is invalid: signing method none is invalid",
  ],
  [
    "a stronger method",
    token({ alg: "HS512" }, FINE, SECRET, "sha512"),
    "verifying Authorization: token signature is invalid: signing method HS512 is invalid",
  ],
  [
    "an unknown method",
    token({ alg: "toString" }, FINE, SECRET),
    "verifying Authorization: token is unverifiable: signing method (alg) is unavailable",
  ],
  [
    "no method",
    token({}, FINE, SECRET),
    "verifying Authorization: token is unverifiable: signing method (alg) is unspecified",
  ],
  [
    "no end",
    token(HS256, { cap: 2 }, SECRET),
    `${INVALID}token is missing required claim: exp claim is required`,
  ],
  ["its end past", token(HS256, { exp: NOW - 5 }, SECRET), `${INVALID}token is expired`],
  [
    "its end past, its begin to come",
    token(HS256, { exp: NOW - 6, nbf: NOW + 6, iat: NOW + 6 }, SECRET),
    `${INVALID}token is expired, token is not valid yet, token used before issued`,
  ],
  [
    "a capability that is none",
    token(HS256, { ...FINE, cap: -1 }, SECRET),
    `${MALFORMED}could not JSON decode claim: cap: expected an integer in [0, 2^32)`,
  ],
  [
    "labels that are none",
    token(HS256, { ...FINE, sel: { include: { labels: [1] } } }, SECRET),
    `${MALFORMED}could not JSON decode claim: sel.include.labels[0]: expected a JSON object`,
  ],
] as const) {
  test(`auth keys: token with ${what} -> refused`, () => {
    const keys = AuthKeys.parse(`YXNkZg== ${SECRET}`);
    assert.throws(() => keys.verify(header, NOW_MS), { code: "UNAUTHENTICATED", message });
  });
}

test("auth keys: a clock off by less than five seconds -> verified", () => {
  const keys = AuthKeys.parse(SECRET);
  keys.verify(token(HS256, { exp: NOW - 4, nbf: NOW + 5, iat: NOW + 5 }, SECRET), NOW_MS);
});

test("auth keys: any single character of a token changed -> refused", () => {
  const keys = AuthKeys.parse(SECRET);
  const good = keys.sign({ capabilities: 2, selector: NAMED }, 60_000, NOW_MS);
  // The last character of a signature of 32 bytes has two bits that say nothing.
  for (let at = "Bearer ".length; at < good.length - 1; at++) {
    const other = good[at] === "A" ? "B" : "A";
    const bad = good.slice(0, at) + other + good.slice(at + 1);
    assert.throws(() => keys.verify(bad, NOW_MS), { code: "UNAUTHENTICATED" }, `at ${at}`);
  }
});

test("auth keys: AA== among them -> who sends nothing may do everything, who sends something must be right", () => {
  const keys = AuthKeys.parse(`${SECRET} AA==`);
  const { expiresAtMs, ...claims } = keys.verify(undefined, NOW_MS);
  assert.deepEqual(claims, { capabilities: 0xffffffff, selector: ANY_LABELS });
  assert.equal(expiresAtMs, NOW_MS + 3_600_000);
  assert.throws(() => keys.verify(token(HS256, FINE, OTHER), NOW_MS), { code: "UNAUTHENTICATED" });
});

test("auth keys: capability beyond those with names -> both in binary", () => {
  assert.throws(() => requireCapability({ capabilities: 3, selector: ANY_LABELS }, 1 << 16), {
    message: "authorization is missing required capability (have 11, but require 10000000000000000)",
  });
});
