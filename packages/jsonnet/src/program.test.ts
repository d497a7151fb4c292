import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { compile, JsonnetError, type Imported, type NativeFunction, type Program } from "./index.ts";

interface Request {
  readonly body: unknown;
  readonly ip: string;
}

function pathOf(value: string): string[] {
  if (value.includes("[")) throw new Error(`bad path "${value}"`);
  return value.split(".");
}

function find(body: unknown, path: readonly string[]): unknown {
  let at = body;
  for (const step of path)
    at = typeof at === "object" && at !== null ? (at as Record<string, unknown>)[step] : undefined;
  return at;
}

let specialCalls = 0;

const Body: NativeFunction<Request> = {
  parameters: ["path?", "default?"],
  call: ([path, fallback], { body }) => {
    const value = typeof path === "string" ? find(body, pathOf(path)) : body;
    if (value !== undefined) return value;
    if (fallback !== undefined) return fallback;
    throw new Error(`path ${JSON.stringify(path)} not found in the body`);
  },
  specialize: ([path, fallback]) => {
    if (typeof path !== "string" || fallback !== undefined) return undefined;
    const steps = pathOf(path);
    return ({ body }) => {
      specialCalls++;
      const value = find(body, steps);
      if (value === undefined) throw new Error(`path "${path}" not found in the body`);
      return value;
    };
  },
};

const natives = {
  Body,
  Ip: { parameters: [], call: (_: unknown, { ip }: Request) => ip },
  Join: { parameters: ["a", "b?"], call: (args: readonly unknown[]) => JSON.stringify(args) },
  Fails: { parameters: [], call: () => assert.fail("told by the host") },
  Nonsense: { parameters: [], call: () => Number.NaN },
} satisfies Record<string, NativeFunction<Request>>;

const request: Request = { ip: "10.0.0.1", body: { a: { b: "c", n: [1, { d: null }] }, __proto__x: 1 } };

function evaluate(text: string): unknown {
  return compile(text, { natives }).evaluate(request);
}

function messageOf(text: string): string {
  try {
    evaluate(text);
  } catch (error) {
    assert.ok(error instanceof JsonnetError, String(error));
    return `${error.kind} ${error.message}`;
  }
  return assert.fail(`${text} gave a value`);
}

describe("functions of the host", () => {
  test("are called by name, and by std.native", () => {
    assert.equal(evaluate("Body('a.b') + Ip()"), "c10.0.0.1");
    assert.equal(evaluate("std.native('Ip')()"), "10.0.0.1");
    assert.equal(evaluate("local f = Body; f('a.' + 'b')"), "c");
    assert.equal(evaluate("std.map(Body, ['a.b'])[0]"), "c");
    assert.equal(evaluate("Body(path='x', default='none')"), "none");
    assert.equal(evaluate("local Body(x) = 'mine'; Body('a.b')"), "mine");
  });

  test("get their arguments as data, and undefined for what is not given", () => {
    assert.equal(evaluate("Join({b: [1, null], a:: 2}, 'x')"), '[{"b":[1,null]},"x"]');
    assert.equal(evaluate("Join(1)"), "[1]");
    assert.equal(evaluate("Join(b=2, a=1)"), "[1,2]");
  });

  test("give JSON that is read like the program's own", () => {
    assert.equal(evaluate("local b = Body(); b.a.n[1].d"), null);
    assert.deepEqual(evaluate("std.objectFields(Body().a)"), ["b", "n"]);
    assert.equal(compile("Body() {a+: {b:: 1}}", { natives }).evaluateText(request).includes('"b"'), false);
    assert.equal(evaluate("'constructor' in Body()"), false);
  });

  test("fail with the position of the call and the host's words", () => {
    assert.equal(messageOf("1 + Body('x')"), 'runtime 1:5-14 path "x" not found in the body');
    assert.equal(messageOf("Body('x' + Ip())"), 'runtime 1:1-17 path "x10.0.0.1" not found in the body');
    assert.equal(messageOf("Fails()"), "runtime 1:1-8 told by the host");
    assert.equal(messageOf("Nonsense()"), "runtime 1:1-11 the host gave NaN, which is no number of JSON");
    assert.equal(messageOf("Join()"), "runtime 1:1-7 Missing argument: a");
    assert.equal(messageOf("Ip(1)"), "runtime 1:1-6 function expected 0 positional argument(s), but got 1");
  });

  test("are specialized when all arguments are known", () => {
    specialCalls = 0;
    const program = compile("Body('a.' + 'b')", { natives });
    assert.equal(program.evaluate(request), "c");
    assert.equal(specialCalls, 1);
    assert.equal(messageOf("if false then Body('a[') else 1"), 'static 1:15-25 bad path "a["');
    assert.equal(evaluate("[Body(p) for p in ['a.b']][0]"), "c");
    assert.equal(specialCalls, 1);
  });
});

