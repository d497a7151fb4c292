// Signatures as their senders make them: the examples that GitHub and Slack publish, Stripe's header with a sum that
// openssl has made.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, test } from "node:test";

import { utf8 } from "@millrace/base";

import { SIGNATURE_SCHEMES, signatureProblem, type WebhookSignature } from "./webhook-signature.ts";

interface Example {
  readonly signature: WebhookSignature;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly atSeconds: number;
}

const EXAMPLES: Readonly<Record<WebhookSignature["scheme"], Example>> = {
  github: {
    signature: { scheme: "github", secret: "It's a Secret to Everybody", toleranceSeconds: 300 },
    headers: {
      "x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    },
    body: "Hello, World!",
    atSeconds: 0,
  },
  stripe: {
    signature: { scheme: "stripe", secret: "whsec_test_secret", toleranceSeconds: 300 },
    headers: {
      "stripe-signature":
        "t=1492774577,v1=66d86a97ac5620300b0335877ac036f6d74f84ea2e1df371bd45689d0090f9b7," +
        "v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39",
    },
    body: '{"id": "evt_test_webhook","object": "event"}',
    atSeconds: 1_492_774_577,
  },
  slack: {
    signature: { scheme: "slack", secret: "8f742231b10e8888abcd99yyyzzz85a5", toleranceSeconds: 300 },
    headers: {
      "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
      "x-slack-request-timestamp": "1531420618",
    },
    body:
      "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&" +
      "channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&" +
      "response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F" +
      "96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
    atSeconds: 1_531_420_618,
  },
};

function problem(example: Example, changed: Partial<Example> = {}): string | undefined {
  const { signature, headers, body, atSeconds } = { ...example, ...changed };
  const request = { header: (name: string) => headers[name], body: utf8(body) };
  return signatureProblem(signature, request, atSeconds * 1000);
}

const NOT_SIGNED = "The signature is not that of the body.";

for (const scheme of SIGNATURE_SCHEMES) {
  describe(`signatures of ${scheme}`, () => {
    const example = EXAMPLES[scheme];

    test("the example -> signed; hex in capitals -> signed", () => {
      assert.equal(problem(example), undefined);
      const headers = Object.fromEntries(
        Object.entries(example.headers).map(([name, value]) => [
          name,
          value.replace(/[0-9a-f]{64}/g, (sum) => sum.toUpperCase()),
        ]),
      );
      assert.equal(problem(example, { headers }), undefined);
    });

    test("another body, another secret, any digit of the sum -> not signed", () => {
      assert.equal(problem(example, { body: `${example.body} ` }), NOT_SIGNED);
      const signature = { ...example.signature, secret: `${example.signature.secret}x` };
      assert.equal(problem(example, { signature }), NOT_SIGNED);
      for (let place = 0; place < 64; place++) {
        const headers = Object.fromEntries(
          Object.entries(example.headers).map(([name, value]) => [
            name,
            value.replace(/[0-9a-f]{64}/, (sum) => {
              const digit = sum[place] === "0" ? "1" : "0";
              return sum.slice(0, place) + digit + sum.slice(place + 1);
            }),
          ]),
        );
        assert.equal(problem(example, { headers }), NOT_SIGNED);
      }
    });

    test("sums that are too short, too long or no hex -> not signed", () => {
      for (const sum of ["", "00", "0".repeat(63), "0".repeat(65), "g".repeat(64), "0".repeat(128)]) {
        const headers = Object.fromEntries(
          Object.entries(example.headers).map(([name, value]) => [name, value.replace(/[0-9a-f]{64}/, sum)]),
        );
        assert.equal(problem(example, { headers }), NOT_SIGNED);
      }
    });

    test("each header missing -> said so", () => {
      for (const name of Object.keys(example.headers)) {
        const { [name]: _missing, ...headers } = example.headers;
        assert.match(problem(example, { headers }) ?? "", /^The header "[A-Za-z0-9-]+" is missing\.$/);
      }
    });

    test("headers of another form -> said so", () => {
      for (const name of Object.keys(example.headers)) {
        const headers = { ...example.headers, [name]: "nonsense" };
        assert.match(
          problem(example, { headers }) ?? "",
          /^The header "[A-Za-z0-9-]+" is not what it should be/,
        );
      }
    });

    test("at the tolerance -> signed; beyond it, before or after -> refused, but GitHub signs no time", () => {
      const at = (awaySeconds: number): string | undefined =>
        problem(example, { atSeconds: example.atSeconds + awaySeconds });
      for (const away of [-300, 300]) assert.equal(at(away), undefined);
      for (const away of [-301, 301, 1e6]) {
        const said = `The signature is ${Math.abs(away)} s away from the time of its receipt (expected <= 300 s).`;
        assert.equal(at(away), scheme === "github" ? undefined : said);
      }
    });
  });
}

test("stripe: a second sum -> signed; another time than the signed one -> not; a crowd -> refused", () => {
  const example = EXAMPLES.stripe;
  const header = example.headers["stripe-signature"]!;
  const other = createHmac("sha256", "old").update("x").digest("hex");
  const ofHeader = (value: string): string | undefined =>
    problem(example, { headers: { "stripe-signature": value } });
  assert.equal(ofHeader(header.replace(",v1=", `,v1=${other},v1=`)), undefined);
  assert.equal(ofHeader(header.replace("t=1492774577", "t=1492774578")), NOT_SIGNED);
  assert.match(ofHeader(header + `,v1=${other}`.repeat(8)) ?? "", /is not what it should be/);
});
