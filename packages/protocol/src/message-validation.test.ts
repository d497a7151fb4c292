import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@millrace/base";
import * as protocol from "./index.ts";
import { refusal } from "./refusal-testkit.ts";
import { brokerSpec, etcdHeader, fragment, header, journalSpec, processId, route } from "./testkit.ts";

type Cases<M> = readonly (readonly [fields: Partial<M>, text: string])[];

/** Checks `validate` on `model` with the fields of each case set. */
function table<M extends object>(model: M, validate: (value: M) => void, cases: Cases<M>): void {
  assert.equal(
    refusal(() => validate(model)),
    "",
    "the model is valid",
  );
  for (const [fields, text] of cases) {
    assert.equal(
      refusal(() => validate({ ...model, ...fields })),
      text,
      Object.keys(fields).join(),
    );
  }
}

const BAD_HEADER = header({ etcd: etcdHeader({ clusterId: 0n }) });
const BAD_HEADER_TEXT = "Header.Etcd: invalid ClusterId (expected != 0)";
const BAD_LABELS = protocol.labelSet(["in valid", "x"]);
const BAD_FRAGMENT = fragment({ journal: "/bad/name" });
const content = utf8("abc");
const unknown = "UNKNOWN" as protocol.Status;
const COMPACT_HEADER =
  'process_id:<zone:"zone" suffix:"broker" > route:<members:<zone:"zone" suffix:"broker" > ' +
  'endpoints:"http://broker:8080" > etcd:<cluster_id:12 member_id:34 revision:56 raft_term:78 > ';

test("process ids and broker specs", () => {
  table(processId(), protocol.validateProcessId, [
    [{ zone: "" }, "Zone: invalid length (0; expected 1 <= length <= 32)"],
    [{ zone: "z".repeat(33) }, "Zone: invalid length (33; expected 1 <= length <= 32)"],
    [{ zone: "bad zone" }, "Zone: not a valid token (bad zone)"],
    [{ suffix: "abc" }, "Suffix: invalid length (3; expected 4 <= length <= 128)"],
    [{ suffix: "a=bc" }, "Suffix: not a valid token (a=bc)"],
  ]);
  table(brokerSpec(), protocol.validateBrokerSpec, [
    [{ id: processId({ zone: "" }) }, "Id.Zone: invalid length (0; expected 1 <= length <= 32)"],
    [{ endpoint: "invalid" }, "Endpoint: not absolute: invalid"],
    [{ journalLimit: 131_072 }, ""],
    [{ journalLimit: 131_073 }, "invalid JournalLimit (131073; expected 0 <= JournalLimit <= 131072)"],
  ]);
});

test("routes and headers", () => {
  const members = ["bbbb", "cccc", "aaaa"].map((suffix, i) => processId({ zone: i < 2 ? "a" : "b", suffix }));
  table(route({ members, primary: 2, endpoints: [] }), protocol.validateRoute, [
    [{ primary: -1 }, ""],
    [{ primary: -2 }, "invalid Primary (-2; expected -1 <= Primary < 3)"],
    [{ primary: 3 }, "invalid Primary (3; expected -1 <= Primary < 3)"],
    [{ members: [processId({ zone: "bad zone" })] }, "Members[0].Zone: not a valid token (bad zone)"],
    [
      { members: [...members].reverse() },
      "Members not in unique, sorted order (index 1; {Zone:b Suffix:aaaa} <= {Zone:a Suffix:cccc})",
    ],
    [
      { members: [members[0]!, members[0]!] },
      "Members not in unique, sorted order (index 1; {Zone:a Suffix:bbbb} <= {Zone:a Suffix:bbbb})",
    ],
    [{ endpoints: ["http://a", "", "http://c"] }, ""],
    [{ endpoints: ["http://a"] }, "len(Endpoints) != 0, and != len(Members) (1 vs 3)"],
    [{ endpoints: ["http://a", "", "invalid"] }, "Endpoints[2]: not absolute: invalid"],
  ]);
  table(header(), protocol.validateHeader, [
    [{ processId: protocol.EMPTY_PROCESS_ID }, ""],
    [
      { processId: { zone: "zone", suffix: "" } },
      "ProcessId.Suffix: invalid length (0; expected 4 <= length <= 128)",
    ],
    [{ route: protocol.EMPTY_ROUTE }, ""],
    [
      { route: protocol.decodeRoute(new Uint8Array()) },
      "Route: invalid Primary (0; expected -1 <= Primary < 0)",
    ],
    [{ etcd: etcdHeader({ clusterId: 0n }) }, "Etcd: invalid ClusterId (expected != 0)"],
    [{ etcd: etcdHeader({ memberId: 0n }) }, "Etcd: invalid MemberId (expected != 0)"],
    [{ etcd: etcdHeader({ revision: -42 }) }, "Etcd: invalid Revision (-42; expected 0 < revision)"],
    [{ etcd: etcdHeader({ raftTerm: 0n }) }, "Etcd: invalid RaftTerm (expected != 0)"],
  ]);
  assert.ok(protocol.equivalentRoutes(route(), route({ endpoints: [] })));
  assert.equal(protocol.equivalentRoutes(route(), route({ primary: -1 })), false);
  assert.equal(protocol.equivalentRoutes(route(), route({ members: [processId({ zone: "other" })] })), false);
});

