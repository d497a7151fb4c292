// `millrace journals apply`: specs from a YAML journalspace.
import { createReadStream } from "node:fs";
import { WireError } from "@millrace/base";
import { CHANGES_PER_TRANSACTION } from "@millrace/client";
import {
  applyRequestToJson,
  applyRequestToText,
  changesOf,
  journalTreeOfPlain,
  pushDown,
  validateApplyRequest,
  validateJournalTree,
  type ApplyChange,
} from "@millrace/protocol";
import { parseDocument, visit, type Document } from "yaml";
import { applyChanges } from "./apply-changes.ts";
import { UsageError, wholeNumber, type CliIo } from "./cli-io.ts";
import { readAll } from "./read-all.ts";
import { withBroker, type BrokerDoorOptions } from "./system-broker-door.ts";

export interface ApplyOptions extends BrokerDoorOptions {
  readonly specs: string;
  readonly dryRun?: true;
  readonly maxTxnSize?: string;
  readonly json?: true;
}

export async function runApply(options: ApplyOptions, io: CliIo): Promise<void> {
  const isInput = options.specs === "-";
  const name = isInput ? "standard input" : options.specs;
  const yaml = await readAll(isInput ? io.stdin : createReadStream(options.specs), name);
  const changes = changesIn(name, yaml);
  if (options.dryRun === true) {
    const request = { changes };
    io.out(
      options.json === true
        ? `${JSON.stringify(applyRequestToJson(request))}\n`
        : applyRequestToText(request),
    );
    return;
  }
  const changesMax = transactionSize(options.maxTxnSize);
  const revision = await withBroker(options, io, ({ transport }) =>
    applyChanges(transport, changes, changesMax, io.signal),
  );
  reportApplied(changes.length, revision, options, io);
}

/** @throws as {@link journalChanges}, naming the file */
function changesIn(file: string, yaml: string): readonly ApplyChange[] {
  try {
    return journalChanges(yaml);
  } catch (error) {
    const isOfFile = error instanceof UsageError || WireError.from(error).code === "INVALID_ARGUMENT";
    throw isOfFile ? new UsageError(`${file}: ${(error as Error).message}`) : error;
  }
}

/** @throws {UsageError} unless it is a whole number; 0 stands for no bound */
export function transactionSize(text: string | undefined): number {
  if (text === undefined) return CHANGES_PER_TRANSACTION;
  return text === "0" ? Number.MAX_SAFE_INTEGER : wholeNumber("--max-txn-size", text);
}

/** Says what was done. */
export function reportApplied(applied: number, revision: number, options: { json?: true }, io: CliIo): void {
  if (options.json === true) io.out(`${JSON.stringify({ applied, revision })}\n`);
  else io.err(`applied ${applied} change${applied === 1 ? "" : "s"} at revision ${revision}\n`);
}

/**
 * The changes that a journalspace asks for. Scalars are taken as they are written: a label's value `007` is not 7.
 * @throws {UsageError} for YAML, {WireError} INVALID_ARGUMENT for the specs in it
 */
export function journalChanges(yaml: string): readonly ApplyChange[] {
  const document = parseDocument(yaml, { merge: true }); // as Gazette's tools do
  const [problem] = document.errors;
  if (problem !== undefined) {
    const text = problem.code === "MULTIPLE_DOCS" ? "more than one document" : problem.message;
    const [line] = text.replace("Maximum call stack size exceeded", "it nests too deeply").split("\n", 1);
    throw new UsageError(`YAML decode failed: ${line!.replace(/:$/, "")}`);
  }
  visit(document, {
    Scalar: (_, scalar) => {
      if (scalar.value !== null && scalar.source !== undefined) scalar.value = scalar.source;
    },
  });
  const tree = journalTreeOfPlain(plainOf(document));
  validateJournalTree(tree);
  const changes = changesOf(pushDown(tree));
  validateApplyRequest({ changes });
  return changes;
}

/** @throws {UsageError} for aliases that make much of little */
function plainOf(document: Document): unknown {
  try {
    return document.toJS();
  } catch (error) {
    if (error instanceof ReferenceError || error instanceof RangeError)
      throw new UsageError(`YAML decode failed: ${error.message}`);
    throw error;
  }
}
