// Columns of type `template` in JSONata. The program has been evaluated when the record is mapped; its value is written
// as a path column writes what it finds, with the same bytes for the same value.
//
// T3 Whatever a program does on a record, the record is refused (422) and nothing else; what kept it from being
//    evaluated at all is no fault of the record (503).
import { assert, BodyBytes, utf8 } from "@millrace/base";
import { JsonScanner } from "./body-json.ts";
import { putScanned } from "./csv-json.ts";
import type { RowBuffer } from "./csv-writer.ts";
import type { TemplateColumn } from "./definitions.ts";
import { PathTree } from "./mapping-path.ts";
import type { ProgramSet } from "./mapping-programs.ts";
import {
  tooLarge,
  unprocessable,
  unreadable,
  type MappingFailure,
  type RecordContext,
} from "./mapping-record.ts";

/** Compiles a template column, the program of which is in no process yet. */
export function evaluatedWriter(
  { name, template, rawString }: TemplateColumn,
  programs: ProgramSet,
): (record: RecordContext, out: RowBuffer) => MappingFailure | undefined {
  const slot = programs.slotOf(template.content);
  const tree = new PathTree();
  const whole = tree.slotOf([]);
  const scanner = new JsonScanner();
  scanner.use(tree);
  const raw = rawString === true;
  const nothing = unprocessable(name, "the template has no value: what it asks for is not there");
  const unwritable = unprocessable(name, `cannot convert column "${name}" to CSV value`);
  return (record, out) => {
    const result = record.evaluated[slot];
    assert(result !== undefined, "programs are evaluated before the record is mapped", {
      column: name,
      slot,
    });
    switch (result.kind) {
      case "value": {
        const json = utf8(result.json);
        scanner.scanWhole(new BodyBytes(json), 0, json.length);
        return putScanned(out, scanner, whole, raw) ? undefined : unwritable;
      }
      case "nothing":
        return nothing;
      case "large":
        return tooLarge(name);
      case "unreadable":
        return unreadable(record, name) ?? nothing;
      case "failed":
        return unprocessable(name, result.reason);
      case "unavailable": {
        const message = `Column "${name}" cannot be filled now: ${result.reason}.`;
        return { status: 503, name: "pipelineNotReady", column: name, message };
      }
    }
  };
}
