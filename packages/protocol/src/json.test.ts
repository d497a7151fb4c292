import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { utf8, WireError } from "@millrace/base";
import * as arbitrary from "./arbitraries-testkit.ts";
import * as protocol from "./index.ts";
import { refusal } from "./refusal-testkit.ts";
import { fragment, header, journalSpec, route } from "./testkit.ts";

const JSON_HEADER = {
  processId: { zone: "zone", suffix: "broker" },
  route: { members: [{ zone: "zone", suffix: "broker" }], primary: 0, endpoints: ["http://broker:8080"] },
  etcd: { clusterId: "12", memberId: "34", revision: "56", raftTerm: "78" },
};

test("JSON: every field, defaults and absences included", () => {
  const response = protocol.newReadResponse({ header: header(), offset: 5, fragment: fragment() });
  assert.deepEqual(protocol.readResponseToJson(response), {
    status: "OK",
    header: JSON_HEADER,
    offset: "5",
    writeHead: "0",
    fragment: {
      journal: "a/journal",
      begin: "0",
      end: "100",
      sum: { part1: "72623859790382856", part2: "651345242494996240", part3: 286397204 },
      compressionCodec: "NONE",
      backingStore: "",
      modTime: "0",
      pathPostfix: "",
    },
    fragmentUrl: "",
    content: null,
  });
  assert.deepEqual(protocol.readResponseToJson(protocol.newReadResponse({ content: utf8("\u00ff?>") })), {
    status: "OK",
    header: null,
    offset: "0",
    writeHead: "0",
    fragment: null,
    fragmentUrl: "",
    content: "w78/Pg==",
  });
});

test("JSON: specs in a listing", () => {
  const spec = journalSpec({
    labels: protocol.labelSet(["aa", "1"]),
    suspend: { level: "PARTIAL", offset: 9 },
  });
  const journal = { spec, modRevision: 7, route: route(), createRevision: 6 };
  assert.deepEqual(
    protocol.listResponseToJson(protocol.newListResponse({ header: header(), journals: [journal] })),
    {
      status: "OK",
      header: JSON_HEADER,
      journals: [
        {
          spec: {
            name: "a/journal",
            replication: 1,
            labels: { labels: [{ name: "aa", value: "1", prefix: false }] },
            fragment: {
              length: "65536",
              compressionCodec: "NONE",
              stores: [],
              refreshInterval: "60s",
              retention: "0s",
              flushInterval: "0s",
              pathPostfixTemplate: "",
            },
            flags: 4,
            maxAppendRate: "0",
            suspend: { level: "PARTIAL", offset: "9" },
          },
          modRevision: "7",
          route: JSON_HEADER.route,
          createRevision: "6",
        },
      ],
    },
  );
});

test("JSON input: names in either case, numbers or strings, null and absence are zero", () => {
  const request = protocol.readRequestFromJson({
    journal: "a/b",
    offset: "5",
    end_offset: 7,
    doNotProxy: true,
    header: null,
  });
  assert.deepEqual(
    request,
    protocol.newReadRequest({ journal: "a/b", offset: 5, endOffset: 7, doNotProxy: true }),
  );
  assert.deepEqual(protocol.listRequestFromJson({}), protocol.newListRequest({}));
  const fragments = protocol.fragmentsRequestFromJson({
    journal: "a/b",
    signatureTTL: "1.5s",
    pageLimit: "5",
  });
  assert.deepEqual(
    fragments,
    protocol.newFragmentsRequest({ journal: "a/b", signatureTtlMs: 1500, pageLimit: 5 }),
  );
  assert.equal(protocol.readResponseFromJson({ status: 6 }).status, "OFFSET_NOT_YET_AVAILABLE");
  assert.deepEqual(protocol.readResponseFromJson({ content: "_-8" }).content, Uint8Array.of(0xff, 0xef));
  assert.equal(
    protocol.readRequestFromJson({ beginModTime: "9223372036854775807" }).beginModTime,
    Number.MAX_SAFE_INTEGER,
  );
});

