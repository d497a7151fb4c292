import { deepEqual } from "node:assert/strict";
import { test } from "node:test";
import { WireError } from "@millrace/base";
import { failureOf, namingKeys } from "./etcd-errors.ts";

test("failures of etcd: truth table", () => {
  const table: readonly (readonly [code: string, message: string, verdict: string])[] = [
    ["OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted", "refused COMPACTED"],
    ["OUT_OF_RANGE", "etcdserver: mvcc: required revision is a future revision", "refused INVALID_ARGUMENT"],
    ["OUT_OF_RANGE", "etcdserver: too large lease TTL", "refused INVALID_ARGUMENT"],
    ["NOT_FOUND", "etcdserver: requested lease not found", "refused NOT_FOUND"],
    ["FAILED_PRECONDITION", "etcdserver: lease already exists", "refused CONFLICT"],
    ["INVALID_ARGUMENT", "etcdserver: duplicate key given in txn request", "refused INVALID_ARGUMENT"],
    [
      "INVALID_ARGUMENT",
      "etcdserver: authentication failed, invalid user ID or password",
      "refused UNAUTHENTICATED",
    ],
    ["INVALID_ARGUMENT", "etcdserver: user name is empty", "token UNAUTHENTICATED"],
    ["INVALID_ARGUMENT", "etcdserver: revision of auth store is old", "token UNAUTHENTICATED"],
    ["UNAUTHENTICATED", "etcdserver: invalid auth token", "token UNAUTHENTICATED"],
    ["PERMISSION_DENIED", "etcdserver: permission denied", "refused FORBIDDEN"],
    ["RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded", "refused DISK_FULL"],
    ["RESOURCE_EXHAUSTED", "received message larger than max", "refused TOO_LARGE"],
    ["RESOURCE_EXHAUSTED", "etcdserver: too many requests", "member UNAVAILABLE not"],
    ["UNAVAILABLE", "etcdserver: no leader", "member UNAVAILABLE not"],
    ["UNAVAILABLE", "etcdserver: rpc not supported for learner", "member UNAVAILABLE not"],
    ["UNAVAILABLE", "etcdserver: request timed out", "member UNAVAILABLE maybe"],
    ["UNAVAILABLE", "etcdserver: leader changed", "member UNAVAILABLE maybe"],
    ["UNAVAILABLE", "etcdserver: server stopped", "member UNAVAILABLE maybe"],
    ["DEADLINE_EXCEEDED", "", "member UNAVAILABLE maybe"],
    ["UNIMPLEMENTED", "unknown service", "refused INTERNAL"],
    ["DATA_LOSS", "etcdserver: corrupt cluster", "refused UNAVAILABLE"],
    ["A CODE TO COME", "?", "member UNAVAILABLE maybe"],
  ];
  const verdicts = table.map(([code, message]) => {
    const failure = failureOf({ code, message, maybeProcessed: true });
    const happened = failure.kind === "member" ? (failure.mayHaveHappened ? " maybe" : " not") : "";
    return [code, message, `${failure.kind} ${failure.error.code}${happened}`];
  });
  deepEqual(verdicts, table);
});

test("failures of etcd: never reached a member -> has not happened", () => {
  const failure = failureOf({ code: "UNAVAILABLE", message: "connection refused", maybeProcessed: false });
  deepEqual([failure.kind, failure.kind === "member" && failure.mayHaveHappened], ["member", false]);
});

test("failures of etcd: what it denies -> the keys are named, of many a few", () => {
  const says = (...keys: readonly string[]): string =>
    namingKeys(new WireError("FORBIDDEN", "denied"), keys).message;
  deepEqual(says("/a/b"), "denied (key /a/b)");
  deepEqual(says("a", "b"), "denied (one of the keys a, b)");
  deepEqual(says("a", "b", "c", "d", "e", "f"), "denied (one of the keys a, b, c, d and 2 more)");
});
