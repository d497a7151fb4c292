import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { never, text, utf8, WireError } from "@millrace/base";
import { settle } from "@millrace/base/testkit";
import {
  ANY_LABELS,
  FLAG,
  newFragmentsRequest,
  type ReadRequest,
  type ReadResponse,
} from "@millrace/protocol";
import { applySpec, journalSpec, preamble, readAll, readRequest } from "./broker-testkit.ts";
import { openTestCluster, type ClusterMember, type TestCluster } from "./cluster-testkit.ts";
import { openPuppet, serves, whenAborted, type Puppet, type ReadScript } from "./puppet-testkit.ts";

const J = "a/journal";
const CONTENT = "0123456789";

async function withCluster(
  run: (cluster: TestCluster, own: ClusterMember, other: ClusterMember) => Promise<void>,
): Promise<void> {
  const cluster = await openTestCluster();
  try {
    const [first] = cluster.members;
    await cluster.within(applySpec(first!.transport, journalSpec(J)));
    const content = { kind: "bytes", bytes: [utf8(CONTENT)] } as const;
    const { header } = await cluster.within(first!.transport.append(preamble(J), content, never));
    const own = cluster.members.find(({ id }) => id.suffix === header.processId.suffix)!;
    await run(
      cluster,
      own,
      cluster.members.find((member) => member !== own)!,
    );
  } finally {
    await cluster.close();
  }
}

describe("a read at a broker that does not have the journal", () => {
  test("the member's messages as they are; do_not_proxy -> refused", async () => {
    await withCluster(async (cluster, own, other) => {
      const messages = async (fields: Partial<ReadRequest>, at = other): Promise<ReadResponse[]> => {
        const all: ReadResponse[] = [];
        const read = async (): Promise<void> => {
          for await (const message of at.transport.read(readRequest(J, fields), never)) all.push(message);
        };
        await cluster.within(read());
        return all;
      };
      for (const fields of [{}, { offset: 3, endOffset: 7 }, { metadataOnly: true }, { offset: -1 }]) {
        assert.deepEqual(await messages(fields), await messages(fields, own), JSON.stringify(fields));
      }
      const [refused] = await messages({ doNotProxy: true });
      assert.equal(refused?.status, "NOT_JOURNAL_BROKER");
    });
  });

  test("blocking -> what comes later comes through; the caller's abort ends it at the member, too", async () => {
    await withCluster(async (cluster, own, other) => {
      const abort = new AbortController();
      const messages = other.transport.read(readRequest(J, { offset: 10, block: true }), abort.signal);
      const reading = messages[Symbol.asyncIterator]();
      const first = reading.next();
      await settle();
      const more = { kind: "bytes", bytes: [utf8("more")] } as const;
      await own.transport.append(preamble(J), more, never);
      assert.equal((await cluster.within(first)).value?.offset, 10);
      const second = await cluster.within(reading.next());
      assert.equal(text((second.value as ReadResponse).content!), "more");
      const next = reading.next();
      await settle();
      abort.abort(new WireError("UNAVAILABLE", "enough"));
      await assert.rejects(next, { message: "enough" });
    });
  });

  test("fragments -> the member's page", async () => {
    await withCluster(async (cluster, own, other) => {
      const request = newFragmentsRequest({ journal: J });
      const [here, there] = [own, other].map(({ transport }) => transport.listFragments(request, never));
      assert.deepEqual((await cluster.within(there!)).fragments, (await here!).fragments);
      assert.equal((await here!).fragments.length, 1);
      const direct = { ...request, doNotProxy: true };
      assert.equal((await other.transport.listFragments(direct, never)).status, "NOT_JOURNAL_BROKER");
    });
  });

  test("fragments of a journal that is not there, or not to be read -> says so, wherever asked", async () => {
    await withCluster(async (cluster, own, other) => {
      const statuses = async (journal: string): Promise<readonly string[]> => {
        const asked = [own, other].map(({ transport }) =>
          cluster.within(transport.listFragments(newFragmentsRequest({ journal }), never)),
        );
        return (await Promise.all(asked)).map(({ status }) => status);
      };
      assert.deepEqual(await statuses(J), ["OK", "OK"]);
      assert.deepEqual(await statuses("not/there"), ["JOURNAL_NOT_FOUND", "JOURNAL_NOT_FOUND"]);
      await cluster.within(applySpec(own.transport, journalSpec(J, { flags: FLAG.O_WRONLY })));
      await cluster.agenda.advance(100);
      assert.deepEqual(await statuses(J), ["NOT_ALLOWED", "NOT_ALLOWED"]);
    });
  });

  test("the member refuses connections -> UNAVAILABLE after a while, and nothing was said before", async () => {
    await withCluster(async (cluster, own, other) => {
      cluster.network.isTelling = false;
      own.kill();
      await assert.rejects(cluster.within(readAll(other.transport, readRequest(J), never)), {
        code: "UNAVAILABLE",
        message: /connection refused/,
      });
    });
  });
});

