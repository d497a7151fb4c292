import assert from "node:assert/strict";
import { test } from "node:test";
import { WireError, type Code, type Facts, type Logger } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import { FakeTransport } from "@millrace/client/testkit";
import { DueJournals } from "./due-journals.ts";
import { runPulse, type PulsePorts } from "./pulse.ts";

/** What is told of a journal that is due once, and whose first pulses fail. */
async function pulsed(failures: readonly Code[], seconds: number): Promise<readonly string[]> {
  const told: string[] = [];
  const note =
    (level: string) =>
    (event: string, { failures: count }: Facts = {}): void =>
      void told.push(`${level} ${event} ${String(count)}`);
  const levels = { debug: () => undefined, info: note("info"), warn: note("warn"), error: note("error") };
  const logger: Logger = { ...levels, with: () => logger };
  const clock = new SimulatedClock(new Agenda());
  const transport = new FakeTransport();
  for (const code of failures)
    transport.appendFaults.push({ error: new WireError(code, "it fails"), afterwards: false });
  const due = new DueJournals();
  const quiet: Pick<PulsePorts, "replicas" | "autoSuspend" | "isPrimary"> = {
    replicas: () => [],
    autoSuspend: () => false,
    isPrimary: () => true,
  };
  const stop = new AbortController();
  const running = runPulse({ clock, logger, transport, due, ...quiet }, stop.signal);
  due.add({ journal: "a/b" });
  await clock.agenda.advance(seconds * 1000);
  stop.abort(new Error("done"));
  await assert.rejects(running, /done/);
  assert.equal(transport.calls.length, Math.min(failures.length, seconds) + 1);
  return told;
}

function times(count: number, code: Code): readonly Code[] {
  return Array.from({ length: count }, () => code);
}

test("pulse: a journal changes hands, the next attempts go through -> no warning", async () => {
  assert.deepEqual(await pulsed(times(3, "UNAVAILABLE"), 30), []);
});

test("pulse: a failure that does not pass -> a warning after seconds, then ever more rarely", async () => {
  const warned = [4, 8, 16, 32].map((count) => `warn journal-pulse-failed ${count}`);
  assert.deepEqual(await pulsed(times(100, "UNAVAILABLE"), 60), warned);
});

test("pulse: a failure of another kind -> a warning at once", async () => {
  assert.deepEqual(await pulsed(times(1, "CORRUPT"), 10), ["warn journal-pulse-failed 1"]);
});
