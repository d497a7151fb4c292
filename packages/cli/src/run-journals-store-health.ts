// `millrace journals store-health`.
import { WireError } from "@millrace/base";
import { newFragmentStoreHealthRequest, validateFragmentStoreHealthRequest } from "@millrace/protocol";
import type { CliIo } from "./cli-io.ts";
import { withBroker, type BrokerDoorOptions } from "./system-broker-door.ts";

export interface StoreHealthOptions extends BrokerDoorOptions {
  readonly checkDeletePrefix?: string;
  readonly json?: true;
}

export async function runStoreHealth(url: string, options: StoreHealthOptions, io: CliIo): Promise<void> {
  const request = newFragmentStoreHealthRequest({
    fragmentStore: url,
    checkDelete: options.checkDeletePrefix !== undefined,
    checkDeletePrefix: options.checkDeletePrefix ?? "",
  });
  validateFragmentStoreHealthRequest(request);
  const { status, storeHealthError } = await withBroker(options, io, ({ transport }) =>
    transport.storeHealth(request, io.signal),
  );
  if (options.json === true) {
    io.out(`${JSON.stringify({ store: url, healthy: status === "OK", error: storeHealthError })}\n`);
    if (status !== "OK") io.exitCode(1);
    return;
  }
  if (status !== "OK") {
    throw new WireError("UNAVAILABLE", `fragment store ${url} is unhealthy: ${storeHealthError || status}`);
  }
  io.out(`Fragment store ${url} is healthy\n`);
}
