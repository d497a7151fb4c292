// The linter's configuration is only as good as what it catches: each rule that the house style names is shown
// a line that breaks it.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

const CASES: readonly [rule: string, code: string][] = [
  ["no-floating-promises", "async function f(): Promise<void> {}\nf();\n"],
  [
    "no-misused-promises",
    "async function f(): Promise<boolean> { return true; }\nif (f()) process.exit();\n",
  ],
  ["no-explicit-any", "export const a: any = 1;\n"],
  ["ban-ts-comment", "// @ts-" + "ignore\nexport const a: number = 1;\n"],
  ["eqeqeq", "export const f = (a: number) => a == 1;\n"],
  [
    "switch-exhaustiveness-check",
    'export function f(a: "x" | "y") { switch (a) { case "x": return 1; } return 2; }\n',
  ],
];

test("lint: a line against each rule of the house -> found; calls of node:test -> allowed", () => {
  // Inside the repository, so that its configuration and compiler options apply.
  const folder = mkdtempSync(join(ROOT, "scripts", "lint-test-"));
  try {
    for (const [rule, code] of CASES) writeFileSync(join(folder, `${rule}.ts`), code);
    writeFileSync(join(folder, "fine.ts"), 'import test from "node:test";\ntest("a", async () => {});\n');
    writeFileSync(
      join(folder, "tsconfig.json"),
      '{ "extends": "../../tsconfig.tools.json", "include": ["*.ts"] }',
    );
    const oxlint = join(ROOT, "node_modules", ".bin", "oxlint");
    const args = ["--type-aware", "--format", "json", folder];
    const { stdout } = spawnSync(oxlint, args, { cwd: ROOT, encoding: "utf8" });
    const { diagnostics } = JSON.parse(stdout) as { diagnostics: { code: string; filename: string }[] };
    for (const [rule] of CASES) {
      const found = diagnostics.filter(({ filename }) => filename.endsWith(`${rule}.ts`));
      assert.ok(
        found.some(({ code }) => code.includes(`(${rule})`)),
        `${rule}: ${JSON.stringify(found)}`,
      );
    }
    assert.deepEqual(
      diagnostics.filter(({ filename }) => filename.endsWith("fine.ts")),
      [],
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
