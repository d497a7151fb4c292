import assert from "node:assert/strict";
import { test } from "node:test";
import { FLAG } from "./enums.ts";
import {
  desiredReplication,
  mayRead,
  mayWrite,
  suspension,
  validateJournalSpec,
  type JournalSpec,
} from "./journal-spec.ts";
import { labelSet } from "./label-set.ts";
import { validateMediaType } from "./media-type.ts";
import { refusal } from "./refusal-testkit.ts";
import { fragmentSpec, journalSpec } from "./testkit.ts";

const TYPE = "app.gazette.dev/message-type";
const SUBTYPE = "app.gazette.dev/message-subtype";

type Fields = Parameters<typeof journalSpec>[0];

test("validation: truth table of specs", () => {
  const cases: readonly (readonly [fields: Fields, text: string])[] = [
    [{}, ""],
    [{ name: "/bad/name" }, "Name: cannot begin with '/' (/bad/name)"],
    [{ name: "a/journal;meta" }, "Name cannot have a metadata path segment (;meta; expected no segment)"],
    [{ name: "a/journal;" }, "Name.metadata path segment: invalid length (0; expected 1 <= length <= 512)"],
    [{ replication: 0 }, "invalid Replication (0; expected 1 <= Replication <= 5)"],
    [{ replication: 6 }, "invalid Replication (6; expected 1 <= Replication <= 5)"],
    [{ labels: labelSet(["xxx xxx", ""]) }, "Labels.Labels[0].Name: not a valid token (xxx xxx)"],
    [{ labels: labelSet(["name", ""]) }, 'Labels cannot include label "name"'],
    [{ labels: labelSet(["prefix", "x"]) }, 'Labels cannot include label "prefix"'],
    [
      { labels: labelSet([TYPE, "a"], [TYPE, "b"]) },
      `Labels: expected single-value Label has multiple values (index 1; label ${TYPE} value b)`,
    ],
    [{ labels: labelSet(["tag", "a"], ["tag", "b"]) }, ""],
    [
      { labels: labelSet(["content-type", "invalid/content/type"]) },
      "Labels: parsing content-type: mime: unexpected content after media subtype",
    ],
    [{ labels: labelSet(["content-type", ""]) }, "Labels: parsing content-type: mime: no media type"],
    [{ labels: labelSet([SUBTYPE, "x"]) }, `Labels: expected ${TYPE} label alongside ${SUBTYPE}`],
    [
      { labels: labelSet([SUBTYPE, "x"], [TYPE, "y"]) },
      `Labels: expected content-type label alongside ${TYPE}`,
    ],
    [{ labels: labelSet([SUBTYPE, "x"], [TYPE, "y"], ["content-type", "application/x-ndjson"]) }, ""],
    [
      { fragment: { length: 1023 } },
      "Fragment: invalid Length (1023; expected 1024 <= length <= 17179869184)",
    ],
    [{ flags: 3 }, "Flags: invalid combination (3)"],
    [{ flags: 5 }, "Flags: invalid combination (5)"],
    [{ flags: 8 }, "Flags: invalid combination (8)"],
    [{ flags: 0xffff_ffff }, "Flags: invalid combination (-1)"],
    [{ flags: FLAG.NOT_SPECIFIED }, ""],
    [{ maxAppendRate: -1 }, "invalid MaxAppendRate (-1; expected >= 0)"],
    [{ suspend: { level: "FULL", offset: 1234 } }, ""],
    [{ suspend: { level: "FULL", offset: -1 } }, "Suspend.Offset: invalid Offset (-1; expected >= 0)"],
    // Rules are checked in order: the first one that is broken is reported.
    [
      { replication: 9, flags: 3, maxAppendRate: -1 },
      "invalid Replication (9; expected 1 <= Replication <= 5)",
    ],
    [{ flags: 3, maxAppendRate: -1 }, "Flags: invalid combination (3)"],
  ];
  for (const [fields, text] of cases)
    assert.equal(
      refusal(() => validateJournalSpec(journalSpec(fields))),
      text,
    );
});

