import assert from "node:assert/strict";
import { test } from "node:test";
import {
  validateFetchRequest,
  validateHoldRequest,
  validateHoldResponse,
  type HoldRequestMessage,
  type HoldResponseMessage,
} from "./holder-message.ts";
import { EMPTY_LABELS, label } from "./label-set.ts";
import { refusal } from "./refusal-testkit.ts";
import { header, processId } from "./testkit.ts";

const REQUEST: HoldRequestMessage = {
  journal: "a/journal",
  createRevision: 3,
  header: header(),
  epoch: 5,
  stream: 1,
  wants: "BRING",
  begin: 10,
  end: 20,
  source: { id: processId(), endpoint: "http://broker:8080" },
  registers: EMPTY_LABELS,
};
const RESPONSE: HoldResponseMessage = {
  outcome: "TAKEN",
  base: 0,
  confirmed: 5,
  end: 9,
  registers: EMPTY_LABELS,
  sure: [
    { begin: 0, end: 5 },
    { begin: 5, end: 7 },
  ],
  whole: 0,
  isUnsure: false,
  found: 0,
};

test("holders' messages: what is out of bounds is refused with its value", () => {
  validateHoldRequest(REQUEST);
  const requests: [Partial<HoldRequestMessage>, string][] = [
    [{ journal: "/bad" }, "Journal: cannot begin with '/' (\"/bad\")"],
    [{ createRevision: 0 }, "invalid CreateRevision (0; expected > 0)"],
    [{ epoch: 0 }, "invalid Epoch (0; expected > 0)"],
    [{ stream: -1 }, "invalid Stream (-1; expected > 0)"],
    [{ begin: 21 }, "invalid range ([21, 20); expected 0 <= begin <= end)"],
    [{ begin: -1 }, "invalid range ([-1, 20); expected 0 <= begin <= end)"],
    [{ source: { id: processId(), endpoint: "nowhere" } }, "Source: not absolute: nowhere"],
  ];
  for (const [fields, text] of requests) {
    assert.ok(
      refusal(() => validateHoldRequest({ ...REQUEST, ...fields })).includes(text.slice(0, 24)),
      text,
    );
  }
  const { journal, createRevision } = REQUEST;
  validateFetchRequest({ journal, createRevision, begin: 3, end: 3 });
  assert.match(
    refusal(() => validateFetchRequest({ journal, createRevision, begin: 4, end: 3 })),
    /\[4, 3\)/,
  );
  validateHoldResponse(RESPONSE);
  const answers: [Partial<HoldResponseMessage>, RegExp][] = [
    [{ base: -1 }, /invalid Base \(-1/],
    [{ confirmed: -2 }, /invalid Confirmed \(-2/],
    [{ end: -3 }, /invalid End \(-3/],
    [{ registers: { labels: [label("x", "")] } }, /Registers/],
    [{ sure: [RESPONSE.sure[1]!, RESPONSE.sure[0]!] }, /ranges overlap at 0/],
  ];
  for (const [fields, text] of answers) {
    assert.match(
      refusal(() => validateHoldResponse({ ...RESPONSE, ...fields })),
      text,
    );
  }
});
