// `millrace brokers`: its commands and their options.
import { Option, type Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import type { BrokersDrainOptions, BrokersListOptions } from "./run-brokers.ts";
import { addBrokerPlaceOptions } from "./system-broker-door.ts";

export function addBrokersCommand(program: Command, io: CliIo): void {
  const group = program.command("brokers").description("The brokers of the cluster");
  addList(group, io);
  addDrain(group, io);
}

function addList(group: Command, io: CliIo): void {
  const command = group
    .command("list")
    .description("List the brokers of the cluster and how many journals each serves")
    .addOption(
      new Option("-o, --format <FORMAT>", "how to print").choices(["table", "yaml", "json"]).default("table"),
    )
    .option("--json", "the same as --format json: an array of brokers");
  addBrokerPlaceOptions(command).action(async (options: BrokersListOptions) => {
    const { runBrokersList } = await import("./run-brokers.ts");
    await runBrokersList(options, io);
  });
}

function addDrain(group: Command, io: CliIo): void {
  const command = group
    .command("drain")
    .description(
      "Make a broker leave: others take its journals, and it waits until what it alone holds is safe elsewhere. " +
        "Drained it runs on without journals, and can be stopped unnoticed; it takes some again only when it is " +
        "started anew",
    )
    .argument(
      "<BROKER>",
      "ZONE/ID as list shows it, e.g. local/broker-1, or the broker's own http://HOST:PORT",
    )
    .option("--no-wait", "only ask it, and do not wait until it is drained")
    .option("--timeout <DURATION>", "how long to wait (default: until it is interrupted)")
    .option("--force", "end the waiting: its next stop is at once, and what is printed stays behind")
    .option("--json", "print how far it is at the end as JSON");
  addBrokerPlaceOptions(command).action(async (broker: string, options: BrokersDrainOptions) => {
    const { runBrokersDrain } = await import("./run-brokers.ts");
    await runBrokersDrain(broker, options, io);
  });
}
