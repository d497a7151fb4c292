import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";

import { installComplaint, nodeComplaint } from "./install.mjs";

function complaint(wanted: object, installed?: object): string | undefined {
  const root = mkdtempSync(join(tmpdir(), "millrace-install-"));
  try {
    writeFileSync(join(root, "package-lock.json"), JSON.stringify({ packages: wanted }));
    if (installed !== undefined) {
      mkdirSync(join(root, "node_modules"));
      writeFileSync(
        join(root, "node_modules", ".package-lock.json"),
        JSON.stringify({ packages: installed }),
      );
    }
    return installComplaint(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

test("installComplaint: nothing installed, a package missing, another version -> said", () => {
  const wanted = { "": {}, "packages/base": {}, "node_modules/a": { version: "1.0.0" } };
  assert.match(complaint(wanted) ?? "", /nothing is installed/);
  assert.match(complaint(wanted, {}) ?? "", /node_modules\/a is missing/);
  const older = { "node_modules/a": { version: "0.9.0" } };
  assert.match(complaint(wanted, older) ?? "", /node_modules\/a is 0\.9\.0, the lock file says 1\.0\.0/);
});

test("installComplaint: all there, other platforms' binaries absent -> undefined", () => {
  const wanted = {
    "node_modules/a": { version: "1.0.0" },
    "node_modules/b": { version: "1.0.0", optional: true },
  };
  assert.equal(complaint(wanted, { "node_modules/a": { version: "1.0.0" } }), undefined);
});

test("nodeComplaint: below 20.19 -> a plain sentence", () => {
  assert.equal(nodeComplaint("20.18.3"), "Millrace needs Node.js >= 20.19, this is 20.18.3");
  for (const version of ["20.19.0", "20.20.2", "22.0.0", "24.21.0"])
    assert.equal(nodeComplaint(version), undefined);
});