test("external variables are asked for once an evaluation", () => {
  let asked = 0;
  const options = { variables: { name: (context: string) => (asked++, { value: context }) } };
  const program = compile("std.extVar('name').value + std.extVar('name').value", options);
  assert.equal(program.evaluate("a"), "aa");
  assert.equal(program.evaluate("b"), "bb");
  assert.equal(asked, 2);
  const other = compile("std.extVar('toString')", options);
  assert.throws(() => other.evaluate("a"), /1:1-23 Undefined external variable: toString/);
});

describe("imports", () => {
  const files: Readonly<Record<string, string | Uint8Array>> = {
    "lib/a": "local b = import 'b'; {x: b.y, file: std.thisFile}",
    "lib/b": "{y: 1, back: (import 'a').x}",
    "lib/wrong": "{\n  a: Unknown\n}",
    "lib/bytes": Uint8Array.of(1, 255),
    "lib/loop": "import 'loop'",
  };
  let reads = 0;
  const imports = (path: string, from: string): Imported | undefined => {
    const file = from.startsWith("lib/") ? `lib/${path}` : path;
    const content = files[file];
    reads++;
    return content === undefined ? undefined : { file, content };
  };
  const run = (text: string): unknown => compile(text, { file: "main", imports }).evaluate(undefined);

  test("are refused without a resolver", () => {
    assert.throws(() => compile("import 'x'"), /^JsonnetError: 1:1-11 import of "x" is not allowed$/);
    assert.throws(() => compile("if false then importstr 'x'"), /import of "x" is not allowed/);
  });

  test("are found relative to who imports, compiled once, and may go in circles", () => {
    assert.deepEqual(
      run("(import 'lib/a') + {back: (import 'lib/b').back}"),
      Object.assign(Object.create(null), {
        back: 1,
        file: "lib/a",
        x: 1,
      }),
    );
    assert.ok(reads < 10);
    assert.throws(() => run("import 'lib/loop'"), /max stack frames exceeded/);
  });

  test("give texts and bytes", () => {
    assert.equal(run("importstr 'lib/loop'"), "import 'loop'");
    assert.deepEqual(run("importbin 'lib/bytes'"), [1, 255]);
  });

  test("tell whose mistake it is", () => {
    assert.throws(() => run("import 'lib/wrong'"), /lib\/wrong:2:6-13 Unknown variable: Unknown/);
    assert.throws(() => run("import 'lib/none'"), /main:1:1-18 import of "lib\/none" is not allowed/);
  });
});

test("a program may be evaluated within its own evaluation", () => {
  const own: { program?: Program<number> } = {};
  const Again: NativeFunction<number> = {
    parameters: [],
    call: (_, depth) => (depth === 0 ? 0 : own.program!.evaluate(depth - 1)),
  };
  own.program = compile("local x = Again(); [x, std.extVar('depth')]", {
    natives: { Again },
    variables: { depth: (depth: number) => depth },
  });
  assert.deepEqual(own.program.evaluate(2), [[[0, 0], 1], 2]);
});

test("an evaluation that failed leaves nothing to the next", () => {
  const program = compile("local x = Body('n'); if x > 1 then error 'big' else {a: x}", { natives });
  for (let i = 0; i < 10; i++) {
    assert.throws(() => program.evaluate({ ip: "", body: { n: 2 } }), /big/);
    assert.equal(program.evaluateText({ ip: "", body: { n: 1 } }), '{"a":1}');
  }
});

test("values are the evaluation's own", () => {
  const program = compile("{a: [1, 2], __proto__: {b: 1}}");
  const first = program.evaluate(undefined) as { a: number[] };
  first.a.push(3);
  assert.equal(JSON.stringify(program.evaluate(undefined)), '{"__proto__":{"b":1},"a":[1,2]}');
  assert.equal(Object.getPrototypeOf(program.evaluate(undefined)), null);
});

test("a hundred thousand evaluations keep no memory", () => {
  const program = compile("local f(x) = {a: x, b: [x, self.a]}; f(Body('a.b')) + {c: std.extVar('v')}", {
    natives,
    variables: { v: () => ({ deep: ["x".repeat(100)] }) },
  });
  const run = (count: number): number => {
    for (let i = 0; i < count; i++) program.evaluate(request);
    (globalThis as { gc?: () => void }).gc?.();
    return process.memoryUsage().heapUsed;
  };
  const before = run(20_000);
  const grown = run(100_000) - before;
  // One kept evaluation would be more than 500 bytes: 50 MB in all.
  assert.ok(grown < 30_000_000, `${grown} bytes`);
});
