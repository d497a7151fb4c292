// Objects and the clauses of comprehensions.
import type { Assertion, Bind, ComprehensionClause, Expression, FieldDefinition, Visibility } from "./ast.ts";
import type { Parser } from "./parser.ts";

const VISIBILITIES: Readonly<Record<string, Visibility>> = {
  ":": "inherit",
  "::": "hidden",
  ":::": "visible",
};

interface Members {
  readonly locals: Bind[];
  readonly asserts: Assertion[];
  readonly fields: FieldDefinition[];
}

/** An object whose brace was taken. */
export function parseObject(parser: Parser, begin: number): Expression {
  const members: Members = { locals: [], asserts: [], fields: [] };
  let isFirst = true;
  while (!parser.accept("}")) {
    if (!isFirst) {
      if (parser.is("for")) return objectFor(parser, begin, members);
      const token = parser.peek();
      if (!parser.accept(",")) {
        parser.fail(token, `Expected a comma before next field, got ${parser.describe(token)}`);
      }
      if (parser.accept("}")) break;
      if (parser.is("for")) return objectFor(parser, begin, members);
    }
    member(parser, members);
    isFirst = false;
  }
  parser.uniqueNames(members.locals, "Duplicate local var");
  const { locals, asserts, fields } = members;
  const known = fields.flatMap(({ name, begin: from, end: to }) =>
    typeof name === "string" ? [{ name, begin: from, end: to }] : [],
  );
  parser.uniqueNames(known, "Duplicate field");
  return parser.node(
    { kind: "object", begin, end: parser.lastEnd, locals, asserts, fields },
    ...expressionsOf(members),
  );
}

/** `for x in … if … for …`, which begins with `for`. */
export function parseClauses(parser: Parser): ComprehensionClause[] {
  const clauses: ComprehensionClause[] = [];
  for (;;) {
    if (clauses.length === 0 || parser.is("for")) {
      parser.expect("for");
      const name = parser.identifier().text;
      parser.expect("in");
      clauses.push({ kind: "for", name, over: parser.expression() });
    } else if (parser.accept("if")) {
      clauses.push({ kind: "if", condition: parser.expression() });
    } else return clauses;
  }
}

function objectFor(parser: Parser, begin: number, members: Members): Expression {
  const at = parser.peek();
  const [field] = members.fields;
  if (members.asserts.length > 0) parser.fail(at, "Object comprehension cannot have asserts");
  if (field === undefined || members.fields.length > 1) {
    parser.fail(at, "Object comprehension can only have one field");
  }
  if (typeof field.name === "string") parser.fail(at, "Object comprehensions can only have [e] fields");
  parser.uniqueNames(members.locals, "Duplicate local var");
  const clauses = parseClauses(parser);
  parser.expect("}");
  return parser.node(
    { kind: "object-for", begin, end: parser.lastEnd, locals: members.locals, field, clauses },
    ...expressionsOf(members),
    ...clauses.map((clause) => (clause.kind === "for" ? clause.over : clause.condition)),
  );
}

function expressionsOf({ locals, asserts, fields }: Members): (Expression | undefined)[] {
  return [
    ...locals.map((bind) => bind.body),
    ...asserts.flatMap((assertion) => [assertion.condition, assertion.message]),
    ...fields.flatMap((field) => (typeof field.name === "string" ? [field.body] : [field.name, field.body])),
  ];
}

function member(parser: Parser, members: Members): void {
  if (parser.accept("local")) members.locals.push(parser.bind());
  else if (parser.is("assert")) members.asserts.push(parser.assertion());
  else members.fields.push(fieldOf(parser));
}

function fieldOf(parser: Parser): FieldDefinition {
  const token = parser.next();
  let name: string | Expression;
  if (token.kind === "identifier" || token.kind === "string") name = token.text;
  else if (token.kind === "symbol" && token.text === "[") {
    name = parser.expression();
    parser.expect("]");
  } else parser.fail(token, `Unexpected: ${parser.describe(token)} while parsing field definition`);
  const { begin } = token;
  const end = parser.lastEnd;
  if (parser.is("(")) {
    let visibility: Visibility = "inherit";
    const body = parser.method(begin, () => {
      const colons = fieldColons(parser);
      if (colons.plus) parser.fail({ begin, end }, `Cannot use +: syntax sugar in a method: ${token.text}`);
      visibility = colons.visibility;
    });
    return { name, begin, end, visibility, plus: false, body };
  }
  const { visibility, plus } = fieldColons(parser);
  return { name, begin, end, visibility, plus, body: parser.expression() };
}

function fieldColons(parser: Parser): { visibility: Visibility; plus: boolean } {
  const token = parser.next();
  const match = token.kind === "operator" ? /^(\+?)(:{1,3})$/.exec(token.text) : null;
  if (match === null) {
    parser.fail(token, `Expected one of :, ::, :::, +:, +::, +:::, got: ${parser.describe(token)}`);
  }
  const visibility = VISIBILITIES[match[2]!]!;
  return { visibility, plus: match[1] === "+" };
}