describe("a member that keeps no lists and has come late", () => {
  test("-> the one that has it is asked, also by those who wait; alone, what it says comes through", async () => {
    const cluster = await openTestCluster({ zones: ["a"], journalLimit: 0 });
    try {
      const { transport } = cluster.members[0]!;
      let whole = "";
      const script =
        (suffix: string): ReadScript =>
        (request, signal) => {
          if (suffix === whole) return serves(request, CONTENT);
          return request.block ? waits(signal) : serves(request, CONTENT.slice(4), 4);
        };
      const puppets: Puppet[] = [];
      for (const suffix of ["puppet-0", "puppet-1"])
        puppets.push(await openPuppet(cluster, { suffix, read: script(suffix) }));
      await cluster.within(applySpec(transport, { ...journalSpec(J), replication: 2 }));
      await cluster.agenda.advance(100);
      const read = async (fields: Partial<ReadRequest>): Promise<string> => {
        let all = "";
        for await (const { status, content } of transport.read(readRequest(J, fields), never)) {
          all += text(content ?? new Uint8Array(0));
          if (status !== "OK") all += ` ${status}`;
        }
        return all;
      };
      const { journals } = await cluster.within(
        transport.list({ selector: ANY_LABELS, watch: false }, never),
      );
      const { members, primary } = journals[0]!.route;
      assert.equal(members.length, 2);
      for (const one of [primary, 1 - primary]) {
        whole = members[one]!.suffix;
        for (let i = 0; i < 3; i++)
          assert.equal(await cluster.within(read({})), `${CONTENT} OFFSET_NOT_YET_AVAILABLE`);
      }
      // Z4
      for (const { id, requests } of puppets)
        for (const { header } of requests) assert.deepEqual(header?.processId, id);
      whole = members[primary]!.suffix;
      const waiting = { block: true, endOffset: CONTENT.length };
      for (let i = 0; i < 3; i++) assert.equal(await cluster.within(read(waiting)), CONTENT);
      whole = "nobody";
      assert.equal(await cluster.within(read({})), " OFFSET_NOT_YET_AVAILABLE");
      assert.ok(puppets.every(({ requests }) => requests.length > 0));
    } finally {
      await cluster.close();
    }
  });

  async function* waits(signal: AbortSignal): AsyncGenerator<ReadResponse> {
    yield await whenAborted(signal);
  }
});

describe("a member that goes away in the middle", () => {
  /** A broker that has no journals, and two puppets that share them. */
  async function withPuppets(
    scripts: readonly [ReadScript, ReadScript],
    run: (
      cluster: TestCluster,
      reading: Promise<ReadResponse[]>,
      puppets: readonly Puppet[],
    ) => Promise<void>,
  ): Promise<void> {
    const cluster = await openTestCluster({ zones: ["a"], journalLimit: 0 });
    try {
      // Whoever serves first plays the first script.
      const order: string[] = [];
      const script = (suffix: string): ReadScript => {
        return (request, signal) => {
          if (!order.includes(suffix)) order.push(suffix);
          return scripts[order.indexOf(suffix)]!(request, signal);
        };
      };
      const puppets: Puppet[] = [];
      for (const suffix of ["puppet-0", "puppet-1"]) {
        puppets.push(await openPuppet(cluster, { suffix, read: script(suffix) }));
      }
      const { transport } = cluster.members[0]!;
      await cluster.within(applySpec(transport, journalSpec(J)));
      await cluster.agenda.advance(100);
      const all: ReadResponse[] = [];
      const read = async (): Promise<ReadResponse[]> => {
        const request = readRequest(J, { block: true, endOffset: CONTENT.length });
        for await (const message of transport.read(request, never)) all.push(message);
        return all;
      };
      const reading = read();
      reading.catch(() => undefined);
      for (let i = 0; i < 20; i++) await settle();
      const first = puppets.find(({ requests }) => requests.length > 0)!;
      await run(cluster, reading, [first, puppets.find((each) => each !== first)!]);
    } finally {
      await cluster.close();
    }
  }

  const goesOnElsewhere = (messages: readonly ReadResponse[], second: Puppet): void => {
    assert.equal(messages.map(({ content }) => text(content ?? new Uint8Array(0))).join(""), CONTENT);
    assert.deepEqual(
      messages.map(({ header }) => header !== undefined),
      messages.map((_, index) => index === 0),
    );
    assert.deepEqual(
      second.requests.map(({ offset }) => offset),
      [4],
    );
  };

  test("its stream ends early -> the read goes on at the next, from where it stood", async () => {
    const first: ReadScript = async function* (request, signal) {
      yield* serves(request, CONTENT.slice(0, 4));
      await whenAborted(signal).catch(() => undefined);
    };
    await withPuppets(
      [first, (request) => serves(request, CONTENT)],
      async (cluster, reading, [one, two]) => {
        await one!.leave();
        goesOnElsewhere(await cluster.within(reading), two!);
      },
    );
  });

  test("its connection hangs -> the read goes on when its member key is gone", async () => {
    const first: ReadScript = async function* (request, signal) {
      yield* serves(request, CONTENT.slice(0, 4));
      await whenAborted(signal);
    };
    await withPuppets(
      [first, (request) => serves(request, CONTENT)],
      async (cluster, reading, [one, two]) => {
        cluster.network.cut(cluster.members[0]!.id, one!.id);
        await one!.leave();
        goesOnElsewhere(await cluster.within(reading), two!);
        cluster.network.heal(cluster.members[0]!.id, one!.id);
      },
    );
  });

  test("it says where the rest is, again and again, and never gives it -> the read ends", async () => {
    const stuck: ReadScript = async function* (request) {
      for await (const message of serves(request, CONTENT)) {
        yield message;
        return;
      }
    };
    await withPuppets([stuck, stuck], async (cluster, reading, [one]) => {
      const messages = await cluster.within(reading);
      assert.ok(messages.length > 2 && one!.requests.length < 100);
    });
  });

  test("the next one gives again what was given -> the read fails, and nothing comes twice", async () => {
    const whole: ReadScript = (request) => serves({ ...request, offset: 0 }, CONTENT.slice(0, 4));
    await withPuppets([whole, whole], async (cluster, reading) => {
      await assert.rejects(cluster.within(reading), {
        code: "INTERNAL",
        message: "offset 0 came, after everything up to 4",
      });
    });
  });
});