test("JSON input: what does not fit -> refused with the path to it", () => {
  const cases: readonly (readonly [json: unknown, text: string])[] = [
    [[], "expected a JSON object"],
    [null, "expected a JSON object"],
    [{ nope: 1 }, 'unknown field "nope"'],
    [{ __proto__: null, constructor: 1 }, 'unknown field "constructor"'],
    [{ doNotProxy: true, do_not_proxy: true }, 'field "doNotProxy" is given twice'],
    [{ journal: 5 }, "journal: expected a JSON string"],
    [{ block: "true" }, "block: expected a JSON boolean"],
    [{ offset: "x" }, "offset: expected an integer"],
    [{ offset: 1.5 }, "offset: expected an integer"],
    [
      { offset: "9007199254740992" },
      "offset: value out of range (9007199254740992; expected |value| < 2^53)",
    ],
    [
      { offset: "99999999999999999999" },
      "offset: value out of range " +
        "(99999999999999999999; expected -9223372036854775808 <= value <= 9223372036854775807)",
    ],
    [
      { header: { route: { primary: 2 ** 31 } } },
      "header.route.primary: value out of range (2147483648; expected -2147483648 <= value <= 2147483647)",
    ],
    [{ header: { route: { members: [5] } } }, "header.route.members: expected a JSON object"],
    [{ header: { route: { members: {} } } }, "header.route.members: expected a JSON array"],
    [
      { header: { etcd: { cluster_id: "-1" } } },
      "header.etcd.clusterId: value out of range (-1; expected 0 <= value <= 18446744073709551615)",
    ],
  ];
  for (const [json, text] of cases)
    assert.equal(
      refusal(() => protocol.readRequestFromJson(json)),
      text,
    );
  assert.equal(
    refusal(() => protocol.readResponseFromJson({ status: "NOPE" })),
    "status: invalid status (NOPE)",
  );
  assert.equal(
    refusal(() => protocol.readResponseFromJson({ content: "a" })),
    "content: not valid base64",
  );
  assert.equal(
    refusal(() => protocol.fragmentsRequestFromJson({ signatureTTL: "5m" })),
    'signatureTTL: invalid duration ("5m")',
  );
});

function roundTrip<M>(
  name: string,
  values: fc.Arbitrary<M>,
  toJson: (value: M) => unknown,
  fromJson: (json: unknown) => M,
): void {
  test(`JSON: ${name} through text -> the same value`, () => {
    fc.assert(
      fc.property(values, (value) =>
        assert.deepEqual(fromJson(JSON.parse(JSON.stringify(toJson(value)))), value),
      ),
      { numRuns: 60, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: true },
    );
  });
}

roundTrip("ReadRequest", arbitrary.readRequest, protocol.readRequestToJson, protocol.readRequestFromJson);
roundTrip("ReadResponse", arbitrary.readResponse, protocol.readResponseToJson, protocol.readResponseFromJson);
roundTrip("ListRequest", arbitrary.listRequest, protocol.listRequestToJson, protocol.listRequestFromJson);
roundTrip("ListResponse", arbitrary.listResponse, protocol.listResponseToJson, protocol.listResponseFromJson);
roundTrip("ApplyRequest", arbitrary.applyRequest, protocol.applyRequestToJson, protocol.applyRequestFromJson);
roundTrip(
  "ApplyResponse",
  arbitrary.applyResponse,
  protocol.applyResponseToJson,
  protocol.applyResponseFromJson,
);
roundTrip(
  "FragmentsRequest",
  arbitrary.fragmentsRequest,
  protocol.fragmentsRequestToJson,
  protocol.fragmentsRequestFromJson,
);
roundTrip(
  "FragmentsResponse",
  arbitrary.fragmentsResponse,
  protocol.fragmentsResponseToJson,
  protocol.fragmentsResponseFromJson,
);
roundTrip(
  "FragmentStoreHealthRequest",
  arbitrary.healthRequest,
  protocol.fragmentStoreHealthRequestToJson,
  protocol.fragmentStoreHealthRequestFromJson,
);
roundTrip(
  "FragmentStoreHealthResponse",
  arbitrary.healthResponse,
  protocol.fragmentStoreHealthResponseToJson,
  protocol.fragmentStoreHealthResponseFromJson,
);

test("JSON input: any JSON -> a value or a WireError", () => {
  const keys = fc.constantFrom(
    "header",
    "journal",
    "offset",
    "route",
    "members",
    "content",
    "spec",
    "status",
  );
  const json = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.jsonValue(),
      fc.array(tie("value")),
      fc.dictionary(keys, tie("value")),
    ),
  })).value;
  fc.assert(
    fc.property(json, (value) => {
      for (const parse of [
        protocol.readRequestFromJson,
        protocol.readResponseFromJson,
        protocol.listResponseFromJson,
      ]) {
        try {
          parse(value);
        } catch (thrown) {
          assert.ok(thrown instanceof WireError);
        }
      }
    }),
  );
});

test("prototext: compact for a header, multi-line for tools", () => {
  assert.equal(
    protocol.routeToken(route()),
    'members:<zone:"zone" suffix:"broker" > endpoints:"http://broker:8080" ',
  );
  assert.equal(
    protocol.applyRequestToText({ changes: [protocol.deleteChange('a"\n\u00e9', 5)] }),
    'changes: <\n  expect_mod_revision: 5\n  delete: "a\\"\\n\\303\\251"\n>\n',
  );
});
