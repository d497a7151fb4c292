// A broker's transport, from another host.
import type { JournalTransport } from "@millrace/client";
import { ask, follow, sendAppend, type CallPorts } from "./calls.ts";

/** @param served what listens at `to` when a call has come there */
export function remoteTransport(
  ports: CallPorts,
  to: string,
  served: () => JournalTransport,
): JournalTransport {
  return {
    append: (request, content, signal) =>
      sendAppend(ports, to, content, (received, there) => served().append(request, received, there), signal),
    read: (request, signal) => follow(ports, to, (there) => served().read(request, there), signal),
    list: (request, signal) => ask(ports, to, (there) => served().list(request, there), signal),
    watchList: (request, signal) => follow(ports, to, (there) => served().watchList(request, there), signal),
    apply: (request, signal) => ask(ports, to, (there) => served().apply(request, there), signal),
    listFragments: (request, signal) =>
      ask(ports, to, (there) => served().listFragments(request, there), signal),
  };
}
