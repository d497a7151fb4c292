// What a person needs who looks into a failed run of a cluster.
import { causes, commit } from "../system-report.ts";
import type { ClusterControls } from "./cluster-options.ts";
import type { ClusterFailure } from "./run-cluster.ts";

export const CLUSTER_CONTROLS: readonly (readonly [keyof ClusterControls, string])[] = [
  ["withoutSync", "without-sync"],
  ["withoutRouteCheck", "without-route-check"],
  ["withoutLastReplica", "without-last-replica"],
  ["withoutJudging", "without-judging"],
];

/** Lines for stderr: what happened last, what is wrong, and how to see it again. */
export function clusterReport(failure: ClusterFailure): string {
  const { seed, newest, swarm, controls, cause } = failure;
  const flags = CLUSTER_CONTROLS.filter(([control]) => controls[control]).map(([, flag]) => ` --${flag}`);
  return [
    ...newest,
    failure.message,
    ...causes(cause),
    `swarm ${JSON.stringify(swarm)}`,
    `commit ${commit()}, Node ${process.version}`,
    `replay with: npm run sim:cluster -- --seed ${seed}${flags.join("")} --trace`,
    "",
  ].join("\n");
}
