// Where everything listens: `<data>/endpoints.json`.

export interface Endpoints {
  readonly pid: number;
  /** Only where it was asked for. */
  readonly etcd?: string;
  readonly broker: string;
  readonly api: string;
  readonly "http-source": string;
  readonly warehouse: string;
  readonly console: string;
  /** Only of a process that works for others of its etcd. */
  readonly work?: string;
}

/** URL of an address as bound: IPv6 hosts get their brackets. */
export function endpointUrl(host: string, port: number): string {
  const name = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
  return `http://${name}:${port}`;
}
