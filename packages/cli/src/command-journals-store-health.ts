// `millrace journals store-health`: its options.
import type { Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import type { StoreHealthOptions } from "./run-journals-store-health.ts";
import { addBrokerOptions } from "./system-broker-door.ts";

export function addJournalsStoreHealth(group: Command, io: CliIo): void {
  const command = group
    .command("store-health")
    .description("Ask the broker whether it can write to, read from and list a fragment store")
    .argument("<STORE_URL>", "as in a journal's spec, e.g. file:///")
    .option(
      "--check-delete-prefix <PREFIX>",
      "also write and delete an object below it; '' is the store's root",
    )
    .option("--json", "print the answer as JSON");
  addBrokerOptions(command).action(async (url: string, options: StoreHealthOptions) => {
    const { runStoreHealth } = await import("./run-journals-store-health.ts");
    await runStoreHealth(url, options, io);
  });
}
