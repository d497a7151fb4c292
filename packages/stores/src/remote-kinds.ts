// The kinds of remote stores, each with a real server to test it against.
import { systemClock, type Clock } from "@millrace/base";
import { peerProgram, seededRandom } from "@millrace/base/testkit";
import type { ObjectStore } from "./object-store.ts";
import { openStores } from "./open-stores.ts";
import {
  azureEnvironment,
  startAzurite,
  startFakeGcs,
  startMinio,
  startVersity,
  type StoreServer,
} from "./system-store-servers.ts";

export interface RemoteKind {
  readonly name: string;
  /** Why it cannot be tested here. */
  readonly missing: string | false;
  /** Whether a URL without a valid signature is refused. */
  readonly checksSignatures: boolean;
  /** Whether a part that is sent twice is stored twice: an emulator's fault, which the sum at the end must show. */
  readonly repeatsParts: boolean;
  start(): Promise<StoreServer>;
  /**
   * @param address of the server, or of a proxy before it
   * @param below `bucket/prefix/`
   * @param args `?find=…`, or ""
   */
  open(address: string, below: string, args: string): ObjectStore;
}

/** Waits between attempts are a twentieth of what they should be. */
const clock: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 20, signal) };
const ports = { root: "/nowhere", clock, random: seededRandom("remote") };

function s3Kind(name: string, start: (path: string) => Promise<StoreServer>): RemoteKind {
  const peer = peerProgram(name);
  return {
    name: `s3 on ${name}`,
    missing: peer.missing,
    checksSignatures: true,
    repeatsParts: false,
    start: () => start(peer.path),
    open: (address, below, args) => {
      const joined = args === "" ? "?" : `${args}&`;
      return openStores(ports).open(`s3://${below}${joined}endpoint=${address}`);
    },
  };
}

function gcsKind(): RemoteKind {
  const peer = peerProgram("fake-gcs-server");
  return {
    name: "gs on fake-gcs-server",
    missing: peer.missing,
    checksSignatures: false,
    repeatsParts: true,
    start: () => startFakeGcs(peer.path),
    open: (address, below, args) =>
      openStores({ ...ports, env: { STORAGE_EMULATOR_HOST: address } }).open(`gs://${below}${args}`),
  };
}

const azureKind: RemoteKind = {
  name: "azure on azurite",
  missing: false,
  checksSignatures: true,
  repeatsParts: false,
  start: () => startAzurite(),
  open: (address, below, args) => {
    const env = azureEnvironment(address);
    return openStores({ ...ports, env }).open(`azure://${below}${args}`);
  },
};

export const REMOTE_KINDS: readonly RemoteKind[] = [
  s3Kind("minio", startMinio),
  s3Kind("versitygw", startVersity),
  gcsKind(),
  azureKind,
];
