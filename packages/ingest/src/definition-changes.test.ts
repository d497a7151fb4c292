import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  createdSink,
  createdSource,
  planSink,
  planSource,
  type ChangePlan,
  type SinkCommand,
  type SourceCommand,
  type Standing,
} from "./definition-changes.ts";
import type { SinkDefinition, SourceDefinition } from "./definitions.ts";

const BY = { type: "user", userName: "ada" } as const;
const BEFORE = { at: "2026-01-01T00:00:00.000Z", by: BY };
const CHANGE = { at: "2026-01-02T00:00:00.000Z", by: BY };
const VERSION = { number: 4, hash: "0".repeat(16), description: "Old.", ...BEFORE };
const COUNT = "storage.level.staging.upload.trigger.count";
const WAIT = "storage.level.local.encoding.sync.wait";
const KEY = { projectId: 1, branchId: 1, sourceId: "s" };

const SOURCE: SourceDefinition = {
  ...KEY,
  type: "http",
  name: "Source",
  description: "",
  secret: "now",
  settings: { [COUNT]: 7 },
  version: VERSION,
  created: BEFORE,
  incarnation: 2,
};
const SINK: SinkDefinition = {
  ...KEY,
  sinkId: "k",
  type: "table",
  name: "Sink",
  description: "",
  table: { type: "duckdb", tableId: "main.t", mapping: { columns: [{ type: "ip", name: "i" }] } },
  partitions: 3,
  keyedPartitions: 2,
  version: VERSION,
  created: BEFORE,
  incarnation: 2,
};
const DISABLED = { ...BEFORE, reason: "API" };

type State = "absent" | "active" | "disabled" | "deleted";

function standing<T extends SourceDefinition | SinkDefinition>(entity: T, state: State): Standing<T> {
  if (state === "absent") return { kind: "absent" };
  if (state === "deleted") return { kind: "deleted", entity: { ...entity, deleted: BEFORE } };
  return { kind: "active", entity: state === "disabled" ? { ...entity, disabled: DISABLED } : entity };
}

function shown(plan: ChangePlan<SourceDefinition | SinkDefinition>): string {
  if (plan.kind !== "write") return plan.kind;
  const { entity, to, isVersion } = plan;
  const { number, description } = entity.version;
  const state =
    entity.deleted !== undefined ? "deleted" : entity.disabled === undefined ? "enabled" : "disabled";
  assert.equal(entity.incarnation, 2);
  assert.equal(entity.created, BEFORE);
  if (isVersion) assert.deepEqual([entity.version.at, entity.version.by], [CHANGE.at, BY]);
  return `${to}, ${state}, ${number}${isVersion ? ` ${description}` : ""}`;
}

type Expected = Record<State, string>;
const NOT_THERE = { absent: "notFound", deleted: "notFound" };

/** A new command does not compile until it is decided here. */
const EXPECTED: Record<SourceCommand["kind"], Expected> = {
  update: { ...NOT_THERE, active: "active, enabled, 5 Why.", disabled: "active, disabled, 5 Why." },
  settings: {
    ...NOT_THERE,
    active: "active, enabled, 5 Updated settings.",
    disabled: "active, disabled, 5 Updated settings.",
  },
  disable: { ...NOT_THERE, active: "active, disabled, 5 Disabled.", disabled: "unchanged" },
  enable: { ...NOT_THERE, active: "unchanged", disabled: "active, enabled, 5 Enabled." },
  delete: { ...NOT_THERE, active: "deleted, deleted, 4", disabled: "deleted, deleted, 4" },
  undelete: {
    absent: "deletedNotFound",
    active: "exists",
    disabled: "exists",
    deleted: 'active, enabled, 5 Undeleted to version "4".',
  },
  rollback: {
    ...NOT_THERE,
    active: 'active, enabled, 5 Rollback to version "2".',
    disabled: 'active, disabled, 5 Rollback to version "2".',
  },
  rotateSecret: {
    ...NOT_THERE,
    active: "active, enabled, 5 Rotated secret.",
    disabled: "active, disabled, 5 Rotated secret.",
  },
};

const COMMANDS: Record<SourceCommand["kind"], SourceCommand> = {
  update: { kind: "update", name: "Other", changeDescription: "Why." },
  settings: { kind: "settings", changes: [{ key: WAIT, value: false }] },
  disable: { kind: "disable" },
  enable: { kind: "enable" },
  delete: { kind: "delete" },
  undelete: { kind: "undelete" },
  rollback: { kind: "rollback", version: 2 },
  rotateSecret: { kind: "rotateSecret" },
};

