import assert from "node:assert/strict";
import { test } from "node:test";
import { newToken, TokenBook, type TokenRole } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { AuthKeys } from "@millrace/client";
import { ANY_LABELS, CAPABILITY, parseLabelSelector } from "@millrace/protocol";
import { Authoriser, type Need } from "./authoriser.ts";

const TOKEN = "0123456789abcdef";
const KEYS = AuthKeys.parse("c2VjcmV0");
const NEEDS: readonly Need[] = ["LIST", "APPLY", "READ", "APPEND", "REPLICATE", "METRICS"];
const PERMISSIVE = AuthKeys.parse("c2VjcmV0 AA==");

interface Case {
  readonly token: string;
  readonly keys: AuthKeys | undefined;
  /** Needs that each sender is granted. */
  readonly nobody: readonly Need[];
  readonly bearer: readonly Need[];
  readonly reader: readonly Need[];
}

const CASES: Readonly<Record<string, Case>> = {
  "no credential": { token: "", keys: undefined, nobody: NEEDS, bearer: NEEDS, reader: NEEDS },
  "a token": { token: TOKEN, keys: undefined, nobody: [], bearer: NEEDS, reader: [] },
  keys: { token: "", keys: KEYS, nobody: ["METRICS"], bearer: ["METRICS"], reader: ["READ", "METRICS"] },
  "a token and keys": { token: TOKEN, keys: KEYS, nobody: [], bearer: NEEDS, reader: ["READ", "METRICS"] },
  "keys that allow nothing": {
    token: "",
    keys: PERMISSIVE,
    nobody: NEEDS,
    bearer: ["METRICS"],
    reader: ["READ", "METRICS"],
  },
};

for (const [name, { token, keys, nobody, bearer, reader }] of Object.entries(CASES)) {
  test(`authoriser: ${name} configured -> each sender gets what is his`, () => {
    const clock = new SimulatedClock(new Agenda());
    const authoriser = new Authoriser({ tokens: new TokenBook(token), keys }, clock);
    const signed = KEYS.sign({ capabilities: CAPABILITY.READ, selector: ANY_LABELS }, 60_000, clock.wallMs());
    const granted = (authorization: string | undefined): Need[] =>
      NEEDS.filter((need) => {
        try {
          authoriser.authorise(authorization, need);
          return true;
        } catch (error) {
          assert.equal((error as { code?: string }).code, "UNAUTHENTICATED");
          return false;
        }
      });
    assert.deepEqual(granted(undefined), nobody);
    assert.deepEqual(granted(`Bearer ${TOKEN}`), bearer);
    assert.deepEqual(granted(signed), reader);
    assert.deepEqual(
      granted("Bearer x.y.z"),
      token === "" && keys === undefined ? NEEDS : nobody.length > 0 ? ["METRICS"] : [],
    );
  });
}

test("authoriser: tokens of the project -> each does what its role allows, beside keys and the platform's", () => {
  const random = seededRandom("authoriser");
  const make = (role: TokenRole) => ({ ...newToken(random), role, description: "" });
  const [admin, reader] = [make("admin"), make("readOnly")];
  for (const [token, keys] of [
    ["", undefined],
    [TOKEN, undefined],
    ["", KEYS],
  ] as const) {
    const tokens = new TokenBook(token);
    tokens.replace([admin, reader]);
    const authoriser = new Authoriser({ tokens, keys }, new SimulatedClock(new Agenda()));
    const outcomes = (authorization: string | undefined): string[] =>
      NEEDS.map((need) => {
        try {
          authoriser.authorise(authorization, need);
          return "ok";
        } catch (error) {
          return String((error as { code?: string }).code);
        }
      });
    assert.deepEqual(outcomes(`Bearer ${admin.text}`), Array(6).fill("ok"));
    assert.deepEqual(outcomes(`Bearer ${reader.text}`), [
      "ok",
      "FORBIDDEN",
      "ok",
      "FORBIDDEN",
      "FORBIDDEN",
      "ok",
    ]);
    assert.deepEqual(outcomes(undefined), Array(6).fill("UNAUTHENTICATED"));
    assert.deepEqual(outcomes(`Bearer ${reader.hash}`), Array(6).fill("UNAUTHENTICATED"));
  }
});

test("authoriser: the same token -> the same principal, until it has expired", () => {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const authoriser = new Authoriser({ tokens: new TokenBook(""), keys: KEYS }, clock);
  const selector = parseLabelSelector("name=a/b");
  const expiresAtMs = Math.floor(clock.wallMs() / 1000) * 1000 + 60_000;
  const header = KEYS.sign({ capabilities: CAPABILITY.READ, selector }, 60_000, clock.wallMs());
  const principal = authoriser.authorise(header, "READ");
  assert.deepEqual(principal, { visible: selector, expiresAtMs });
  assert.equal(authoriser.authorise(header, "READ"), principal);
  agenda.stall(65_000);
  assert.throws(() => authoriser.authorise(header, "READ"), {
    message: "verifying Authorization: token has invalid claims: token is expired",
  });
});

test("authoriser: known tokens -> bounded, and each still right", () => {
  const clock = new SimulatedClock(new Agenda());
  const authoriser = new Authoriser({ tokens: new TokenBook(""), keys: KEYS }, clock);
  const headers = Array.from({ length: 3000 }, (_, i) =>
    KEYS.sign(
      { capabilities: CAPABILITY.READ, selector: parseLabelSelector(`name=j/${i}`) },
      60_000,
      clock.wallMs(),
    ),
  );
  for (const round of [0, 1]) {
    for (const [i, header] of headers.entries()) {
      assert.deepEqual(
        authoriser.authorise(header, "READ").visible,
        parseLabelSelector(`name=j/${i}`),
        `${round}`,
      );
    }
  }
});