test("ReadRequest", () => {
  table(
    protocol.newReadRequest({ journal: "a/journal", offset: 100, header: header() }),
    protocol.validateReadRequest,
    [
      [{ header: BAD_HEADER }, BAD_HEADER_TEXT],
      [{ journal: "/bad" }, "Journal: cannot begin with '/' (/bad)"],
      [
        { journal: "a/journal;" },
        "Journal.metadata path segment: invalid length (0; expected 1 <= length <= 512)",
      ],
      [{ offset: -1 }, ""],
      [{ offset: -2 }, "invalid Offset (-2; expected -1 <= Offset <= MaxInt64)"],
      [{ endOffset: 100 }, ""],
      [{ endOffset: 99 }, "invalid EndOffset (99; expected 0 or Offset <= EndOffset)"],
      [{ endOffset: -1 }, "invalid EndOffset (-1; expected 0 or Offset <= EndOffset)"],
    ],
  );
});

test("ReadResponse: metadata", () => {
  const model = protocol.newReadResponse({
    header: header(),
    offset: 50,
    writeHead: 100,
    fragment: fragment(),
    fragmentUrl: "http://host/path",
  });
  table(model, protocol.validateReadResponse, [
    [{ status: unknown }, "Status: invalid status (UNKNOWN)"],
    [{ header: BAD_HEADER }, BAD_HEADER_TEXT],
    [{ writeHead: -1 }, "invalid WriteHead (-1; expected >= 0)"],
    [{ fragment: BAD_FRAGMENT }, "Fragment.Journal: cannot begin with '/' (/bad/name)"],
    [{ offset: 100 }, "invalid Offset (100; expected 0 <= offset < 100)"],
    [{ writeHead: 99 }, "invalid WriteHead (99; expected >= 100)"],
    [{ fragmentUrl: ":/bad/url" }, 'FragmentUrl: parse ":/bad/url": missing protocol scheme'],
  ]);
  table(
    protocol.newReadResponse({ status: "OFFSET_NOT_YET_AVAILABLE", offset: 5 }),
    protocol.validateReadResponse,
    [
      [{ status: "OK" }, "unexpected Offset without Fragment or Content (5)"],
      [{ fragmentUrl: "http://foo" }, "unexpected FragmentUrl without Fragment (http://foo)"],
    ],
  );
});

test("ReadResponse: content", () => {
  table(protocol.newReadResponse({ content, offset: 5 }), protocol.validateReadResponse, [
    [{ status: "WRONG_ROUTE" }, "unexpected Status with Content (WRONG_ROUTE)"],
    [{ header: header() }, `unexpected Header with Content (${COMPACT_HEADER})`],
    [{ writeHead: 1234 }, "unexpected WriteHead with Content (1234)"],
    [
      { fragment: fragment({ sum: protocol.ZERO_SHA1 }) },
      'unexpected Fragment with Content (journal:"a/journal" end:100 sum:<> compression_codec:NONE )',
    ],
    [{ fragmentUrl: "http://foo" }, "unexpected FragmentUrl with Content (http://foo)"],
  ]);
});

