import assert from "node:assert/strict";
import test from "node:test";

import fc from "fast-check";

import { importsOf, lineAt, pathsNamed, scan, scriptsOfComponent } from "./tidy-scan.ts";

const codeOf = (source: string): string => scan(source).code.replaceAll(/ +/g, " ").trim();

test("scan: comments -> blanked, lines kept", () => {
  const source = "a; // Date.now()\n/* b\n */ c;";
  assert.equal(codeOf(source).replaceAll(" ", ""), "a;\n\nc;");
  assert.equal(scan(source).code.length, source.length);
});

test("scan: string contents -> blanked, quotes and escapes respected", () => {
  assert.equal(codeOf(String.raw`f("a \" // b", 'c') + d`), `f(" ", ' ') + d`);
  assert.deepEqual(
    scan(`f("x", 'y')`).literals.map(({ value }) => value),
    ["x", "y"],
  );
});

test("scan: template -> text blanked, code inside kept, nested templates and braces too", () => {
  const kept = codeOf("`Date.now() ${ f({ a: `x ${ g() } y` }) } Math.random()` + h()");
  assert.match(kept, /f\(\{ a: ` \$\{ g\(\) \} ` \}\)/);
  assert.match(kept, /\+ h\(\)$/);
  assert.doesNotMatch(kept, /Date|Math/);
});

test("scan: regular expression -> blanked; division -> code", () => {
  assert.equal(codeOf('x = /a[/"]b/ + y'), "x = + y");
  assert.equal(codeOf("return /'/.test(s)"), "return .test(s)");
  assert.equal(codeOf("a = b / c / d; e('f')"), "a = b / c / d; e(' ')");
  assert.equal(codeOf("(a) / 2 + g('x')"), "(a) / 2 + g(' ')");
});

test("scan: any text -> same length, same line breaks", () => {
  const unit = fc.constantFrom("'", '"', "`", "${", "}", "{", "/", "*", "\\", "\n", "a", " ", "(");
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 40 }), (parts) => {
      const source = parts.join("");
      const { code } = scan(source);
      assert.equal(code.length, source.length);
      assert.equal(code.split("\n").length, source.split("\n").length);
    }),
  );
});

test("importsOf: each form -> specifier, line, and whether anything is left at run time", () => {
  const source = [
    'import { a } from "./a.ts";',
    'import type { B } from "./b.ts";',
    'import { type C } from "./c.ts";',
    'import type, { d } from "./d.ts";',
    'export type { E } from "./e.ts";',
    'export * from "./f.ts";',
    'import "./g.ts";',
    'const h = await import("./h.ts");',
    "import {\n  i,\n} from './i.ts';",
    'const notAnImport = from("./j.ts"); // import "./k.ts"',
  ].join("\n");
  assert.deepEqual(
    importsOf(scan(source)).map(({ specifier, typeOnly }) => [specifier, typeOnly]),
    [
      ["./a.ts", false],
      ["./b.ts", true],
      ["./c.ts", false],
      ["./d.ts", false],
      ["./e.ts", true],
      ["./f.ts", false],
      ["./g.ts", false],
      ["./h.ts", false],
      ["./i.ts", false],
    ],
  );
  assert.equal(importsOf(scan(source)).at(-1)?.line, 11);
});

test("pathsNamed: relative file names in literals -> found, other texts -> not", () => {
  assert.deepEqual(pathsNamed(scan('new URL("./main.js", u); f("./no slash"); g("../x/y.ts")')), [
    "./main.js",
    "../x/y.ts",
  ]);
});

test("scriptsOfComponent: markup -> blanked, script at its own lines", () => {
  const component = "<p>Date.now()</p>\n<script lang='ts'>\nlet a = 1;\n</script>\n<b>'</b>\n";
  const script = scriptsOfComponent(component);
  assert.equal(script.length, component.length);
  assert.equal(script.trim(), "let a = 1;");
  assert.equal(lineAt(script, script.indexOf("let")), 3);
});
