// Runs the demo against a platform that is ready, and tells a person what goes on.
import type { Clock, Logger } from "@millrace/base";
import { Demo, type DemoProgress } from "./demo.ts";
import type { Endpoints } from "./endpoints.ts";
import type { Screen } from "./screen.ts";
import { openDemoData } from "./system-demo-data.ts";
import { openDemoDoors } from "./system-demo-doors.ts";

export interface DemoSettings {
  /** Records of the whole replay; undefined = all there are. */
  readonly rows: number | undefined;
  /** Records a second. */
  readonly rate: number;
  /** Whether the process ends when the replay does: then nobody needs to be told what to try. */
  readonly exit: boolean;
}

export interface DemoSummary {
  readonly accepted: number;
  readonly rows: number;
  readonly seconds: number;
  readonly recordsPerSecond: number;
}

interface DemoPlatform {
  readonly endpoints: Endpoints;
  readonly token: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Replays until `settings.rows` records are rows. @param signal ends the replay by rejecting with its reason */
export async function runDemo(
  platform: DemoPlatform,
  settings: DemoSettings,
  screen: Screen,
  signal: AbortSignal,
): Promise<DemoSummary> {
  const { endpoints, token } = platform;
  const doors = openDemoDoors({ ...endpoints, token });
  const data = openDemoData();
  try {
    const demo = new Demo({ doors, data, clock: platform.clock, logger: platform.logger });
    const url = await demo.prepare(signal);
    if (!settings.exit) screen.tell(whatToTry(endpoints, url));
    const show = progressLine(screen);
    const progress = await demo.replay(
      url,
      { rows: settings.rows ?? data.count, rate: settings.rate, onProgress: show },
      signal,
    );
    screen.endLive();
    const seconds = progress.elapsedMs / 1000;
    const recordsPerSecond = seconds === 0 ? 0 : Math.round(progress.accepted / seconds);
    return { accepted: progress.accepted, rows: progress.rows, seconds: round3(seconds), recordsPerSecond };
  } finally {
    await data.close();
    await doors.close();
  }
}

function whatToTry(endpoints: Endpoints, url: string): string {
  const record = `{"origin":"PRG","destination":"LIS","delay":3}`;
  const select =
    "select origin, count(*) as flights from main.flights group by origin order by 2 desc limit 5";
  const query = `{"query":"${select}"}`;
  return [
    "",
    "Flight records are being replayed into the table main.flights. Try:",
    `  curl -H 'content-type: application/json' -d '${record}' ${url}`,
    `  curl -H 'content-type: application/json' -d '${query}' ${endpoints.warehouse}/sql`,
    `  echo hello | curl -T - ${endpoints.broker}/examples/foobar && curl ${endpoints.broker}/examples/foobar`,
    "",
    "",
  ].join("\n");
}

/** A line that is rewritten on a terminal, and written now and then elsewhere. */
function progressLine(screen: Screen): (progress: DemoProgress) => void {
  let last = { accepted: 0, elapsedMs: 0 };
  let calls = 0;
  return (progress) => {
    const elapsedMs = progress.elapsedMs - last.elapsedMs;
    const rate = elapsedMs <= 0 ? 0 : Math.round(((progress.accepted - last.accepted) / elapsedMs) * 1000);
    last = { accepted: progress.accepted, elapsedMs: progress.elapsedMs };
    const seconds = (progress.elapsedMs / 1000).toFixed(1);
    const { accepted, rows, lag } = progress;
    const line = `${seconds}s  accepted ${accepted}  rows ${rows}  lag ${lag}  ${rate} records/s`;
    if (screen.isTerminal || calls++ % 4 === 0) screen.live(line);
  };
}

function round3(value: number): number {
  return Math.round(value * 1000) / 1000;
}
