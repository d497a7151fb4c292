// Settings: rows 7, 8 and 24 of the specification's table (1.3, 1.10).
import { settingProblems, type SettingChange, type SettingScope, type SettingValue } from "@millrace/ingest";
import { settingsAnswer, taskAnswer } from "./answer-schemas.ts";
import { refuseProblems } from "./api-errors.ts";
import { checkVersions, keyOfSink, keyOfSource, sinkAndSourceOf, sinkOf, sourceOf } from "./lookups.ts";
import { operation, type Operation } from "./operation.ts";
import { descriptionOf, patchSettingsSchema } from "./request-schemas.ts";
import { checkSettingKeys, listSettings, settingField } from "./setting-list.ts";
import { runTask } from "./task-runner.ts";

const SOURCE = "/branches/{branchId}/sources/{sourceId}";
const SINK = `${SOURCE}/sinks/{sinkId}`;

export const settingOperations: readonly Operation[] = [
  operation({
    id: "getSourceSettings",
    method: "GET",
    path: `${SOURCE}/settings`,
    tag: "sources",
    summary: "All settings of a source, ordered by key: they hold for its sinks that have none of their own",
    access: "read",
    status: 200,
    answer: settingsAnswer,
    errors: ["sourceNotFound"],
    handle: async (asked) => ({ settings: listSettings("source", (await sourceOf(asked)).settings ?? {}) }),
  }),
  operation({
    id: "updateSourceSettings",
    method: "PATCH",
    path: `${SOURCE}/settings`,
    tag: "sources",
    summary: "Change settings of a source; what is not given stays, null takes a value away",
    access: "write",
    status: 202,
    body: patchSettingsSchema,
    answer: taskAnswer,
    errors: ["resourceLimitReached", "sourceNotFound", "forbidden", "resourceLocked"],
    handle: async ({ body, by, ...asked }) => {
      const source = await sourceOf(asked);
      checkVersions(source);
      const changes = body.settings ?? [];
      checkChanges(changes, "source");
      const key = keyOfSource(source);
      return runTask(asked.deps, {
        type: "api.update.sourceSettings",
        key,
        result: "Source settings have been updated successfully.",
        isRepeatable: false,
        work: (within) => {
          const command = { kind: "settings", changes, ...descriptionOf(body) } as const;
          return asked.deps.repository.changeSource(key, command, by, within);
        },
      });
    },
  }),
  operation({
    id: "getSinkSettings",
    method: "GET",
    path: `${SINK}/settings`,
    tag: "sinks",
    summary: "All settings of a sink, ordered by key",
    access: "read",
    status: 200,
    answer: settingsAnswer,
    errors: ["sourceNotFound", "sinkNotFound"],
    handle: async (asked) => {
      const { sink, source } = await sinkAndSourceOf(asked);
      return { settings: listSettings("sink", sink.settings ?? {}, source.settings) };
    },
  }),
  operation({
    id: "updateSinkSettings",
    method: "PATCH",
    path: `${SINK}/settings`,
    tag: "sinks",
    summary: "Change settings of a sink; what is not given stays, null takes a value away",
    access: "write",
    status: 202,
    body: patchSettingsSchema,
    answer: taskAnswer,
    errors: ["resourceLimitReached", "sourceNotFound", "sinkNotFound", "forbidden", "resourceLocked"],
    handle: async ({ body, by, ...asked }) => {
      const sink = await sinkOf(asked);
      checkVersions(sink);
      const changes = body.settings ?? [];
      checkChanges(changes, "sink");
      const key = keyOfSink(sink);
      return runTask(asked.deps, {
        type: "api.update.sinkSettings",
        key,
        result: "Sink settings have been updated successfully.",
        isRepeatable: false,
        work: (within) => {
          const command = { kind: "settings", changes, ...descriptionOf(body) } as const;
          return asked.deps.repository.changeSink(key, command, by, within);
        },
      });
    },
  }),
];

/** Values are refused here and not by a task. @throws {ApiError} 400 with all that is wrong, 403 */
function checkChanges(changes: readonly SettingChange[], owner: SettingScope): void {
  checkSettingKeys(changes, owner);
  const values: Record<string, SettingValue> = {};
  for (const { key, value } of changes) if (value !== null) values[key] = value;
  const fieldOf = (key: string): string => settingField(changes.findIndex((change) => change.key === key));
  refuseProblems(
    settingProblems(values, owner).map(({ key, message }) => ({
      name: "badRequest",
      message,
      field: fieldOf(key),
    })),
  );
}
