// `millrace journals edit`: list, let a person edit, check, apply. What cannot be applied comes back into the editor
// with the reason above it; nothing that was written is lost.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WireError } from "@millrace/base";
import { listJournals } from "@millrace/client";
import { plainOfJournalTree, treeOfListing, type ApplyChange } from "@millrace/protocol";
import { applyChanges } from "./apply-changes.ts";
import { UsageError, type CliIo } from "./cli-io.ts";
import { composeEdit, verdictOf, writtenIn } from "./edit-file.ts";
import { goYaml } from "./go-yaml.ts";
import { selectorOf } from "./journal-selection.ts";
import { journalChanges, reportApplied, transactionSize } from "./run-journals-apply.ts";
import { withBroker, type BrokerDoorOptions } from "./system-broker-door.ts";
import { openEditor } from "./system-editor.ts";

export interface EditOptions extends BrokerDoorOptions {
  readonly selector: string;
  readonly maxTxnSize?: string;
  readonly json?: true;
}

export async function runEdit(options: EditOptions, io: CliIo): Promise<void> {
  const selector = selectorOf(options.selector);
  const changesMax = transactionSize(options.maxTxnSize);
  const { journals } = await withBroker(options, io, ({ transport }) =>
    listJournals(transport, selector, io.signal),
  );
  if (journals.length === 0) throw new WireError("NOT_FOUND", `no journal matches ${options.selector}`);
  const directory = mkdtempSync(join(tmpdir(), "millrace-journals-edit-"));
  const file = join(directory, "specs.yaml");
  const changes = await editUntilValid(
    file,
    await goYaml(plainOfJournalTree(treeOfListing({ journals }))),
    io,
  );
  if (changes === undefined) {
    rmSync(directory, { recursive: true });
    if (options.json === true) io.out(`${JSON.stringify({ applied: 0 })}\n`);
    return;
  }
  try {
    const revision = await withBroker(options, io, ({ transport }) =>
      applyChanges(transport, changes, changesMax, io.signal),
    );
    reportApplied(changes.length, revision, options, io);
  } catch (error) {
    io.err(`Last edits saved to ${file}.\n`);
    throw error;
  }
  rmSync(directory, { recursive: true });
}

/** @returns undefined when there is nothing to apply, which it has said */
async function editUntilValid(
  file: string,
  listed: string,
  io: CliIo,
): Promise<readonly ApplyChange[] | undefined> {
  let before = listed;
  let problem: string | undefined;
  for (;;) {
    writeFileSync(file, composeEdit(before, problem));
    await openEditor(file, io.signal);
    const after = writtenIn(readFileSync(file, "utf8"));
    const verdict = verdictOf(before, after);
    if (verdict === "empty") {
      io.err("Cancelled; empty file.\n");
      return undefined;
    }
    if (verdict === "unchanged" && problem === undefined) {
      io.err("Cancelled; nothing to do.\n");
      return undefined;
    }
    if (verdict === "unchanged") {
      io.err(`${problem}\n`);
      io.err(`Last edits saved to ${file}.\n`);
      throw new UsageError("Cancelled; no changes to invalid file.");
    }
    try {
      return journalChanges(after);
    } catch (error) {
      if (!(error instanceof UsageError) && WireError.from(error).code !== "INVALID_ARGUMENT") throw error;
      problem = (error as Error).message;
      before = after;
    }
  }
}