test("validation: truth table of fragment specs", () => {
  const cases: readonly (readonly [fields: Partial<JournalSpec["fragment"]>, text: string])[] = [
    [{ stores: ["s3://bucket/path/", "gs://other-bucket/path/"] }, ""],
    [{ length: 2 ** 34 }, ""],
    [{ length: 2 ** 34 + 1 }, "invalid Length (17179869185; expected 1024 <= length <= 17179869184)"],
    [{ compressionCodec: "INVALID" }, "CompressionCodec: invalid value (INVALID)"],
    [{ stores: ["s3://bucket/", "invalid"] }, "Stores[1]: not absolute (invalid)"],
    [
      { compressionCodec: "GZIP_OFFLOAD_DECOMPRESSION", stores: ["file:///a/root/"] },
      "GZIP_OFFLOAD_DECOMPRESSION is incompatible with file:// stores (file:///a/root/)",
    ],
    [{ compressionCodec: "GZIP_OFFLOAD_DECOMPRESSION", stores: ["gs://b/", "file:///a/root/"] }, ""],
    [{ refreshIntervalMs: 1 }, "invalid RefreshInterval (1ms; expected 1s <= interval <= 24h0m0s)"],
    [
      { refreshIntervalMs: 25 * 3_600_000 },
      "invalid RefreshInterval (25h0m0s; expected 1s <= interval <= 24h0m0s)",
    ],
    [{ flushIntervalMs: 1000 }, "invalid FlushInterval (1s; expected >= 1m0s)"],
    [{ flushIntervalMs: -1000 }, "invalid FlushInterval (-1s; expected >= 1m0s)"],
    [{ flushIntervalMs: 60_000, retentionMs: -1 }, ""],
    [
      { pathPostfixTemplate: "{{ bad template" },
      'PathPostfixTemplate: template: postfix:1: function "bad" not defined',
    ],
    [{ pathPostfixTemplate: 'date={{ .Spool.FirstAppendTime.Format "2006-01-02" }}' }, ""],
  ];
  for (const [fields, text] of cases) {
    const said = refusal(() => validateJournalSpec(journalSpec({ fragment: fragmentSpec(fields) })));
    assert.equal(
      said,
      text === "" ? "" : said.startsWith("Fragment.") ? `Fragment.${text}` : `Fragment: ${text}`,
    );
  }
});

test("flags: who may read and write", () => {
  const access = (flags: number): readonly boolean[] => [
    mayRead(journalSpec({ flags })),
    mayWrite(journalSpec({ flags })),
  ];
  assert.deepEqual(access(FLAG.NOT_SPECIFIED), [true, true]);
  assert.deepEqual(access(FLAG.O_RDONLY), [true, false]);
  assert.deepEqual(access(FLAG.O_WRONLY), [false, true]);
  assert.deepEqual(access(FLAG.O_RDWR), [true, true]);
  assert.deepEqual(access(FLAG.O_RDONLY | FLAG.O_WRONLY), [false, false]);
});

test("replication: suspension lowers it, the cluster caps it", () => {
  const spec = (level: "NONE" | "PARTIAL" | "FULL"): JournalSpec =>
    journalSpec({ replication: 3, suspend: { level, offset: 0 } });
  assert.equal(desiredReplication(journalSpec({ replication: 3 }), 9), 3);
  assert.equal(desiredReplication(spec("NONE"), 9), 3);
  assert.equal(desiredReplication(spec("NONE"), 2), 2);
  assert.equal(desiredReplication(spec("PARTIAL"), 9), 1);
  assert.equal(desiredReplication(spec("FULL"), 9), 0);
  assert.deepEqual(suspension(journalSpec()), { level: "NONE", offset: 0 });
});

test("media types: verdicts of Go's parser", () => {
  const cases: readonly (readonly [type: string, text: string])[] = [
    ["text/csv", ""],
    ["application/x-ndjson; charset=utf-8", ""],
    ['text/plain; a="b;c\\"d" ; e=f;', ""],
    ["attachment", ""],
    ["", "mime: no media type"],
    [";a=b", "mime: no media type"],
    ["text csv", "mime: expected slash after first token"],
    ["text/", "mime: expected token after slash"],
    ["text/csv x", "mime: unexpected content after media subtype"],
    ["text/csv; a", "mime: invalid media parameter"],
    ["text/csv; a=", "mime: invalid media parameter"],
    ["text/csv; a=1; A=2", "mime: duplicate parameter name"],
  ];
  for (const [type, text] of cases)
    assert.equal(
      refusal(() => validateMediaType(type)),
      text,
      type,
    );
});
