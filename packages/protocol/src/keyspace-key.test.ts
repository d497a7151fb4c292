import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hex, InvariantError, utf8 } from "@millrace/base";
import { encodeJournalSpec } from "./journal-spec.ts";
import * as keys from "./keyspace-key.ts";
import { compareProcessIds, encodeBrokerSpec } from "./process.ts";
import { refusal } from "./refusal-testkit.ts";
import { EMPTY_ROUTE, encodeRoute } from "./route.ts";
import { brokerSpec, journalSpec, processId, route } from "./testkit.ts";
import { compareText } from "./text-order.ts";

const ROOT = "/gazette/cluster";
const member = processId({ zone: "zone-a", suffix: "member" });

test("keys: where entities lie", () => {
  assert.equal(keys.itemKey(ROOT, "a/journal"), "/gazette/cluster/items/a/journal");
  assert.equal(keys.memberKey(ROOT, member), "/gazette/cluster/members/zone-a#member");
  const assignment = { item: "a/journal", member, slot: 2 };
  assert.equal(keys.assignmentKey(ROOT, assignment), "/gazette/cluster/assign/a/journal#zone-a#member#2");
  assert.equal(keys.assignmentsPrefix(ROOT, "a/journal"), "/gazette/cluster/assign/a/journal#");
  assert.equal(keys.itemKey(ROOT, "é/j"), `${ROOT}/items/\u00c3\u00a9/j`, "one char for each byte of UTF-8");
  assert.throws(() => keys.itemKey(ROOT, "bad#name"), InvariantError);
});

test("keys: parsing gives the entity back, for any valid name", () => {
  const text = fc.string({
    unit: fc.constantFrom("a", "/", "-", "é", "三", "𝒳", "\ufb00"),
    minLength: 1,
    maxLength: 8,
  });
  const members = fc.record({ zone: text, suffix: text }, { noNullPrototype: true });
  fc.assert(
    fc.property(text, members, fc.nat(9), (item, id, slot) => {
      assert.deepEqual(keys.parseEntityKey(ROOT, keys.itemKey(ROOT, item)), { kind: "item", item });
      assert.deepEqual(keys.parseEntityKey(ROOT, keys.memberKey(ROOT, id)), { kind: "member", member: id });
      const key = keys.assignmentKey(ROOT, { item, member: id, slot });
      assert.deepEqual(keys.parseEntityKey(ROOT, key), { kind: "assignment", item, member: id, slot });
    }),
  );
});

test("keys: their order is the order of the entities", () => {
  const text = fc.string({
    unit: fc.constantFrom("$", "a", "/", "é", "𝒳", "\ufb00"),
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(text, text, text, text, (zoneA, suffixA, zoneB, suffixB) => {
      const [a, b] = [
        processId({ zone: zoneA, suffix: suffixA }),
        processId({ zone: zoneB, suffix: suffixB }),
      ];
      const [keyA, keyB] = [keys.memberKey(ROOT, a), keys.memberKey(ROOT, b)];
      assert.equal(keyA < keyB, compareProcessIds(a, b) < 0);
      assert.equal(keys.itemKey(ROOT, zoneA) < keys.itemKey(ROOT, zoneB), compareText(zoneA, zoneB) < 0);
    }),
  );
});

test("keys: malformed or foreign -> refused", () => {
  const cases: Readonly<Record<string, string>> = {
    "/items/a#b": "expected (id) in item key",
    "/members/zone": "expected (zone, suffix) in member key",
    "/members/zone#a#b": "expected (zone, suffix) in member key",
    "/assign/item#zone#suffix": "expected (item-id, member-zone, member-suffix, slot) in assignment key",
    "/assign/item#zone#suffix#x": 'strconv.Atoi: parsing "x": invalid syntax',
    "/assign/item#zone#suffix#": 'strconv.Atoi: parsing "": invalid syntax',
    "/other/item": "unexpected key prefix",
    "2/items/a": "unexpected key prefix",
  };
  for (const [key, text] of Object.entries(cases)) {
    assert.equal(
      refusal(() => keys.parseEntityKey(ROOT, ROOT + key)),
      text,
      key,
    );
  }
});

test("values: decoded, validated, and of the entity that the key names", () => {
  const spec = journalSpec();
  assert.deepEqual(keys.decodeItemValue("a/journal", encodeJournalSpec(spec)), spec);
  assert.equal(
    refusal(() => keys.decodeItemValue("b/journal", encodeJournalSpec(spec))),
    "JournalSpec Name doesn't match Item ID (a/journal vs b/journal)",
  );
  const invalid = encodeJournalSpec(journalSpec({ replication: 0 }));
  assert.match(
    refusal(() => keys.decodeItemValue("a/journal", invalid)),
    /^invalid Replication/,
  );
  assert.match(
    refusal(() => keys.decodeItemValue("a/journal", utf8("{"))),
    /^illegal|^truncated|^wrong|^unexpected/,
  );
  const fragment = { ...spec.fragment, pathPostfixTemplate: "{{ what nobody can evaluate }}" };
  const strange = { ...spec, fragment };
  assert.deepEqual(keys.decodeItemValue("a/journal", encodeJournalSpec(strange)), strange, "it is stored");

  const broker = brokerSpec({ id: member });
  assert.deepEqual(keys.decodeMemberValue(member, encodeBrokerSpec(broker)), broker);
  assert.equal(
    refusal(() => keys.decodeMemberValue({ ...member, zone: "zone-b" }, encodeBrokerSpec(broker))),
    "BrokerSpec Zone doesn't match Member Zone (zone-a vs zone-b)",
  );
  assert.equal(
    refusal(() => keys.decodeMemberValue({ ...member, suffix: "other" }, encodeBrokerSpec(broker))),
    "BrokerSpec Suffix doesn't match Member Suffix (member vs other)",
  );

  assert.equal(keys.decodeAssignmentValue(new Uint8Array()), EMPTY_ROUTE);
  assert.deepEqual(keys.decodeAssignmentValue(keys.encodeAssignmentValue(route())), route({ endpoints: [] }));
  assert.equal(hex(keys.encodeAssignmentValue(route())), hex(encodeRoute(route({ endpoints: [] }))));
  assert.match(
    refusal(() => keys.decodeAssignmentValue(encodeRoute(route({ primary: 5 })))),
    /^invalid Primary/,
  );
});

test("root: a clean path", () => {
  assert.equal(
    refusal(() => keys.validateKeyspaceRoot(ROOT)),
    "",
  );
  assert.equal(
    refusal(() => keys.validateKeyspaceRoot("/gazette/cluster/")),
    "expected prefix to be a cleaned path (/gazette/cluster != /gazette/cluster/)",
  );
});
