// `npm run soak`: for an hour what `npm test` does for minutes. Runs of random seeds in the simulator, worlds of the
// pipeline, and beside them the storm over a cluster of real processes; then the workflow of streams with a million
// records. All say on stderr how far they are.

import { parseArgs } from "node:util";

import { buildIfStale } from "./build.mjs";
import { runChild } from "./children.mjs";
import { installIfStale } from "./install.mjs";

const USAGE = `npm run soak -- [--minutes N] [--cluster | --streams]

  --minutes N   how long (default 60); the workflow of streams takes as long as its records do
  --cluster     the storm alone; \`npm run soak:seeds\` is the simulator alone
  --streams     the workflow of streams alone
`;
const MINUTES_DEFAULT = "60";
const MINUTES_MAX = 30_000;
/** The last misfortune, and the comparison of books. */
const END_MS = 20 * 60_000;
const STREAM_RECORDS = 1_000_000;
/** Some half an hour where nothing else runs. */
const STREAMS_MS = 4 * 60 * 60_000;

/**
 * @typedef {object} Part
 * @property {string} name
 * @property {(minutes: number) => string[]} args
 * @property {(minutes: number) => Record<string, string>} [env]
 * @property {number} [limitMs] whatever the minutes are
 */

/** @type {Part} */
const SEEDS = {
  name: "seeds",
  args: (minutes) => ["packages/sim/dist/soak.js", "--minutes", String(minutes)],
};

/** @type {Part} */
const CLUSTER = {
  name: "cluster",
  args: () => ["--enable-source-maps", "packages/server/dist/cluster.crash.test.js"],
  env: (minutes) => ({ MILLRACE_CRASH_CLUSTER_SECONDS: String(Math.round(minutes * 60)) }),
};

/** @type {Part} */
const PIPELINES = {
  name: "pipelines",
  args: () => ["--enable-source-maps", "packages/ingest/dist/pipeline.sim.test.js"],
  env: (minutes) => ({ MILLRACE_TEST_PIPELINE_MINUTES: String(minutes) }),
};

/** @type {Part} */
const STREAMS = {
  name: "streams",
  args: () => ["--enable-source-maps", "packages/server/dist/streams-workflow.crash.test.js"],
  env: () => ({ MILLRACE_CRASH_STREAM_RECORDS: String(STREAM_RECORDS) }),
  limitMs: STREAMS_MS,
};

/** @returns {{ minutes: number, parts: Part[][] } | undefined} what runs at once; undefined: only help is wanted */
function wanted() {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: MINUTES_DEFAULT },
      cluster: { type: "boolean", default: false },
      streams: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const minutes = Number(values.minutes);
  if (!(minutes > 0 && minutes <= MINUTES_MAX)) {
    throw new Error(`--minutes ${values.minutes}: expected more than 0 and at most ${MINUTES_MAX}`);
  }
  const alone = [...(values.cluster ? [[CLUSTER]] : []), ...(values.streams ? [[STREAMS]] : [])];
  return { minutes, parts: alone.length > 0 ? alone : [[SEEDS, PIPELINES, CLUSTER], [STREAMS]] };
}

/** @param {Part} part @param {number} minutes */
async function run({ name, args, env, limitMs }, minutes) {
  const options = {
    timeoutMs: limitMs ?? minutes * 60_000 + END_MS,
    env: { ...process.env, ...env?.(minutes) },
  };
  const { code, timedOut } = await runChild(process.execPath, args(minutes), options);
  return {
    isFine: code === 0,
    said: `${name}: ${timedOut ? "did not end" : code === 0 ? "fine" : "failed"}`,
  };
}

async function main() {
  let what;
  try {
    what = wanted();
  } catch (error) {
    process.stderr.write(`${/** @type {Error} */ (error).message}\n\n${USAGE}`);
    return 2;
  }
  if (what === undefined) {
    process.stdout.write(USAGE);
    return 0;
  }
  installIfStale();
  buildIfStale();
  const { minutes, parts } = what;
  const results = [];
  for (const some of parts) results.push(...(await Promise.all(some.map((part) => run(part, minutes)))));
  process.stdout.write(`${results.map(({ said }) => said).join(", ")}\n`);
  return results.every(({ isFine }) => isFine) ? 0 : 1;
}

process.exitCode = await main();
