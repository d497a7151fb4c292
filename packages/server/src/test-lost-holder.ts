// A journal whose only broker has lost its disk: for tests of the ways out.
import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { ask } from "./test-http.ts";
import { TestBrokerProcess, testEtcd } from "./test-cluster.ts";
import { BIN, scratch, until } from "./test-platform.ts";

const CALL_MS = 60_000;

export interface LostHolder {
  readonly broker: TestBrokerProcess;
  readonly journal: string;
  /** The text of a refusal; undefined when an append is taken. */
  readonly append: (text: string) => Promise<string | undefined>;
  readonly read: () => Promise<string>;
  readonly close: () => Promise<void>;
}

/** Appends `lost` to a journal, and takes the disk of its broker, which comes back with another one. */
export async function loseHolder(): Promise<LostHolder> {
  const etcd = await testEtcd("ours");
  await etcd.run();
  const place = { etcd: etcd.address, fileRoot: scratch(), flags: ["--etcd.lease", "5s"] };
  const broker = await TestBrokerProcess.started(place);
  const journal = "lost/one";
  const fragment = "{length: 1024, compression_codec: NONE, refresh_interval: 1s}";
  const spec = `name: ${journal}\nreplication: 1\nfragment: ${fragment}\n`;
  await runProgram(BIN, ["journals", "apply", "--specs", "-", "--broker.address", broker.url], spec);
  const append = async (text: string): Promise<string | undefined> => {
    const { status, text: said } = await ask(`${broker.url}/${journal}`, { method: "PUT", body: text });
    return status === 204 ? undefined : `${status} ${said}`;
  };
  let last: string | undefined;
  await until(
    () => `an append is taken: ${last}`,
    CALL_MS,
    async () => (last = await append("lost")) === undefined,
  );
  await broker.kill();
  rmSync(broker.data, { recursive: true, force: true });
  await broker.start();
  await until(
    () => `appends are refused for want of holders: ${last}`,
    CALL_MS,
    async () => /none of the brokers with the newest bytes/.test((last = await append("never")) ?? ""),
  );
  const read = async (): Promise<string> => (await ask(`${broker.url}/${journal}?offset=0&block=false`)).text;
  const close = async (): Promise<void> => {
    await broker.stop();
    await etcd.close();
  };
  return { broker, journal, append, read, close };
}

/** @returns what it says on stderr and stdout */
export function runProgram(program: string, args: readonly string[], stdin = ""): Promise<string> {
  const [file, all] = program === BIN ? [process.execPath, [BIN, ...args]] : [program, [...args]];
  return new Promise((resolve, reject) => {
    const child = execFile(file, all, { timeout: CALL_MS }, (error, stdout, stderr) => {
      if (error === null) resolve(`${stderr}${stdout}`);
      else reject(new Error(`${stderr}${stdout}`, { cause: error }));
    });
    child.stdin!.end(stdin);
  });
}
