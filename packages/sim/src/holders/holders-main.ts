// `npm run holders`: the model of the holders rules, whole or by walks; with a rule left out it must find a run that
// breaks a promise, and prints it.
import { parseArgs } from "node:util";
import { seededRandom } from "@millrace/base/testkit";
import { isVariant, VARIANTS } from "./holders-rules.ts";
import { searchAll, searchWalks, shownFinding } from "./holders-search.ts";
import { LARGE, SMALL } from "./holders-bounds.ts";

const USAGE = `npm run holders -- [--without RULE] [--walks N [--seed S]] [--states N] [BOUND=N ...]

  --without RULE  leaves a rule out: a run that breaks a promise must be found
  --walks N       N random walks instead of every state
  --states N      stop after N states (default 1000000)
  BOUND           tokens, routes, crashes, attempts, closes, persists, late (0 or 1)

Rules:
${Object.entries(VARIANTS)
  .map(([name, what]) => `  ${name.padEnd(25)} ${what}`)
  .join("\n")}
`;

function main(): number {
  const { values, positionals } = parseArgs({
    options: {
      without: { type: "string" },
      walks: { type: "string" },
      seed: { type: "string", default: "0" },
      states: { type: "string", default: "1000000" },
      help: { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  if (values.help || (values.without !== undefined && !isVariant(values.without))) {
    process.stdout.write(USAGE);
    return values.help ? 0 : 2;
  }
  const variant = values.without;
  const set = Object.fromEntries(positionals.map((text) => text.split("=")).map(([k, v]) => [k, Number(v)]));
  const bounds = {
    ...(values.walks === undefined ? SMALL : LARGE),
    ...set,
    ...("late" in set ? { late: set["late"] === 1 } : {}),
  };
  const { finding, ...counts } =
    values.walks === undefined
      ? searchAll(bounds, variant, Number(values.states))
      : searchWalks(bounds, variant, seededRandom(values.seed), Number(values.walks));
  if (finding !== undefined) process.stdout.write(shownFinding(finding));
  process.stdout.write(`${JSON.stringify({ without: variant, found: finding?.why, ...counts })}\n`);
  return (finding === undefined) === (variant === undefined) ? 0 : 1;
}

process.exitCode = main();
