// Evaluations a CPU second on one core: `node packages/jsonnet/dist/program.bench.js`. The templates are such as sinks
// have; "record" is a record with five of them.
import { compile, type NativeFunction, type Program } from "./index.ts";

interface Request {
  readonly body: Readonly<Record<string, unknown>>;
}

function find(body: unknown, steps: readonly string[]): object {
  let at: unknown = body;
  for (const step of steps) at = (at as Record<string, unknown>)[step];
  return at as object;
}

function stepsOf(path: unknown): string[] {
  return typeof path === "string" ? path.split(".") : [];
}

const plain: NativeFunction<Request> = {
  parameters: ["path?"],
  call: ([path], { body }) => find(body, stepsOf(path)),
};

const natives: Record<string, NativeFunction<Request>> = {
  Plain: plain,
  Body: {
    ...plain,
    specialize: ([path]) => {
      const steps = stepsOf(path);
      return ({ body }) => find(body, steps);
    },
  },
  Now: { parameters: [], call: () => "2026-11-21T12:00:00.000Z" },
  Ip: { parameters: [], call: () => "127.0.0.1" },
};

const TEMPLATES = {
  path: "Body('a.b')",
  pathNotSpecialized: "Plain('a.b')",
  concatenation: "Body('a.b') + '-' + Body('name')",
  condition: "if Body('n') > 3 then Body('a.b') else 'small'",
  library: "std.asciiUpper(Body('a.b'))",
  format: "'%s:%d' % [Body('name'), Body('n')]",
  object: "{id: Body('name'), total: Body('n') * 2, tag: Body('tags')[0]}",
  local: "local b = Body(); b.a.b + b.name",
  comprehension: "[i.p * i.q for i in Body('items')]",
  fold: "std.foldl(function(s, i) s + i.p * i.q, Body('items'), 0)",
  wholeBody: "Body()",
};

const request: Request = {
  body: {
    a: { b: "hello" },
    n: 5,
    name: "x",
    tags: ["a", "b"],
    items: [
      { p: 1.5, q: 2 },
      { p: 3, q: 4 },
    ],
  },
};

const COUNT = 200_000;
const ROUNDS = 5;

/** The median of how often a CPU second has room for `programs`, one after another. */
function perSecond(programs: readonly Program<Request>[]): number {
  const figures: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const before = process.cpuUsage();
    for (let i = 0; i < COUNT; i++) for (const program of programs) program.evaluate(request);
    const used = process.cpuUsage(before);
    if (round > 0) figures.push(COUNT / ((used.user + used.system) / 1e6));
  }
  return Math.round(figures.sort((a, b) => a - b)[figures.length >> 1]!);
}

for (const [name, text] of Object.entries(TEMPLATES)) {
  const figure = perSecond([compile(text, { natives })]);
  process.stdout.write(`${JSON.stringify({ template: name, evaluationsPerSecond: figure })}\n`);
}

const record = ["Body('a.b')", "Now()", "Ip()", "std.asciiUpper(Body('name'))", "'%d' % Body('n')"];
const programs = record.map((text) => compile(text, { natives }));
process.stdout.write(`${JSON.stringify({ template: "record", recordsPerSecond: perSecond(programs) })}\n`);
