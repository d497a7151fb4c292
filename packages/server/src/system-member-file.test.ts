import assert from "node:assert/strict";
import { cpSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readMember, writeMember } from "./system-member-file.ts";

test("member file: the directory has its lease, a copy of it has none", () => {
  const data = mkdtempSync(join(tmpdir(), "millrace-member-"));
  const member = { cluster: 5n, prefix: "/gazette/cluster", id: "broker-1", lease: 7n };
  writeMember(data, member);
  assert.deepEqual(readMember(data), member);
  const copy = mkdtempSync(join(tmpdir(), "millrace-member-"));
  cpSync(data, copy, { recursive: true });
  assert.deepEqual(readMember(copy), { ...member, lease: undefined });
  writeMember(copy, member);
  assert.deepEqual(readMember(copy), member);
});