test("AppendRequest: preamble", () => {
  const selector = { include: BAD_LABELS, exclude: protocol.EMPTY_LABELS };
  table(
    protocol.newAppendRequest({ journal: "a/journal", offset: 100, header: header() }),
    protocol.validateAppendRequest,
    [
      [{ header: BAD_HEADER }, BAD_HEADER_TEXT],
      [{ journal: "/bad" }, "Journal: cannot begin with '/' (/bad)"],
      [{ offset: -1 }, "invalid Offset (-1; expected >= 0)"],
      [{ content }, "unexpected Content"],
      [{ content: new Uint8Array() }, ""],
      [{ checkRegisters: selector }, "CheckRegisters.Include.Labels[0].Name: not a valid token (in valid)"],
      [{ unionRegisters: BAD_LABELS }, "UnionRegisters.Labels[0].Name: not a valid token (in valid)"],
      [{ subtractRegisters: BAD_LABELS }, "SubtractRegisters.Labels[0].Name: not a valid token (in valid)"],
      [{ suspend: "SUSPEND_NOW" }, ""],
      [{ suspend: "SOMETIME" as protocol.AppendSuspend }, "Suspend: invalid Suspend variant (SOMETIME)"],
    ],
  );
});

test("AppendRequest: chunk", () => {
  table(protocol.newAppendRequest({ content, minEtcdRevision: 5 }), protocol.validateAppendRequest, [
    [{ content: new Uint8Array() }, ""],
    [{ header: header() }, "unexpected Header"],
    [{ doNotProxy: true }, "unexpected DoNotProxy"],
    [{ offset: 1 }, "unexpected Offset"],
    [{ checkRegisters: protocol.ANY_LABELS }, "unexpected CheckRegisters"],
    [{ unionRegisters: protocol.EMPTY_LABELS }, "unexpected UnionRegisters"],
    [{ subtractRegisters: protocol.EMPTY_LABELS }, "unexpected SubtractRegisters"],
    [{ suspend: "SUSPEND_NOW" }, "unexpected Suspend (SUSPEND_NOW; expected SUSPEND_RESUMED)"],
  ]);
});

test("AppendResponse", () => {
  const registers = protocol.EMPTY_LABELS;
  table(
    protocol.newAppendResponse({ header: header(), commit: fragment(), registers }),
    protocol.validateAppendResponse,
    [
      [{ status: unknown }, "Status: invalid status (UNKNOWN)"],
      [{ header: BAD_HEADER }, BAD_HEADER_TEXT],
      [{ commit: BAD_FRAGMENT }, "Commit.Journal: cannot begin with '/' (/bad/name)"],
      [{ registers: BAD_LABELS }, "Registers.Labels[0].Name: not a valid token (in valid)"],
    ],
  );
  const bare = protocol.newAppendResponse({ status: "NOT_JOURNAL_PRIMARY_BROKER", header: header() });
  table(bare, protocol.validateAppendResponse, [
    [{ status: "OK" }, "expected Commit"],
    [{ status: "OK", commit: fragment() }, "expected Registers"],
    [{ status: "REGISTER_MISMATCH" }, "expected Registers"],
    [{ status: "REGISTER_MISMATCH", registers }, ""],
  ]);
});

test("ReplicateRequest", () => {
  const proposal = fragment();
  const model = protocol.newReplicateRequest({
    header: header(),
    proposal,
    acknowledge: true,
    deprecatedJournal: "a/journal",
  });
  table(model, protocol.validateReplicateRequest, [
    [{ header: BAD_HEADER }, BAD_HEADER_TEXT],
    [{ acknowledge: false }, "expected Acknowledge with Header"],
    [{ proposal: BAD_FRAGMENT }, "Proposal.Journal: cannot begin with '/' (/bad/name)"],
    [{ registers: BAD_LABELS }, "Registers.Labels[0].Name: not a valid token (in valid)"],
    [{ content }, "unexpected Content with Proposal (len 3)"],
    [{ contentDelta: 100 }, "unexpected ContentDelta with Proposal (100)"],
    [{ deprecatedJournal: "bad" }, "DeprecatedJournal and Proposal.Journal mismatch (bad vs a/journal)"],
  ]);
  const registers = protocol.labelSet(["aa", 'x"']);
  table(protocol.newReplicateRequest({ content, contentDelta: 7 }), protocol.validateReplicateRequest, [
    [{ contentDelta: -1 }, "invalid ContentDelta (-1; expected >= 0)"],
    [{ header: header() }, `unexpected Header with Content (${COMPACT_HEADER})`],
    [{ registers }, 'unexpected Registers with Content (labels:<name:"aa" value:"x\\"" > )'],
    [{ acknowledge: true }, "unexpected Acknowledge with Content"],
    [{ deprecatedJournal: "x" }, "unexpected DeprecatedJournal with Content"],
  ]);
  assert.equal(
    refusal(() => protocol.validateReplicateRequest(protocol.newReplicateRequest({}))),
    "expected Content or Proposal",
  );
});

