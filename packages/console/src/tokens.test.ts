// Contrast of the design tokens, as WCAG 2 computes it: AA asks for 4.5:1 of text, 3:1 of what stands for something.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const css = readFileSync(new URL("../src/tokens.css", import.meta.url), "utf8");
const blocks = css.split('[data-theme="dark"]');
const tokensOf = (block = ""): Map<string, string> =>
  new Map(
    [...block.matchAll(/(--[\w-]+): (#[0-9a-f]{6});/g)].map((match) => [match[1] ?? "", match[2] ?? ""]),
  );
const light = tokensOf(blocks[0]);
const dark = tokensOf(blocks[1]);

function luminance(color: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

const surfaces = ["--bg", "--surface", "--surface-2", "--surface-3"];
const pairs: readonly (readonly [string, readonly string[], number])[] = [
  ["--text", [...surfaces, "--ok-soft", "--warn-soft", "--bad-soft"], 7],
  ["--text-2", surfaces, 7],
  ["--text-3", ["--bg", "--surface", "--surface-2"], 4.5],
  ["--accent", ["--surface", "--surface-2"], 4.5],
  ["--accent-text", ["--accent"], 4.5],
  ["--ok", ["--surface", "--ok-soft"], 4.5],
  ["--warn", ["--surface", "--warn-soft"], 4.5],
  ["--bad", ["--surface", "--bad-soft"], 4.5],
  ["--series-a", ["--surface"], 3],
  ["--series-b", ["--surface"], 3],
  ["--focus", surfaces, 3],
];

for (const [name, tokens] of [
  ["light", light],
  ["dark", dark],
] as const) {
  for (const [ink, papers, least] of pairs) {
    test(`tokens: ${name}: ${ink} is readable where it stands`, () => {
      for (const paper of papers) {
        const ratio = contrast(tokens.get(ink) ?? "", tokens.get(paper) ?? "");
        assert.ok(ratio >= least, `${ink} on ${paper}: ${ratio.toFixed(2)} (at least ${least})`);
      }
    });
  }
}

test("tokens: dark and light define the same colours", () => {
  assert.deepEqual([...dark.keys()], [...light.keys()]);
});
