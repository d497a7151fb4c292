// The template of a fragment's path postfix: the part of Go's text/template that makes sense there, read strictly.
//
//   date={{ .Spool.FirstAppendTime.Format "2006-01-02" }}/region={{ .ValueOf "region" }}
//
// P1  What is not in OPERANDS is refused when the spec is validated. Gazette evaluates at persist time against a value
//     that differs from the one it validates with, so that some templates apply cleanly and then never persist.
// P2  The result is a clean relative path below the journal: `..` in a label's value cannot leave it.
// P3  Text and layouts outside the alphabet of paths are refused: listings could not read such fragments back.
import { invalid, ValidationError } from "@millrace/protobuf";
import { formatGoTime } from "./go-time.ts";
import { cleanPath } from "./go-path.ts";
import { goQuote } from "./go-quote.ts";
import { EMPTY_LABELS, valueOf, type LabelSet } from "./label-set.ts";
import { PATH_POSTFIX_BYTES, TEMPLATE_CHARS_MAX } from "./limits.ts";
import { validatePathToken } from "./token.ts";

/** What a template can speak of. */
export interface PathTemplateScope {
  readonly journal: string;
  readonly begin: number;
  readonly end: number;
  /** Of the fragment's first byte, Unix milliseconds. */
  readonly firstAppendMs: number;
  readonly registers: LabelSet;
  readonly replication: number;
  /** Of the spec. */
  readonly labels: LabelSet;
}

/** A parsed template. */
export type PathTemplate = readonly ((scope: PathTemplateScope) => string)[];

interface Operand {
  readonly argument: boolean;
  readonly evaluate: (scope: PathTemplateScope, argument: string) => string;
}

const OPERANDS: Readonly<Record<string, Operand>> = {
  ".Name": { argument: false, evaluate: (scope) => scope.journal },
  ".Replication": { argument: false, evaluate: (scope) => String(scope.replication) },
  ".ValueOf": { argument: true, evaluate: (scope, name) => valueOf(scope.labels, name) },
  ".LabelSet.ValueOf": { argument: true, evaluate: (scope, name) => valueOf(scope.labels, name) },
  ".Spool.Journal": { argument: false, evaluate: (scope) => scope.journal },
  ".Spool.Begin": { argument: false, evaluate: (scope) => String(scope.begin) },
  ".Spool.End": { argument: false, evaluate: (scope) => String(scope.end) },
  ".Spool.FirstAppendTime.Format": {
    argument: true,
    evaluate: (scope, layout) => formatGoTime(scope.firstAppendMs, layout),
  },
  ".Spool.Registers.ValueOf": { argument: true, evaluate: (scope, name) => valueOf(scope.registers, name) },
};

// Two digits of day and month: a sample of what layouts give.
const SAMPLE: PathTemplateScope = {
  journal: "a/journal",
  begin: 0,
  end: 1,
  firstAppendMs: Date.UTC(2020, 10, 12, 13, 14, 15, 167),
  registers: EMPTY_LABELS,
  replication: 1,
  labels: EMPTY_LABELS,
};

/** @throws {WireError} INVALID_ARGUMENT that names the line and what is wrong with it */
export function parsePathTemplate(text: string): PathTemplate {
  if (text.length > TEMPLATE_CHARS_MAX) {
    invalid(`template: postfix: ${text.length} characters (expected <= ${TEMPLATE_CHARS_MAX})`);
  }
  const template: ((scope: PathTemplateScope) => string)[] = [];
  let at = 0;
  let trimLeft = false;
  for (;;) {
    const open = text.indexOf("{{", at);
    const action = open === -1 ? undefined : parseAction(text, open);
    const raw = text.slice(at, open === -1 ? text.length : open);
    const right = action?.trimBefore === true ? raw.trimEnd() : raw;
    const literal = trimLeft ? right.trimStart() : right;
    if (literal !== "") template.push(() => literal);
    if (action === undefined) break;
    template.push(action.evaluate);
    trimLeft = action.trimAfter;
    at = action.end;
  }
  validateSample(template);
  return template;
}

/**
 * The path that `template` gives for `scope`: clean, relative, "" when it gives nothing. Its length is not
 * checked.
 */
export function evaluatePathTemplate(template: PathTemplate, scope: PathTemplateScope): string {
  const text = template.map((part) => part(scope)).join("");
  return cleanPath(`/${text}`).slice(1); // P2
}

/** P3 */
function validateSample(template: PathTemplate): void {
  const text = evaluatePathTemplate(template, SAMPLE);
  try {
    validatePathToken(text, PATH_POSTFIX_BYTES);
  } catch (thrown) {
    if (thrown instanceof ValidationError)
      invalid(`template: postfix: gives a bad path, e.g. ${thrown.reason}`);
    throw thrown;
  }
}

interface Action {
  readonly evaluate: (scope: PathTemplateScope) => string;
  readonly trimBefore: boolean;
  readonly trimAfter: boolean;
  /** Index after its `}}`. */
  readonly end: number;
}

function parseAction(text: string, open: number): Action {
  const line = text.slice(0, open).split("\n").length;
  const close = closeOf(text, open + 2);
  if (close === -1) return invalid(`template: postfix:${line}: unclosed action`);
  const body = text.slice(open + 2, close);
  const trimBefore = /^-\s/.test(body);
  const trimAfter = /\s-$/.test(body);
  const expression = body.slice(trimBefore ? 1 : 0, trimAfter ? -1 : undefined).trim();
  return { evaluate: parseExpression(expression, line), trimBefore, trimAfter, end: close + 2 };
}

/** Index of the `}}` that ends the action, which is not one in a string. */
function closeOf(text: string, from: number): number {
  const pieces = /"(?:[^"\\\n]|\\.)*"|`[^`]*`|\}\}|[^"`}]+|./gsy;
  pieces.lastIndex = from;
  for (let piece = pieces.exec(text); piece !== null; piece = pieces.exec(text)) {
    if (piece[0] === "}}") return piece.index;
  }
  return -1;
}

function parseExpression(expression: string, line: number): (scope: PathTemplateScope) => string {
  const match = /^(\.[A-Za-z.]+)(?:\s+("(?:[^"\\\n]|\\["\\])*"|`[^`]*`))?$/.exec(expression);
  const path = match?.[1];
  const literal = match?.[2];
  const operand = path !== undefined && Object.hasOwn(OPERANDS, path) ? OPERANDS[path] : undefined;
  if (operand === undefined || operand.argument !== (literal !== undefined)) {
    const known = Object.entries(OPERANDS).map(([name, { argument }]) => (argument ? `${name} "..."` : name));
    return invalid(
      `template: postfix:${line}: unsupported expression ${goQuote(expression)} (expected one of ${known.join(", ")})`,
    );
  }
  const argument = literal === undefined ? "" : unquote(literal);
  return (scope) => operand.evaluate(scope, argument);
}

function unquote(literal: string): string {
  const inner = literal.slice(1, -1);
  return literal.startsWith("`") ? inner : inner.replace(/\\(["\\])/g, "$1");
}