test("ReplicateResponse: the strict rules", () => {
  table(protocol.newReplicateResponse({}), protocol.validateReplicateResponse, [
    [{ status: unknown }, "Status: invalid status (UNKNOWN)"],
    [{ header: header() }, `unexpected Header (${COMPACT_HEADER})`],
    [{ registers: protocol.EMPTY_LABELS }, "unexpected Registers ()"],
    [{ status: "WRONG_ROUTE" }, "expected Header"],
    [{ status: "WRONG_ROUTE", header: BAD_HEADER }, BAD_HEADER_TEXT],
    [{ status: "WRONG_ROUTE", header: header() }, ""],
    [{ status: "PROPOSAL_MISMATCH" }, "expected Fragment"],
    [{ status: "PROPOSAL_MISMATCH", fragment: fragment() }, "expected Registers"],
    [
      { status: "PROPOSAL_MISMATCH", fragment: fragment(), registers: BAD_LABELS },
      "Registers.Labels[0].Name: not a valid token (in valid)",
    ],
    [{ status: "PROPOSAL_MISMATCH", fragment: fragment(), registers: protocol.EMPTY_LABELS }, ""],
  ]);
  const text = refusal(() =>
    protocol.validateReplicateResponse(protocol.newReplicateResponse({ fragment: fragment() })),
  );
  assert.match(text, /^unexpected Fragment \(journal:"a\/journal" end:100 sum:<part1:72623859790382856 /);
});

test("ListRequest and ListResponse", () => {
  const selector = (text: string): Partial<protocol.ListRequest> => ({
    selector: protocol.parseLabelSelector(text),
  });
  table(protocol.newListRequest({}), protocol.validateListRequest, [
    [selector("prefix=a/path/, foo"), ""],
    [selector("prefix=no/slash"), "Selector.Include.Labels[\"prefix\"]: expected trailing '/' (no/slash)"],
    [selector("prefix!=no/slash"), "Selector.Exclude.Labels[\"prefix\"]: expected trailing '/' (no/slash)"],
    [
      { selector: { include: BAD_LABELS, exclude: protocol.EMPTY_LABELS } },
      "Selector.Include.Labels[0].Name: not a valid token (in valid)",
    ],
  ]);
  const listed = { spec: journalSpec(), modRevision: 1, createRevision: 1, route: route() };
  const journals = (fields: Partial<protocol.ListedJournal>): Partial<protocol.ListResponse> => ({
    journals: [listed, { ...listed, ...fields }],
  });
  table(protocol.newListResponse({ header: header(), ...journals({}) }), protocol.validateListResponse, [
    [{ status: unknown }, "Status: invalid status (UNKNOWN)"],
    [{ header: BAD_HEADER }, BAD_HEADER_TEXT],
    [
      journals({ spec: journalSpec({ name: "bad name" }) }),
      "Journals[1].Spec.Name: not a valid token (bad name)",
    ],
    [journals({ modRevision: 0 }), "Journals[1]: invalid ModRevision (0; expected > 0)"],
    [
      journals({ route: route({ primary: 4 }) }),
      "Journals[1].Route: invalid Primary (4; expected -1 <= Primary < 1)",
    ],
  ]);
});

test("ApplyRequest and ApplyResponse", () => {
  const upsert = protocol.upsertChange(journalSpec(), 0);
  const remove = protocol.deleteChange("a/journal", 1);
  const second = (change: Partial<protocol.ApplyChange>, base = upsert): Partial<protocol.ApplyRequest> => ({
    changes: [upsert, { ...base, ...change }],
  });
  table<protocol.ApplyRequest>({ changes: [upsert, remove] }, protocol.validateApplyRequest, [
    [{ changes: [] }, ""],
    [second({ delete: "a/journal" }), "Changes[1]: both Upsert and Delete are set (expected exactly one)"],
    [
      second({ upsert: journalSpec({ replication: 9 }) }),
      "Changes[1].Upsert: invalid Replication (9; expected 1 <= Replication <= 5)",
    ],
    [second({ expectModRevision: -1 }), ""],
    [second({ expectModRevision: -2 }), "Changes[1]: invalid ExpectModRevision (-2; expected >= 0 or -1)"],
    [second({ delete: "bad name" }, remove), "Changes[1].Delete: not a valid token (bad name)"],
    [second({ expectModRevision: -1 }, remove), ""],
    [
      second({ expectModRevision: 0 }, remove),
      "Changes[1]: invalid ExpectModRevision (0; expected > 0 or -1)",
    ],
    [second({ delete: "" }, remove), "Changes[1]: neither Upsert nor Delete are set (expected exactly one)"],
  ]);
  table(protocol.newApplyResponse({ header: header() }), protocol.validateApplyResponse, [
    [{ status: unknown }, "Status: invalid status (UNKNOWN)"],
    [{ header: BAD_HEADER }, BAD_HEADER_TEXT],
  ]);
});

test("FragmentsRequest and FragmentsResponse", () => {
  const model = protocol.newFragmentsRequest({
    journal: "a/journal",
    beginModTime: 10,
    endModTime: 10,
    pageLimit: 10_000,
  });
  table(model, protocol.validateFragmentsRequest, [
    [{ header: BAD_HEADER }, BAD_HEADER_TEXT],
    [{ journal: "/bad" }, "Journal: cannot begin with '/' (/bad)"],
    [{ endModTime: 0 }, ""],
    [{ endModTime: 5 }, "invalid EndModTime (5 must be after 10)"],
    [{ nextPageToken: -1 }, "invalid NextPageToken (-1; must be >= 0)"],
    [{ pageLimit: -1 }, "invalid PageLimit (-1; must be >= 0 and <= 10000)"],
    [{ pageLimit: 10_001 }, "invalid PageLimit (10001; must be >= 0 and <= 10000)"],
    [{ signatureTtlMs: 0 }, "invalid SignatureTTL (0s; must be > 0s)"],
    [{ signatureTtlMs: 1 }, ""],
  ]);
  const fragments = (spec: protocol.Fragment, signedUrl: string): Partial<protocol.FragmentsResponse> => ({
    fragments: [{ spec, signedUrl }],
  });
  table(
    protocol.newFragmentsResponse({ header: header(), ...fragments(fragment(), "") }),
    protocol.validateFragmentsResponse,
    [
      [{ status: unknown }, "Status: invalid status (UNKNOWN)"],
      [{ header: BAD_HEADER }, BAD_HEADER_TEXT],
      [fragments(BAD_FRAGMENT, ""), "Fragments[0].Spec.Journal: cannot begin with '/' (/bad/name)"],
      [
        fragments(fragment(), ":gar: :bage:"),
        'Fragments[0].SignedUrl: parse ":gar: :bage:": missing protocol scheme',
      ],
    ],
  );
});

test("FragmentStoreHealthRequest and its response", () => {
  const model = protocol.newFragmentStoreHealthRequest({ fragmentStore: "s3://bucket/", checkDelete: true });
  table(model, protocol.validateFragmentStoreHealthRequest, [
    [{ fragmentStore: "s3://bucket" }, "FragmentStore: path component doesn't end in '/' ()"],
    [{ checkDelete: false }, ""],
    [
      { checkDelete: false, checkDeletePrefix: "recovery/" },
      "CheckDeletePrefix: cannot be set when CheckDelete is false",
    ],
    [{ checkDeletePrefix: "recovery/sub/" }, ""],
    [{ checkDeletePrefix: "recovery" }, "CheckDeletePrefix: must end in '/' (recovery)"],
    [
      { checkDeletePrefix: "../../etc/" },
      "CheckDeletePrefix: cannot traverse outside the store (../../etc/)",
    ],
    [{ checkDeletePrefix: "../" }, "CheckDeletePrefix: cannot traverse outside the store (../)"],
    [{ checkDeletePrefix: "a/../b/" }, "CheckDeletePrefix: must be a clean path (a/../b)"],
    [{ checkDeletePrefix: "/rooted/" }, "CheckDeletePrefix: cannot begin with '/' (/rooted)"],
    [{ checkDeletePrefix: "in valid/" }, "CheckDeletePrefix: not a valid token (in valid)"],
    [{ checkDeletePrefix: "/" }, "CheckDeletePrefix: invalid length (0; expected 1 <= length <= 512)"],
  ]);
  table(
    protocol.newFragmentStoreHealthResponse({ header: header() }),
    protocol.validateFragmentStoreHealthResponse,
    [
      [{ status: unknown }, "Status: invalid status (UNKNOWN)"],
      [{ header: BAD_HEADER }, BAD_HEADER_TEXT],
      [{ status: "FRAGMENT_STORE_UNHEALTHY", storeHealthError: "why" }, ""],
    ],
  );
});
