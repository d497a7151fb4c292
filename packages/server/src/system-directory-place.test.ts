import assert from "node:assert/strict";
import { mkdirSync, rmSync, statSync, symlinkSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { placeOf } from "./system-directory-place.ts";
import { scratch } from "./test-platform.ts";

test("place of a directory: the mount is the topmost directory on its file system", () => {
  assert.deepEqual(placeOf("/"), { host: hostname(), path: "/", mount: "/" });
  assert.equal(placeOf("/proc/sys/kernel").mount, "/proc");
  const path = join(scratch(), "a", "b");
  mkdirSync(path, { recursive: true });
  const { mount } = placeOf(path);
  assert.ok(`${path}/`.startsWith(mount));
  assert.equal(statSync(mount).dev, statSync(path).dev);
  assert.ok(mount === "/" || statSync(dirname(mount)).dev !== statSync(path).dev);
  rmSync(path, { recursive: true });
});

test("place of a directory: a link -> its own path, and the mount that it leads to", () => {
  const link = join(scratch(), "data");
  symlinkSync("/proc/sys", link);
  assert.deepEqual(placeOf(link), { host: hostname(), path: link, mount: "/proc" });
  rmSync(link);
});
