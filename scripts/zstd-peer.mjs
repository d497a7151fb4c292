// Gazette's broker with Zstandard, which the peers are built without: `gazette-zstd` in their folder. Needs Go and a C
// compiler; a minute and a half on two cores, nothing when it is there.
//
//   node scripts/zstd-peer.mjs FOLDER-OF-THE-ARCHIVE FOLDER-OF-THE-PEERS

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const [source, peers] = process.argv.slice(2).map((folder) => resolve(folder));
if (source === undefined || peers === undefined) throw new Error("two folders are needed");
const archive = readdirSync(source).find((name) => /^gazette-core-.*\.tar\.gz$/.test(name));
if (archive === undefined) throw new Error(`${source} has no archive of gazette-core`);
const program = join(peers, "gazette-zstd");
if (!existsSync(program)) {
  const folder = mkdtempSync(join(tmpdir(), "millrace-zstd-"));
  try {
    execFileSync("tar", ["-xzf", join(source, archive), "-C", folder]);
    const build = ["build", "-ldflags=-s -w", "-o", `${program}.part`, "./cmd/gazette"];
    const env = { ...process.env, CGO_ENABLED: "1", GOFLAGS: "-trimpath" };
    execFileSync("go", build, { cwd: join(folder, "gazette-core"), env, stdio: ["ignore", 2, 2] });
    renameSync(`${program}.part`, program);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