describe("what a command does, by where the entity stands", () => {
  for (const command of Object.values(COMMANDS)) {
    for (const [state, expected] of Object.entries(EXPECTED[command.kind]) as [State, string][]) {
      test(`${command.kind} of a source that is ${state} -> ${expected}`, () => {
        const facts = { change: CHANGE, version: { ...SOURCE, name: "Then" }, secret: "next" };
        assert.equal(shown(planSource(standing(SOURCE, state), command, facts)), expected);
      });
      if (command.kind === "rotateSecret") continue;
      const ofSink: SinkCommand = command;
      test(`${command.kind} of a sink that is ${state} -> ${expected}`, () => {
        const facts = { change: CHANGE, version: { ...SINK, name: "Then" } };
        assert.equal(shown(planSink(standing(SINK, state), ofSink, facts)), expected);
      });
    }
  }

  test("rollback to a version that there is no record of -> noVersion", () => {
    const plan = planSource(standing(SOURCE, "active"), COMMANDS.rollback, { change: CHANGE });
    assert.equal(plan.kind, "noVersion");
  });

  test("a thousand versions: content stays as it is; state, secret and coming back do not", () => {
    const full = { ...SOURCE, version: { ...VERSION, number: 1000 } };
    for (const command of Object.values(COMMANDS)) {
      const state =
        command.kind === "undelete" ? "deleted" : command.kind === "enable" ? "disabled" : "active";
      const facts = { change: CHANGE, version: { ...SOURCE, name: "Then" }, secret: "next" };
      const plan = planSource(standing(full, state), command, facts);
      const isContent = ["update", "settings", "rollback"].includes(command.kind);
      assert.deepEqual(
        isContent ? plan : plan.kind,
        isContent ? { kind: "versionLimit", max: 1000 } : "write",
        command.kind,
      );
    }
    const last = { ...SINK, version: { ...VERSION, number: 999 } };
    const { update } = COMMANDS;
    assert.ok(update.kind === "update");
    assert.equal(
      planSink(standing(last, "active"), { kind: "update", name: "Last" }, { change: CHANGE }).kind,
      "write",
    );
    const same = { kind: "update", name: "Source" } as const;
    assert.equal(planSource(standing(full, "active"), same, { change: CHANGE }).kind, "unchanged");
  });

  test("undelete of what was disabled before -> disabled still", () => {
    const plan = planSink(
      { kind: "deleted", entity: { ...SINK, disabled: DISABLED, deleted: BEFORE } },
      { kind: "undelete" },
      { change: CHANGE },
    );
    assert.match(shown(plan), /^active, disabled/);
  });
});

