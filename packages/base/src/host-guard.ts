// Keeps web pages away from listeners whose callers need no credential (a loopback `up`): a page can make a browser
// send requests here, by DNS rebinding (wrong Host) or across origins (foreign Origin), but it can fake neither header.

export interface HostPolicy {
  /** Host names that requests may use, lowercase, without port; "any" when every caller must authenticate anyway. */
  readonly hosts: readonly string[] | "any";
  /** Origins besides the request's own, e.g. `https://console.example.com`. */
  readonly origins: readonly string[];
}

export const LOOPBACK_HOSTS: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];

/** Policy for a listener: loopback names, and the configured host's own name. */
export function hostPolicy(listenHost: string, authenticated: boolean): HostPolicy {
  if (authenticated) return { hosts: "any", origins: [] };
  const host = listenHost.includes(":")
    ? `[${listenHost.replaceAll(/[[\]]/g, "")}]`
    : listenHost.toLowerCase();
  const wildcard = host === "0.0.0.0" || host === "[::]";
  return { hosts: wildcard ? "any" : [...new Set([...LOOPBACK_HOSTS, host])], origins: [] };
}

/** Why a request is refused (403), or undefined when it is fine. Absent headers are undefined. */
export function refuseHost(
  host: string | undefined,
  origin: string | undefined,
  policy: HostPolicy,
): string | undefined {
  if (policy.hosts !== "any") {
    if (host === undefined) return "the Host header is missing";
    if (!policy.hosts.includes(hostName(host)))
      return `Host "${host}" is not one of ${policy.hosts.join(", ")}`;
  }
  if (origin === undefined || policy.origins.includes(origin)) return undefined;
  if (host !== undefined && (origin === `http://${host}` || origin === `https://${host}`)) return undefined;
  return `Origin "${origin}" may not use this address`;
}

/** Host name of a Host header, lowercase, without its port. */
function hostName(host: string): string {
  const end = host.startsWith("[") ? host.indexOf("]") + 1 : host.indexOf(":");
  return (end > 0 ? host.slice(0, end) : host).toLowerCase();
}
