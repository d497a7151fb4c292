// The template of a fragment's path postfix, in Go's text/template:
//
//   date={{ .Spool.FirstAppendTime.Format "2006-01-02" }}/region={{ .ValueOf "region" }}
//
// P1  A spec is refused when its template does not parse, or fails for zero values, as Gazette does; and where what is
//     left out of text/template here (go-template-parse.ts) would keep its fragments from ever being persisted.
// P2  The result is a clean relative path below the journal: `..` in a label's value cannot leave it.
// P3  A result outside of the alphabet of paths, or too long, is refused: listings could not read such fragments back,
//     and Gazette, which has no such rule, loses sight of what it stores there. A sample shows it when a spec is
//     applied.
import { invalid, ValidationError } from "@millrace/protobuf";
import { parseGoTemplate } from "./go-template-parse.ts";
import type { GoTemplate } from "./go-template-node.ts";
import { runGoTemplate } from "./go-template-run.ts";
import { ZERO_TIME_MS } from "./go-time-value.ts";
import { cleanPath } from "./go-path.ts";
import type { FragmentSpec, JournalSpec } from "./journal-spec.ts";
import { EMPTY_LABELS } from "./label-set.ts";
import { PATH_POSTFIX_BYTES, TEMPLATE_CHARS_MAX } from "./limits.ts";
import { pathTemplateData, type PathTemplateScope } from "./path-template-data.ts";
import { validatePathToken } from "./token.ts";

export type { PathTemplateScope };

/** A parsed template. */
export type PathTemplate = GoTemplate;

const ZERO = {
  begin: 0,
  end: 0,
  sum: "0".repeat(40),
  firstAppendMs: ZERO_TIME_MS,
  registers: EMPTY_LABELS,
};
// Two digits of day and month: a sample of what layouts give.
const SAMPLE_TIME_MS = Date.UTC(2020, 10, 12, 13, 14, 15, 167);

/** @throws {WireError} INVALID_ARGUMENT that names the line and what is wrong with it */
export function parsePathTemplate(text: string): PathTemplate {
  if (text.length > TEMPLATE_CHARS_MAX) {
    invalid(`template: postfix: ${text.length} characters (expected <= ${TEMPLATE_CHARS_MAX})`);
  }
  return parseGoTemplate("postfix", text);
}

/**
 * The path that `template` gives for `scope`: clean, relative, "" when it gives nothing.
 * @throws {WireError} INVALID_ARGUMENT when it fails, or gives what is no path
 */
export function evaluatePathTemplate(template: PathTemplate, scope: PathTemplateScope): string {
  const text = runGoTemplate(template, pathTemplateData(scope));
  const path = cleanPath(`/${text}`).slice(1); // P2
  validatePathToken(path, PATH_POSTFIX_BYTES); // P3
  return path;
}

/** @param zero a spec of zero values @throws {ValidationError} P1, P3 */
export function validatePathTemplate(fragment: FragmentSpec, zero: JournalSpec): void {
  const text = fragment.pathPostfixTemplate;
  if (text === "") return;
  const template = parsePathTemplate(text);
  runGoTemplate(template, pathTemplateData({ ...ZERO, spec: zero }));
  const sample = { ...zero, name: "a/journal", replication: 1, fragment };
  const scope = { ...ZERO, end: 1, firstAppendMs: SAMPLE_TIME_MS, spec: sample };
  try {
    evaluatePathTemplate(template, scope);
  } catch (thrown) {
    if (!(thrown instanceof ValidationError)) throw thrown;
    if (!thrown.reason.startsWith("template:"))
      invalid(`template: postfix: gives a bad path, e.g. ${thrown.reason}`);
  }
}