describe("content of changes", () => {
  const source = (command: SourceCommand, facts: object = {}): SourceDefinition => {
    const plan = planSource(standing(SOURCE, "active"), command, { change: CHANGE, ...facts });
    assert.ok(plan.kind === "write" || plan.kind === "unchanged", plan.kind);
    return plan.entity;
  };
  const sink = (command: SinkCommand, facts: object = {}): SinkDefinition => {
    const plan = planSink(standing(SINK, "active"), command, { change: CHANGE, ...facts });
    assert.ok(plan.kind === "write" || plan.kind === "unchanged", plan.kind);
    return plan.entity;
  };

  test("update of a table's columns -> its name is kept, and the other way round", () => {
    const columns = [{ type: "body", name: "b" }] as const;
    assert.deepEqual(sink({ kind: "update", columns }).table, {
      ...SINK.table,
      mapping: { columns },
    });
    assert.deepEqual(sink({ kind: "update", tableId: "main.u" }).table, { ...SINK.table, tableId: "main.u" });
  });

  test("update that changes nothing -> no version", () => {
    for (const command of [{}, { name: "Sink" }, { columns: SINK.table.mapping.columns }])
      assert.equal(sink({ kind: "update", ...command }), SINK);
    assert.equal(source({ kind: "update", description: "" }), SOURCE);
  });

  test("settings: set, replaced, removed; one that is false counts; the same again does not", () => {
    const settings = (changes: readonly { key: string; value: string | number | boolean | null }[]) =>
      source({ kind: "settings", changes });
    assert.deepEqual(settings([{ key: WAIT, value: false }]).settings, { [COUNT]: 7, [WAIT]: false });
    assert.deepEqual(settings([{ key: COUNT, value: 8 }]).settings, { [COUNT]: 8 });
    assert.equal(settings([{ key: COUNT, value: null }]).settings, undefined);
    assert.equal(settings([{ key: COUNT, value: 7 }]), SOURCE);
    assert.equal(settings([]), SOURCE);
    assert.throws(() => settings([{ key: COUNT, value: 0 }]), { code: "INVALID_ARGUMENT" });
    assert.throws(() => settings([{ key: "no", value: 1 }]), { code: "INVALID_ARGUMENT" });
  });

  test("rollback -> content and settings of then; secret and partitions of now", () => {
    const { settings: _settings, ...plain } = SOURCE;
    const then = { ...plain, name: "Then", secret: "leaked", incarnation: 2 };
    const back = source({ kind: "rollback", version: 2 }, { version: then });
    assert.deepEqual([back.name, back.secret, back.settings], ["Then", "now", undefined]);
    const columns = [{ type: "body", name: "b" }] as const;
    const table = { ...SINK.table, tableId: "main.then", mapping: { columns } };
    const version = { ...SINK, table, partitions: 1, keyedPartitions: 1, settings: { [COUNT]: 3 } };
    const sunk = sink({ kind: "rollback", version: 2 }, { version });
    assert.deepEqual([sunk.table, sunk.partitions, sunk.keyedPartitions], [table, 3, 2]);
    assert.deepEqual(sunk.settings, { [COUNT]: 3 });
  });

  test("another secret -> another hash", () => {
    const rotated = source({ kind: "rotateSecret" }, { secret: "next" });
    const again = source({ kind: "rotateSecret" }, { secret: "other" });
    assert.deepEqual([rotated.secret, again.secret], ["next", "other"]);
    assert.notEqual(rotated.version.hash, again.version.hash);
  });

  test("a deleted ID that is made again -> new content, versions go on, same life and partitions", () => {
    const { version: _v, created: _c, incarnation: _i, ...fields } = SOURCE;
    const life = { incarnation: 9 };
    const first = createdSource(undefined, fields, { change: CHANGE, life });
    assert.deepEqual(
      [first.version.number, first.incarnation, first.version.description],
      [1, 9, "New source."],
    );
    const gone = { ...SOURCE, deleted: BEFORE, disabled: DISABLED };
    const again = createdSource(gone, { ...fields, secret: "next" }, { change: CHANGE, life });
    assert.deepEqual([again.version.number, again.incarnation, again.secret], [5, 2, "next"]);
    assert.deepEqual([again.deleted, again.disabled], [undefined, undefined]);

    const { version: _v2, created: _c2, incarnation: _i2, ...ofSink } = { ...SINK, partitions: 1 };
    const sunk = createdSink({ ...SINK, deleted: BEFORE }, ofSink, { change: CHANGE, life });
    assert.deepEqual([sunk.version.number, sunk.incarnation, sunk.partitions], [5, 2, 3]);
  });
});

describe("another type, other signals", () => {
  const facts = { change: CHANGE, secret: "new" };

  test("a source of another type -> a new secret; of the same -> unchanged", () => {
    const standing: Standing<SourceDefinition> = { kind: "active", entity: SOURCE };
    const changed = planSource(standing, { kind: "update", type: "otlp" }, facts);
    assert.ok(changed.kind === "write");
    assert.deepEqual([changed.entity.type, changed.entity.secret], ["otlp", "new"]);
    assert.equal(planSource(standing, { kind: "update", type: "http" }, facts).kind, "unchanged");
  });

  test("a rollback to another type -> a new secret as well; to the same -> the one of now", () => {
    const standing: Standing<SourceDefinition> = { kind: "active", entity: SOURCE };
    for (const [type, secret] of [
      ["otlp", "new"],
      ["http", "now"],
    ] as const) {
      const version: SourceDefinition = { ...SOURCE, type, secret: "then", name: "Then" };
      const plan = planSource(standing, { kind: "rollback", version: 2 }, { ...facts, version });
      assert.ok(plan.kind === "write");
      assert.deepEqual([plan.entity.type, plan.entity.secret, plan.entity.name], [type, secret, "Then"]);
    }
  });

  test("signals of a sink: kept, changed, cleared, brought back", () => {
    const some: SinkDefinition = { ...SINK, allowedSignals: ["logs"] };
    const after = (sink: SinkDefinition, command: SinkCommand, version?: SinkDefinition): unknown => {
      const facts = { change: CHANGE, ...(version === undefined ? {} : { version }) };
      const plan = planSink({ kind: "active", entity: sink }, command, facts);
      assert.ok("entity" in plan);
      return plan.entity.allowedSignals;
    };
    assert.deepEqual(after(some, { kind: "update", name: "Other" }), ["logs"]);
    assert.deepEqual(after(some, { kind: "update", allowedSignals: ["traces", "logs"] }), ["logs", "traces"]);
    assert.deepEqual(after(some, { kind: "update", allowedSignals: [] }), undefined);
    assert.deepEqual(after(some, { kind: "rollback", version: 2 }, SINK), undefined);
    assert.deepEqual(after(SINK, { kind: "rollback", version: 2 }, some), ["logs"]);
  });
});
