// A broker on an etcd with users: the role that docs/cluster.md grants is enough, and one that lacks a prefix is told.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { never, utf8 } from "@millrace/base";
import { peerProgram } from "@millrace/base/testkit";
import { appendOnce, applyJournals } from "@millrace/client";
import { EtcdProcess } from "@millrace/metadata/testkit";
import { upsertChange } from "@millrace/protocol";
import { specOf } from "./test-cluster-load.ts";
import { missingEtcd, releaseCluster, TestBrokerProcess } from "./test-cluster.ts";

const etcdctl = peerProgram("etcdctl");
const GUIDE = new URL("../../../docs/cluster.md", import.meta.url);

after(releaseCluster);

/** What stands in the guide, as a shell would run it. */
function guideCommands(): readonly string[][] {
  const lines = readFileSync(GUIDE, "utf8").split("\n");
  return lines
    .filter((line) => /^etcdctl (role|user) /.test(line))
    .map((line) => line.replaceAll("'", "").split(" ").slice(1));
}

test(
  "etcd with users: the guide's role -> a broker serves; without a prefix -> it ends, naming the key",
  { skip: missingEtcd("etcd's own") || etcdctl.missing, timeout: 240_000 },
  async () => {
    const etcd = await EtcdProcess.start();
    const ctl = (...args: readonly string[]): void => {
      const env = { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", ETCDCTL_API: "3" };
      execFileSync(etcdctl.path, ["--endpoints", etcd.address, ...args], { env, stdio: "pipe" });
    };
    try {
      ctl("user", "add", "root:root");
      ctl("user", "grant-role", "root", "root");
      const commands = guideCommands();
      assert.equal(commands.length, 6);
      for (const command of commands) ctl(...command);
      ctl("auth", "enable");
      const flags = ["--etcd.user", "millrace", "--etcd.password", "secret"];
      const broker = await TestBrokerProcess.started({ etcd: etcd.address, flags });
      const transport = broker.transport();
      await applyJournals(
        transport,
        [upsertChange(specOf("a/journal", 0, { prefix: "a", journals: 1, replication: 1 }), 0)],
        never,
      );
      await appendOnce(transport, "a/journal", { kind: "bytes", bytes: [utf8("x\n")] }, {}, never);
      await transport.close();
      await broker.stop();

      const root = ["--user", "root:root"];
      ctl(...root, "role", "revoke-permission", "millrace", "--prefix=true", "/millrace/");
      const denied = await TestBrokerProcess.at({ etcd: etcd.address, flags });
      denied.launch();
      assert.notEqual((await denied.life.ended(60_000)).code, 0);
      assert.match(denied.life.stderr, /permission denied \(key \/millrace\/\)/);
    } finally {
      await etcd.close();
    }
  },
);
