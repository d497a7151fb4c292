import assert from "node:assert/strict";
import { test } from "node:test";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import { openTestDoor, turns, type TestDoor, type Wire } from "./http-plain-testkit.ts";

interface Fixture extends TestDoor {
  readonly agenda: Agenda;
  readonly wire: Wire;
}

async function withDoor(run: (fixture: Fixture) => Promise<void>): Promise<void> {
  const agenda = new Agenda();
  const opened = openTestDoor(new SimulatedClock(agenda));
  const wire = opened.connect(true);
  try {
    await run(Object.assign(opened, { agenda, wire }));
  } finally {
    wire.socket.destroy();
    opened.server.close();
  }
}

function put(content: string, lines: readonly string[] = [], path = "/a/journal"): Buffer {
  const head = [`PUT ${path} HTTP/1.1`, "Host: localhost", ...lines, `Content-Length: ${content.length}`];
  return Buffer.from(`${head.join("\r\n")}\r\n\r\n${content}`);
}

const GET = Buffer.from("GET /a/journal HTTP/1.1\r\nHost: localhost\r\n\r\n");

function statuses(wire: Wire): string[] {
  return wire.received.match(/^HTTP\/1\.1 \d+/gm)?.map((line) => line.slice(9)) ?? [];
}

/** Goes on to a time since the beginning. */
async function until(agenda: Agenda, atMs: number): Promise<void> {
  while (await agenda.step(atMs));
  await turns();
}

test("door: a plain PUT -> appended and answered without node:http; so are more on the connection", async () => {
  await withDoor(async (fixture) => {
    const { wire, journals, agenda } = fixture;
    for (const content of ["one", "two"]) await wire.send(put(content));
    assert.deepEqual(journals.appended, ["a/journal: one", "a/journal: two"]);
    assert.deepEqual(statuses(wire), ["204", "204"]);
    assert.match(wire.received, /X-Commit-Begin: 3\r\nX-Commit-End: 6\r\nX-Write-Head: 6\r\n/);
    assert.match(
      wire.received,
      /\r\nDate: [^\r]+ GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=60\r\n\r\n$/,
    );
    assert.equal(fixture.handedOver, 0);
    assert.equal(wire.socket.destroyed, false);
    await until(agenda, 62_000);
    assert.ok(wire.socket.destroyed, "ends after a minute of silence");
  });
});

test("door: answers come out of order -> they leave in order, those that are due together", async () => {
  await withDoor(async ({ wire, journals }) => {
    journals.isHeld = true;
    await wire.send(Buffer.concat(["1", "22", "333"].map((content) => put(content))));
    assert.equal(journals.waiting, 3);
    journals.release(1);
    await turns();
    assert.deepEqual(statuses(wire), []);
    journals.release(0);
    await turns();
    // Offsets say whose answer it is: the second one was committed first.
    assert.deepEqual(wire.received.match(/X-Commit-Begin: \d+/g), ["X-Commit-Begin: 2", "X-Commit-Begin: 0"]);
    journals.release();
    await turns();
    assert.deepEqual(statuses(wire), ["204", "204", "204"]);
  });
});

test("door: something else behind a PUT -> node:http's once the PUT is answered, with all that follows", async () => {
  await withDoor(async (fixture) => {
    const { wire, journals } = fixture;
    journals.isHeld = true;
    await wire.send(Buffer.concat([put("one"), GET.subarray(0, 20)]));
    await wire.send(GET.subarray(20));
    assert.equal(fixture.handedOver, 0);
    assert.ok(wire.socket.isPaused(), "nothing more is read");
    journals.isHeld = false;
    journals.release();
    await turns();
    assert.equal(fixture.handedOver, 1);
    assert.deepEqual(statuses(wire), ["204", "404"]);
    await wire.send(put("two"));
    assert.deepEqual(statuses(wire), ["204", "404", "204"]);
    assert.deepEqual(journals.appended, ["a/journal: one", "a/journal: two"]);
  });
});

test("door: a body in pieces -> appended whole; one that hangs -> node:http's, with all of its bytes", async () => {
  await withDoor(async (fixture) => {
    const { wire, journals, agenda } = fixture;
    const large = put("x".repeat(200_000));
    for (let at = 0; at < large.length; at += 65_536) await wire.send(large.subarray(at, at + 65_536));
    assert.equal(journals.appended[0]?.length, "a/journal: ".length + 200_000);
    await wire.send(put("slowly").subarray(0, -3));
    await until(agenda, 900);
    assert.equal(fixture.handedOver, 0);
    await until(agenda, 3000);
    assert.equal(fixture.handedOver, 1);
    await wire.send(Buffer.from("wly"));
    assert.equal(journals.appended[1], "a/journal: slowly");
    assert.deepEqual(statuses(wire), ["204", "204"]);
  });
});

