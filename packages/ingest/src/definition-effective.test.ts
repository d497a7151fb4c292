import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { effectiveSink } from "./definition-effective.ts";
import { DEFAULT_CONDITIONS, type SinkDefinition, type SourceDefinition } from "./definitions.ts";
import { modelSink } from "./model-catalog.ts";

const BY = { type: "user" } as const;
const OF_SINK = { at: "2026-01-01T00:00:01.000Z", by: BY };
const OF_SOURCE = { at: "2026-01-01T00:00:02.000Z", by: BY };
const COUNT = "storage.level.staging.upload.trigger.count";
const SIZE = "storage.level.staging.upload.trigger.size";
const WAIT = "storage.level.local.encoding.sync.wait";

function stored(fields: Partial<SinkDefinition> = {}): SinkDefinition {
  const { conditions: _conditions, waitForAppend: _wait, ...sink } = modelSink();
  return { ...sink, ...fields };
}

describe("settings in force: defaults <- source <- sink", () => {
  const cases: [
    name: string,
    source: SourceDefinition["settings"],
    sink: SourceDefinition["settings"],
    number,
  ][] = [
    ["nobody says anything", undefined, undefined, DEFAULT_CONDITIONS.upload.count],
    ["the source does", { [COUNT]: 7 }, undefined, 7],
    ["the sink does", undefined, { [COUNT]: 8 }, 8],
    ["both do", { [COUNT]: 7 }, { [COUNT]: 8 }, 8],
    ["the sink says what nobody understands", { [COUNT]: 7 }, { [COUNT]: "many" }, 10_000],
  ];
  for (const [name, source, sink, count] of cases) {
    test(`${name} -> ${count}`, () => {
      const of = (settings: SourceDefinition["settings"]): object => (settings ? { settings } : {});
      assert.equal(effectiveSink(stored(of(sink)), of(source)).conditions.upload.count, count);
    });
  }

  test("each key by itself; one that a later version knows is left alone", () => {
    const source = { settings: { [COUNT]: 7, "of.a.later.version": 1, [WAIT]: false } };
    const { conditions, waitForAppend } = effectiveSink(stored({ settings: { [SIZE]: "1KB" } }), source);
    assert.deepEqual([conditions.upload.count, conditions.upload.bytes, waitForAppend], [7, 1024, false]);
  });
});

describe("disabled and deleted: by itself, or with the source", () => {
  const disabled = { ...OF_SINK, reason: "API" };
  const sources = [undefined, {}, { disabled: { ...OF_SOURCE, reason: "API" } }, { deleted: OF_SOURCE }];
  for (const source of sources) {
    for (const fields of [{}, { disabled }, { deleted: OF_SINK }]) {
      const said = `source ${Object.keys(source ?? { unknown: 1 }).join()}, sink ${Object.keys(fields).join()}`;
      test(said, () => {
        const sink = effectiveSink(stored(fields), source);
        const ofSource = source?.disabled && {
          ...source.disabled,
          reason: "Auto-disabled with the parent source.",
        };
        assert.deepEqual(sink.disabled, fields.disabled ?? ofSource);
        assert.deepEqual(sink.deleted, fields.deleted ?? source?.deleted);
      });
    }
  }
});
