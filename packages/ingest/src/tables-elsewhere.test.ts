import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8, type WireError } from "@millrace/base";
import { encodeSink } from "./definition-codec.ts";
import { partitionJournal } from "./definitions.ts";
import { modelSink } from "./model-catalog.ts";
import { plainSecrets } from "./secret-box.ts";
import { loadsElsewhere } from "./tables-elsewhere.ts";

test("journals of sinks with another target, in any life and version -> elsewhere; others are not", () => {
  const here = modelSink({ sinkId: "here" });
  const gone = modelSink({ sinkId: "gone", incarnation: 2 });
  const { tableId, mapping } = gone.table;
  const table = { type: "parquet", connection: { url: "s3://b/" }, tableId, mapping } as const;
  const values = [here, { ...gone, table }, gone].map((sink, i) => ({
    key: `k${i}`,
    value: encodeSink(sink, plainSecrets),
  }));
  const problems: WireError[] = [];
  const broken = { key: "broken", value: utf8("{") };
  const isElsewhere = loadsElsewhere([...values, broken], (error) => problems.push(error));
  assert.deepEqual(
    [here, gone, { ...gone, incarnation: 0 }].map((sink) => isElsewhere(partitionJournal(sink, 3))),
    [false, true, true],
  );
  assert.equal(isElsewhere("examples/x"), false);
  assert.deepEqual(
    problems.map(({ message }) => message),
    ["broken: not JSON"],
  );
});
