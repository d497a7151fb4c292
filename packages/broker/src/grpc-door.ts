// The broker's gRPC door: `protocol.Journal` (sections 1 and 5) over the callbacks of a transport. Framing is that of
// Gazette: its clients depend on it.
//
//  D1  Nobody is served before the authoriser allowed it, and nothing of what he sent is read.
//  D2  Statuses of journals travel in answers; calls fail with the text of what is wrong with them (grpc-status.ts).
//  D3  A listing has at most 25 journals a message, its header in the first only; watched, an empty message ends it.
//  D4  A read has its header in the first message only; a chunk has its offset, content of at most 32736 bytes, and
//      nothing else.
import { WireError, type Clock } from "@millrace/base";
import type { JournalTransport } from "@millrace/client";
import type { CallHandler, CallHandlers, ServerCall, StatusCode } from "@millrace/grpc";
import {
  EMPTY_PROCESS_ID,
  JOURNAL_SERVICE,
  readChunkHead,
  type FragmentStoreHealthRequest,
  type FragmentStoreHealthResponse,
  type Header,
  type ListRequest,
  type ListResponse,
  type ReadRequest,
} from "@millrace/protocol";
import type { Authoriser, Principal, RefuseAppend } from "./authoriser.ts";
import type { PrincipalJournals } from "./principal-journals.ts";
import { grpcAppend } from "./grpc-append.ts";
import { oneRequest, type Answering } from "./grpc-calls.ts";
import { grpcPeerDoor } from "./grpc-peer-door.ts";
import { statusCodeOf } from "./grpc-status.ts";
import { GRPC_READ_CHUNK_BYTES, LIST_MESSAGE_JOURNALS } from "./limits.ts";

export interface GrpcDoorOptions {
  readonly authoriser: Authoriser;
  readonly clock: Clock;
  /** The journals as `principal` may see them. @throws {WireError} UNAVAILABLE while the broker starts */
  readonly journals: (principal: Principal) => PrincipalJournals;
  readonly storeHealth: (
    request: FragmentStoreHealthRequest,
    signal: AbortSignal,
  ) => Promise<FragmentStoreHealthResponse>;
  /** Why nobody may append to a journal, fit for who tried. Default: all may. */
  readonly refuseAppend?: RefuseAppend;
}

/** Handlers of every method, by path. */
export function grpcDoor(options: GrpcDoorOptions): CallHandlers {
  const { authoriser, clock, storeHealth } = options;
  // Between opening a stream and its request a client may take as long as it likes.
  const journals: GrpcDoorOptions["journals"] = (principal) => {
    refuseEnded(principal, clock);
    return options.journals(principal);
  };
  const admit =
    (need: "LIST" | "APPLY" | "READ" | "APPEND" | "REPLICATE") =>
    (call: ServerCall): Principal =>
      authoriser.authorise(call.metadata.get("authorization"), need);
  const { apply, append, list, listFragments, fragmentStoreHealth, read } = JOURNAL_SERVICE;
  const appends = grpcAppend({
    clock,
    admit: admit("APPEND"),
    appendsOf: (principal) => options.journals(principal).appends,
    refuseAppend: options.refuseAppend ?? (() => undefined),
  });
  const handlers: [string, CallHandler][] = [
    [append.path, appends],
    [
      list.path,
      oneRequest(list.decodeRequest, admit("LIST"), (request, call, principal) =>
        serveList(journals(principal).transport, request, call),
      ),
    ],
    [
      read.path,
      oneRequest(read.decodeRequest, admit("READ"), (request, call, principal) =>
        serveRead(journals(principal).transport, request, call),
      ),
    ],
    [
      apply.path,
      oneRequest(
        apply.decodeRequest,
        admit("APPLY"),
        async (request, call, principal) => {
          const answer = await journals(principal).transport.apply(request, call.signal);
          await call.send(apply.encodeResponse(answer));
        },
        applyCodeOf,
      ),
    ],
    [
      listFragments.path,
      oneRequest(listFragments.decodeRequest, admit("READ"), async (request, call, principal) => {
        const answer = await journals(principal).transport.listFragments(request, call.signal);
        await call.send(listFragments.encodeResponse(answer));
      }),
    ],
    [
      fragmentStoreHealth.path,
      oneRequest(fragmentStoreHealth.decodeRequest, admit("READ"), async (request, call, principal) => {
        refuseEnded(principal, clock);
        await call.send(fragmentStoreHealth.encodeResponse(await storeHealth(request, call.signal)));
      }),
    ],
    ...grpcPeerDoor(admit("REPLICATE"), (principal) => journals(principal).peers ?? refusePeers(), clock),
  ];
  return new Map(handlers);
}

/** @throws {WireError} UNAUTHENTICATED */
function refuseEnded({ expiresAtMs }: Principal, clock: Clock): void {
  if (expiresAtMs !== Number.POSITIVE_INFINITY && clock.wallMs() >= expiresAtMs)
    throw new WireError("UNAUTHENTICATED", "the token of the request has expired");
}

/** Gazette's clients know a change that is not theirs to make by this code. */
function applyCodeOf(error: WireError): StatusCode {
  return error.code === "FORBIDDEN" ? "UNAUTHENTICATED" : statusCodeOf(error);
}

function refusePeers(): never {
  throw new WireError("METHOD_NOT_ALLOWED", "this broker does not replicate journals");
}

async function serveList(transport: JournalTransport, request: ListRequest, call: Answering): Promise<void> {
  if (!request.watch) {
    await sendSnapshot(await transport.list(request, call.signal), call);
    return;
  }
  for await (const snapshot of transport.watchList(request, call.signal)) {
    await sendSnapshot(snapshot, call);
    await call.send(JOURNAL_SERVICE.list.encodeResponse(END_OF_SNAPSHOT));
  }
}

/** Nobody: the header of a message that has none. */
const ZERO_HEADER: Header = {
  processId: EMPTY_PROCESS_ID,
  route: { members: [], primary: 0, endpoints: [] },
  etcd: { clusterId: 0n, memberId: 0n, revision: 0, raftTerm: 0n },
};
const END_OF_SNAPSHOT: ListResponse = { status: "OK", header: ZERO_HEADER, journals: [] };

/** D3 */
async function sendSnapshot(snapshot: ListResponse, call: Answering): Promise<void> {
  const { status, header, journals } = snapshot;
  const encode = JOURNAL_SERVICE.list.encodeResponse;
  await call.send(encode({ status, header, journals: journals.slice(0, LIST_MESSAGE_JOURNALS) }));
  for (let at = LIST_MESSAGE_JOURNALS; at < journals.length; at += LIST_MESSAGE_JOURNALS) {
    const some = journals.slice(at, at + LIST_MESSAGE_JOURNALS);
    await call.send(encode({ status: "OK", header: ZERO_HEADER, journals: some }));
  }
}

/** D4 */
async function serveRead(transport: JournalTransport, request: ReadRequest, call: Answering): Promise<void> {
  for await (const response of transport.read(request, call.signal)) {
    const { content, offset } = response;
    if (content === undefined) {
      await call.send(JOURNAL_SERVICE.read.encodeResponse(response));
      continue;
    }
    for (let at = 0; at < content.length; at += GRPC_READ_CHUNK_BYTES) {
      const piece = content.subarray(at, at + GRPC_READ_CHUNK_BYTES);
      const room = call.send(readChunkHead(offset + at, piece.length), piece);
      if (room !== undefined) await room;
    }
  }
}
