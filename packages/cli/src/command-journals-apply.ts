// `millrace journals apply`: specs from a YAML journalspace.
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { applyJournals } from "@millrace/client";
import {
  applyRequestToText,
  changesOf,
  journalTreeOfPlain,
  pushDown,
  validateApplyRequest,
  validateJournalTree,
  type ApplyChange,
} from "@millrace/protocol";
import { parse } from "yaml";
import { UsageError, type CliIo } from "./cli-io.ts";
import { withTransport } from "./command-journals.ts";
import { readAll } from "./command-sql.ts";
import { addDoorOptions, type DoorOptions } from "./system-doors.ts";

interface ApplyOptions extends DoorOptions {
  readonly specs: string;
  readonly dryRun?: true;
  readonly json?: true;
}

export function addJournalsApply(group: Command, io: CliIo): void {
  const command = group
    .command("apply")
    .description("Create, change or delete journals as a YAML journalspace says")
    .requiredOption("--specs <FILE>", "YAML file, or - for stdin")
    .option("--dry-run", "check the specs and print what would be applied")
    .option("--json", "print the result as JSON");
  addDoorOptions(command, "broker").action(async (options: ApplyOptions) => {
    const changes = readChanges(options.specs === "-" ? await readAll(io.stdin) : readSpecs(options.specs));
    if (options.dryRun === true) {
      io.out(applyRequestToText({ changes }));
      return;
    }
    const revision = await withTransport(options, (transport) => applyJournals(transport, changes, io.signal));
    if (options.json === true) io.out(`${JSON.stringify({ applied: changes.length, revision })}\n`);
    else io.err(`applied ${changes.length} changes at revision ${revision}\n`);
  });
}

function readSpecs(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${(error as Error).message}`);
  }
}

/** @throws {UsageError} for YAML, {WireError} INVALID_ARGUMENT for the specs in it */
function readChanges(yaml: string): readonly ApplyChange[] {
  let plain: unknown;
  try {
    plain = parse(yaml);
  } catch (error) {
    throw new UsageError(`YAML decode failed: ${(error as Error).message}`);
  }
  const tree = journalTreeOfPlain(plain);
  validateJournalTree(tree);
  const changes = changesOf(pushDown(tree));
  validateApplyRequest({ changes });
  return changes;
}
