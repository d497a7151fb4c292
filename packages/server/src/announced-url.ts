// What a process tells others that its listener is called.
import { endpointUrl } from "./endpoints.ts";
import type { ListenAddress } from "./setting-kinds.ts";

const EVERYWHERE: ReadonlySet<string> = new Set(["", "0.0.0.0", "[::]", "::"]);

/**
 * @param at as bound
 * @param hostname of this machine, for a listener on every interface
 */
export function announcedUrl({ host, port }: Pick<ListenAddress, "host" | "port">, hostname: string): string {
  return endpointUrl(EVERYWHERE.has(host) ? hostname : host, port);
}
