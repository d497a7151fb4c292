// `millrace journals store-health`.
import { WireError } from "@millrace/base";
import {
  fragmentStoreHealthRequestToJson,
  fragmentStoreHealthResponseFromJson,
  newFragmentStoreHealthRequest,
  validateFragmentStoreHealthRequest,
} from "@millrace/protocol";
import type { CliIo } from "./cli-io.ts";
import { callDoor, type DoorOptions } from "./system-doors.ts";

export interface StoreHealthOptions extends DoorOptions {
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
  const call = {
    method: "POST",
    path: "/v1/journals/store-health",
    body: fragmentStoreHealthRequestToJson(request),
  } as const;
  const answer = await callDoor("broker", options, call, io.signal);
  const { status, storeHealthError } = fragmentStoreHealthResponseFromJson(JSON.parse(answer));
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
