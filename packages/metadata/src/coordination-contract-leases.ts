// The cases of the coordination contract about leases.
import { equal, notEqual, ok } from "node:assert/strict";
import { utf8 } from "@millrace/base";
import type { ContractStep } from "./coordination-contract.ts";

export const leaseCases: Record<string, ContractStep> = {
  "lease: ids differ and are not 0; unknown ones are NOT_FOUND": async (w) => {
    const one = await w.store.grantLease(10, w.signal);
    const two = await w.store.grantLease(10, w.signal);
    notEqual(one, 0n);
    notEqual(one, two);
    ok(one > 0n && one < 1n << 63n);
    await w.store.revokeLease(one, w.signal);
    await w.refused(w.store.keepAlive(one, w.signal), "NOT_FOUND", "etcdserver: requested lease not found");
    await w.refused(w.store.revokeLease(one, w.signal), "NOT_FOUND", "etcdserver: requested lease not found");
    await w.refused(w.put("a", "1", one), "NOT_FOUND", "etcdserver: requested lease not found");
    equal(await w.store.keepAlive(two, w.signal), 10);
  },
  "lease: TTL out of range -> INVALID_ARGUMENT": async (w) => {
    const text = "etcdserver: too large lease TTL";
    await w.refused(w.store.grantLease(9_000_000_001, w.signal), "INVALID_ARGUMENT", text);
    await w.refused(w.store.grantLease(0, w.signal), "INVALID_ARGUMENT", "lease TTL 0");
    await w.refused(w.store.grantLease(1.5, w.signal), "INVALID_ARGUMENT", "lease TTL 1.5");
  },
  "lease: revoked -> its keys go in one revision, in key order": async (w) => {
    const lease = await w.store.grantLease(10, w.signal);
    await w.put("b", "1", lease);
    await w.put("a", "1", lease);
    const before = await w.put("c", "1");
    await w.store.revokeLease(lease, w.signal);
    equal(await w.list(), "c=1");
    equal(await w.revision(), before + 1);
    equal(await w.events(2, before + 1), "a-@0 b-@0");
  },
  "lease: a later put decides whose key it is": async (w) => {
    const one = await w.store.grantLease(10, w.signal);
    const two = await w.store.grantLease(10, w.signal);
    for (const name of ["moved", "freed", "kept", "deleted"]) await w.put(name, "1", one);
    await w.put("moved", "2", two);
    await w.put("freed", "2");
    await w.write([{ kind: "put", key: w.key("kept"), value: utf8("2"), ignoreLease: true }]);
    await w.delete("deleted");
    await w.put("deleted", "2");
    const { kvs } = await w.store.range({ key: w.key("kept") }, w.signal);
    equal(kvs[0]!.lease, one);
    await w.store.revokeLease(one, w.signal);
    equal(await w.list(), "deleted=2 freed=2 moved=2");
    await w.store.revokeLease(two, w.signal);
    equal(await w.list(), "deleted=2 freed=2");
  },
  "lease: not renewed -> ends after its time, keys in one revision": async (w) => {
    const lease = await w.store.grantLease(4, w.signal);
    await w.put("a", "1", lease);
    const before = await w.put("b", "1", lease);
    await w.advance(2000);
    equal(await w.list(), "a=1 b=1");
    await w.advance(4000);
    equal(await w.list(), "");
    equal(await w.revision(), before + 1);
    await w.refused(w.store.keepAlive(lease, w.signal), "NOT_FOUND", "requested lease not found");
  },
  "lease: renewed -> lives on": async (w) => {
    const lease = await w.store.grantLease(4, w.signal);
    await w.put("a", "1", lease);
    for (let i = 0; i < 3; i++) {
      await w.advance(2000);
      equal(await w.store.keepAlive(lease, w.signal), 4);
    }
    equal(await w.list(), "a=1");
    await w.advance(6000);
    equal(await w.list(), "");
  },
  "lease: without keys -> its end makes no revision": async (w) => {
    const lease = await w.store.grantLease(2, w.signal);
    const before = await w.put("a", "1");
    await w.advance(4000);
    await w.refused(w.store.keepAlive(lease, w.signal), "NOT_FOUND", "requested lease not found");
    equal(await w.revision(), before);
  },
};