test("door: a client that drips a body -> node:http's after a tick or two all the same", async () => {
  await withDoor(async (fixture) => {
    const { wire, agenda } = fixture;
    await wire.send(put("x".repeat(100)).subarray(0, -100));
    for (let i = 0; i < 6; i++) {
      await wire.send(Buffer.from("x"));
      await until(agenda, 500 * i);
    }
    assert.equal(fixture.handedOver, 1);
  });
});

test("door: the client says no more -> what it asked is answered, then the connection ends", async () => {
  await withDoor(async ({ wire, journals }) => {
    journals.isHeld = true;
    await wire.send(put("one"));
    await wire.end();
    assert.equal(wire.socket.destroyed, false);
    journals.release();
    await turns();
    assert.deepEqual(statuses(wire), ["204"]);
    assert.ok(wire.socket.destroyed);
  });
});

test("door: the client ends within a body -> refused as node:http does", async () => {
  await withDoor(async ({ wire, journals }) => {
    await wire.send(put("whole").subarray(0, -1));
    await wire.end();
    assert.deepEqual(statuses(wire), ["400"]);
    assert.deepEqual(journals.appended, []);
  });
});

test("door: a client that leaves before its answers -> nothing is written, nothing fails", async () => {
  await withDoor(async ({ wire, journals }) => {
    journals.isHeld = true;
    await wire.send(Buffer.concat([put("one"), put("two"), GET]));
    wire.socket.destroy();
    await turns();
    while (journals.waiting > 0) journals.release();
    await turns();
    assert.equal(wire.received, "");
  });
});

test("door: more requests at once than may be outstanding -> it stops reading until some are answered", async () => {
  await withDoor(async ({ wire, journals }) => {
    journals.isHeld = true;
    await wire.send(Buffer.concat(Array.from({ length: 128 }, () => put("x"))));
    assert.ok(wire.socket.isPaused());
    journals.release();
    await turns();
    assert.ok(!wire.socket.isPaused());
    while (journals.waiting > 0) journals.release();
    await turns();
    assert.equal(statuses(wire).length, 128);
  });
});

test("door: a client that does not read its answers -> is not read either, until it does", async () => {
  await withDoor(async ({ wire }) => {
    wire.isRead = false;
    for (let i = 0; i < 10 && !wire.socket.isPaused(); i++)
      await wire.send(Buffer.concat(Array.from({ length: 100 }, () => put("x"))));
    assert.ok(wire.socket.isPaused());
    wire.readOn();
    await turns();
    assert.ok(!wire.socket.isPaused());
  });
});

test("door: while the broker starts, or without leave to append -> node:http says why", async () => {
  await withDoor(async (fixture) => {
    fixture.isStarting = true;
    await fixture.wire.send(put("early"));
    assert.equal(fixture.handedOver, 1);
  });
  for (const [lines, path, status] of [
    [["Authorization: Bearer wrong"], "/a/journal", "401"],
    [[], "/closed/journal", "403"],
  ] as const) {
    await withDoor(async (fixture) => {
      await fixture.wire.send(put("x", lines, path));
      assert.deepEqual([fixture.handedOver, statuses(fixture.wire)], [1, [status]]);
      assert.deepEqual(fixture.journals.appended, []);
    });
  }
});

test("door: a journal closed to whoever sees it -> who does not is answered as for any other", async () => {
  await withDoor(async (fixture) => {
    await fixture.wire.send(put("x", ["Authorization: Bearer stranger"], "/closed/journal"));
    assert.equal(fixture.handedOver, 0);
    assert.deepEqual(fixture.journals.appended, ["closed/journal: x"]);
  });
});

test("door: a token that ends -> the append ends with it, and is served here", async () => {
  await withDoor(async (fixture) => {
    await fixture.wire.send(put("one", ["Authorization: Bearer passing"]));
    assert.deepEqual([fixture.handedOver, statuses(fixture.wire)], [0, ["204"]]);
  });
});

test("stop: idle connections end; one that waits ends behind its answer, which says so", async () => {
  await withDoor(async ({ wire, journals, door, connect }) => {
    const idle = connect(true);
    journals.isHeld = true;
    await wire.send(put("one"));
    const cut = new AbortController();
    door.stop(cut.signal);
    await turns();
    assert.ok(idle.socket.writableEnded);
    assert.equal(wire.socket.destroyed, false);
    journals.release();
    await turns();
    assert.match(wire.received, /\r\nConnection: close\r\n\r\n$/);
    assert.ok(wire.socket.destroyed);
  });
});

test("stop: the time is over -> what is left is cut", async () => {
  await withDoor(async ({ wire, journals, door }) => {
    journals.isHeld = true;
    await wire.send(put("one"));
    door.stop(AbortSignal.abort());
    assert.ok(wire.socket.destroyed);
    journals.release();
    await turns();
  });
});
