// The text form of selectors: comma-separated expressions `a = b`, `a != b`, `a in (b, c)`, `a not in (b)`, `a`,
// `!a`; `a:prefix` makes values match as prefixes. One optional space stands between tokens, no more.
// Expressions are tried in a fixed order and each takes what it matches off the front of the text.
import { invalid, within } from "@millrace/protobuf";
import { goQuote } from "./go-quote.ts";
import { validateLabelSelector, type LabelSelector } from "./label-selector.ts";
import { sortedSet, type Label } from "./label-set.ts";
import { SELECTOR_CHARS_MAX } from "./limits.ts";

const NAME = String.raw` ?([\p{L}\p{N}\-_+/.]{2,}(?::prefix)?)`;
const VALUE = String.raw` ?([\p{L}\p{N}\-_+/.=%]*)`;
const SET = String.raw` ?\(([^)]+)\)`;
const END = ` ?(?:,|$)`;

type Side = "include" | "exclude";
type Operand = "value" | "set" | "none";

const EXPRESSIONS: readonly { readonly pattern: RegExp; readonly side: Side; readonly operand: Operand }[] = [
  { pattern: anchored(`${NAME} ?=?=${VALUE}${END}`), side: "include", operand: "value" },
  { pattern: anchored(`${NAME} ?!=${VALUE}${END}`), side: "exclude", operand: "value" },
  { pattern: anchored(`${NAME} in${SET}${END}`), side: "include", operand: "set" },
  { pattern: anchored(`${NAME} not ?in${SET}${END}`), side: "exclude", operand: "set" },
  { pattern: anchored(`${NAME}${END}`), side: "include", operand: "none" },
  { pattern: anchored(` ?!${NAME}${END}`), side: "exclude", operand: "none" },
];
const SET_PART = anchored(`${VALUE}${END}`);

/**
 * The selector that `text` describes; "" matches everything.
 * @throws {WireError} INVALID_ARGUMENT that quotes the rest of the text from where it makes no sense
 */
export function parseLabelSelector(text: string): LabelSelector {
  if (text.length > SELECTOR_CHARS_MAX) {
    invalid(`selector is too long (${text.length} characters; expected <= ${SELECTOR_CHARS_MAX})`);
  }
  const labels: Record<Side, Label[]> = { include: [], exclude: [] };
  let rest = text;
  while (rest !== "") {
    const { side, added, length } = parseExpression(rest);
    labels[side].push(...added);
    rest = rest.slice(length);
  }
  const selector = { include: sortedSet(labels.include), exclude: sortedSet(labels.exclude) };
  validateLabelSelector(selector);
  return selector;
}

interface Parsed {
  readonly side: Side;
  readonly added: readonly Label[];
  readonly length: number;
}

function parseExpression(text: string): Parsed {
  for (const { pattern, side, operand } of EXPRESSIONS) {
    const match = pattern.exec(text);
    if (match === null) continue;
    const [whole, name, rest] = match;
    const values =
      operand === "set"
        ? within(`parsing ${goQuote(text)}`, () => parseSet(rest!))
        : [operand === "none" ? "" : rest!];
    return { side, added: values.map((value) => labelOf(name!, value)), length: whole.length };
  }
  return invalid(`could not match ${goQuote(text)} to a label selector expression`);
}

function parseSet(text: string): readonly string[] {
  const values: string[] = [];
  let rest = text;
  while (rest !== "") {
    const match = SET_PART.exec(rest);
    if (match === null) return invalid(`could not match ${goQuote(rest)} to a label selector set expression`);
    values.push(match[1]!);
    rest = rest.slice(match[0].length);
  }
  return values;
}

function labelOf(name: string, value: string): Label {
  const prefix = name.endsWith(":prefix");
  return { name: prefix ? name.slice(0, -":prefix".length) : name, value, prefix };
}

function anchored(pattern: string): RegExp {
  return new RegExp(`^${pattern}`, "u");
}
