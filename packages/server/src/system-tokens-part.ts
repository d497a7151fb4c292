// The project's tokens as a part of the process: known before any of its doors serves, and followed from then on.
import { ProjectTokens } from "@millrace/api";
import { TaskGroup } from "@millrace/base";
import type { ComponentName } from "./components.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { PartContext } from "./part-context.ts";

/** Brokers of a cluster have credentials of their own, and nothing to do with a project. */
const WITHOUT_PROJECT: readonly ComponentName[] = ["etcd", "broker"];

/**
 * @param place.coordination `own`: the doors of the broker are this process's alone, and take the project's tokens
 * @returns undefined for a process that has nothing to do with a project
 */
export async function startTokens(
  lifecycle: Lifecycle,
  context: PartContext,
  place: { readonly coordination: "own" | "etcd"; readonly components: ReadonlySet<ComponentName> },
  signal: AbortSignal,
): Promise<ProjectTokens | undefined> {
  const isOfProject = [...place.components].some((component) => !WITHOUT_PROJECT.includes(component));
  if (place.coordination === "etcd" && !isOfProject) return undefined;
  const tokens = new ProjectTokens({ ...context, store: context.coordination, book: context.tokens });
  const group = new TaskGroup("tokens", (_task, error) => context.onFatal(error));
  return lifecycle.start(
    "tokens",
    async () => {
      await tokens.load(signal);
      group.spawn("mirror", (stopping) => tokens.run(stopping));
      return tokens;
    },
    () => group.close(),
  );
}
