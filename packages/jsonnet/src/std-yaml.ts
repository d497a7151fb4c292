// std.parseYaml, by the yaml package. What it recurses into is bounded before it does: see LOAD_MAX for why.
import { Lexer, parseAllDocuments, type Document } from "yaml";
import { fromHost } from "./host.ts";
import type { Runtime } from "./runtime.ts";
import { here } from "./std-types.ts";
import type { Value } from "./value.ts";

/** Of one text: the package takes up to some 10 us a character, more when a collection has thousands of elements. */
const CHARS_MAX = 16 * 1024;

/** Aliases of a text that may be resolved. */
const ALIASES_MAX = 100;

/** Nesting, reckoned as nestingOf() does. */
const NESTING_MAX = 300;

/** What the package takes of the stack, in expressions. */
const HEIGHT = 2000;

/** Kinds of scalars and collections that JSON does not have. */
const TAGS_LEFT_OUT = ["timestamp", "intTime", "floatTime", "binary", "omap", "pairs", "set"];

/** The package's mark before a token that is a scalar's text. */
const SCALAR = "\u001f";

/** One document as it is; several, or one after a `---`, as an array. */
export function parseYaml(text: string, rt: Runtime): Value {
  if (text.length > CHARS_MAX) {
    rt.failLimit(`a YAML text of ${text.length} characters, the limit is ${CHARS_MAX}`);
  }
  rt.charge(64 * text.length);
  rt.step(12 * text.length);
  const nesting = nestingOf(text);
  if (nesting > NESTING_MAX) {
    rt.fail(`failed to parse YAML: nesting and indentation of ${nesting}, at most ${NESTING_MAX}`);
  }
  rt.enter(here(rt), HEIGHT);
  let values: unknown[];
  try {
    const documents = parseAllDocuments(text, {
      version: "1.1",
      customTags: (tags) => tags.filter((tag) => typeof tag === "string" || !isLeftOut(tag.tag)),
      uniqueKeys: false,
      merge: true,
      logLevel: "silent",
      prettyErrors: false,
    });
    values = Array.isArray(documents) ? documents.map(valueOf) : [];
  } catch (error) {
    return rt.fail(`failed to parse YAML: ${(error as Error).message}`, undefined, error);
  }
  rt.leave();
  if (/^---(?:\s|$)/m.test(text)) return fromHost(values, rt, here(rt));
  return fromHost(values[0] ?? null, rt, here(rt));
}

function isLeftOut(tag: string): boolean {
  return TAGS_LEFT_OUT.some((name) => tag.endsWith(`:${name}`));
}

function valueOf(document: Document.Parsed): unknown {
  const [error] = document.errors;
  if (error !== undefined) throw error;
  return document.toJS({ maxAliasCount: ALIASES_MAX });
}

/** Not less than how deep the text's collections are: brackets, and twice the columns and indicators of a line. */
function nestingOf(text: string): number {
  let deepest = 0;
  let brackets = 0;
  let columns = 0;
  let isScalar = false;
  let isLineStart = true;
  for (const token of new Lexer().lex(text)) {
    if (isScalar) {
      isScalar = false;
      isLineStart = token.endsWith("\n");
      if (isLineStart) columns = 0;
      continue;
    }
    if (token === SCALAR) isScalar = true;
    else if (token === "[" || token === "{") brackets++;
    else if (token === "]" || token === "}") brackets--;
    else if (token === "-" || token === "?" || token === ":") columns++;
    else if (token.endsWith("\n")) columns = 0;
    else if (isLineStart && token.trim() === "") columns += token.length;
    isLineStart = token.endsWith("\n");
    deepest = Math.max(deepest, brackets + 2 * columns);
  }
  return deepest;
}
