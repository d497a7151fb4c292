// Reads files and platform, says what has to be done, and does it: `millrace plan`, `diff` and `apply`.
import { createReadStream } from "node:fs";
import type { Task } from "@millrace/api-client";
import type { CliIo } from "./cli-io.ts";
import { readAll } from "./read-all.ts";
import { joinStreams, parseStreams, type DesiredSource } from "./streams-file.ts";
import {
  planSource,
  planStreams,
  type Action,
  type CurrentSource,
  type PlanOptions,
} from "./streams-plan.ts";
import { actionText, planText } from "./streams-text.ts";
import { BRANCH, type JsonOptions } from "./stream-options.ts";
import { openApi, type ApiDoor } from "./system-api-door.ts";
import { environmentVariable } from "./system-environment.ts";

export interface StreamsOptions extends JsonOptions {
  readonly file: readonly string[];
  readonly prune?: true;
  readonly check?: true;
  readonly resendSecrets?: true;
}

/** Shows what has to be done. With `check` the status is 1 when that is anything. */
export async function showPlan(options: StreamsOptions, io: CliIo, isDetailed: boolean): Promise<void> {
  const desired = await readFiles(options.file, io);
  const api = await openApi(options, io);
  const isPruned = options.prune === true;
  const plan = planStreams(desired, await readCurrent(api), planOptions(options));
  if (options.json === true) {
    const actions = plan.actions.map(shownAction);
    io.out(`${JSON.stringify({ actions, strangers: plan.strangers })}\n`);
  } else io.out(planText(plan, { isDetailed, isPruned }));
  if (options.check === true && plan.actions.length > 0) io.exitCode(1);
}

/** Does it, source by source, and says each step when it is done. Begun again after a failure, it goes on. */
export async function applyStreams(options: StreamsOptions, io: CliIo): Promise<void> {
  const desired = await readFiles(options.file, io);
  const api = await openApi(options, io);
  const done: Action[] = [];
  const perform = async (actions: readonly Action[]): Promise<void> => {
    for (const action of actions) {
      if (options.json !== true) io.err(`${actionText(action)} …\n`);
      await api.end(await request(api, action));
      done.push(action);
      if (options.json !== true) io.out(`${actionText(action)}\n`);
    }
  };
  const before = new Map((await readCurrent(api)).map((one) => [one.source.sourceId, one]));
  for (const source of desired) {
    const { actions } = planSource(source, before.get(source.sourceId), planOptions(options));
    await perform(actions.filter(({ kind }) => kind === "source"));
    // A source that comes back, or is enabled, brings sinks with it: what is left to do for them is seen now.
    const now = await readSource(api, source.sourceId);
    await perform(
      planSource(source, now, planOptions({ ...options, resendSecrets: undefined })).actions.filter(
        ({ kind }) => kind === "sink",
      ),
    );
  }
  const left = planStreams(desired, await readCurrent(api), { prune: true, resendSecrets: false });
  if (options.prune === true) {
    await perform(left.actions.filter(({ verb, kind }) => verb === "delete" && kind === "source"));
  }
  if (options.json === true) io.out(`${JSON.stringify({ actions: done.map(shownAction) })}\n`);
  else if (done.length === 0) io.out("nothing to do\n");
}

function planOptions({
  prune,
  resendSecrets,
}: {
  prune?: true;
  resendSecrets?: true | undefined;
}): PlanOptions {
  return { prune: prune === true, resendSecrets: resendSecrets === true };
}

async function readFiles(files: readonly string[], io: CliIo): Promise<readonly DesiredSource[]> {
  const parsed: (readonly DesiredSource[])[] = [];
  for (const file of files) {
    const name = file === "-" ? "stdin" : file;
    const text = await readAll(file === "-" ? io.stdin : createReadStream(file), name);
    parsed.push(parseStreams(text, name, environmentVariable));
  }
  return joinStreams(parsed);
}

async function readCurrent(api: ApiDoor): Promise<readonly CurrentSource[]> {
  const sources = await api.all(
    (afterId) => api.call("listSources", { ...BRANCH, ...(afterId === "" ? {} : { afterId }) }),
    (page) => page.sources,
  );
  const all: CurrentSource[] = [];
  for (const { sourceId } of sources) all.push(await readSource(api, sourceId));
  return all;
}

async function readSource(api: ApiDoor, sourceId: string): Promise<CurrentSource> {
  const key = { ...BRANCH, sourceId };
  const sinks = await api.all(
    (afterId) => api.call("listSinks", { ...key, ...(afterId === "" ? {} : { afterId }) }),
    (page) => page.sinks,
  );
  const { settings } = await api.call("getSourceSettings", key);
  const own = settings.filter(({ overwritten }) => overwritten).map(({ key: name, value }) => [name, value]);
  return {
    source: await api.call("getSource", key),
    sinks,
    settings: Object.fromEntries(own) as CurrentSource["settings"],
  };
}

/** The request of an action. Bodies are the API's to check: they come from a file. */
function request(api: ApiDoor, action: Action): Promise<Task> {
  const source = { ...BRANCH, sourceId: action.sourceId };
  const sink = { ...source, sinkId: action.sinkId };
  const isSource = action.kind === "source";
  switch (action.verb) {
    case "create":
      return isSource
        ? api.call("createSource", { ...BRANCH, body: action.body as never })
        : api.call("createSink", { ...source, body: action.body as never });
    case "update":
      return isSource
        ? api.call("updateSource", { ...source, body: action.body })
        : api.call("updateSink", { ...sink, body: action.body });
    case "settings": {
      const body = { settings: action.settings };
      return isSource
        ? api.call("updateSourceSettings", { ...source, body })
        : api.call("updateSinkSettings", { ...sink, body });
    }
    case "enable":
    case "disable":
    case "delete":
      return isSource ? api.call(`${action.verb}Source`, source) : api.call(`${action.verb}Sink`, sink);
  }
}

/** Without bodies, which may hold secrets. */
function shownAction({ verb, kind, sourceId, sinkId, changes }: Action): object {
  return { verb, kind, sourceId, ...(kind === "sink" ? { sinkId } : {}), changes };
}
