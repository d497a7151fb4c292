// Who serves: process identities and the specs that members announce.

/** Identity of a process: its failure domain, and a name unique in it. Ordered by (zone, suffix). */
export interface ProcessId {
  readonly zone: string;
  readonly suffix: string;
}

export interface ProcessSpec {
  readonly id: ProcessId;
  /** URL that others dial, e.g. `http://host:8080` or `unix://host/path`. */
  readonly endpoint: string;
}

/** What a broker announces of itself. On the wire `id` and `endpoint` are nested in a ProcessSpec. */
export interface BrokerSpec extends ProcessSpec {
  /** Most journals it takes. */
  readonly journalLimit: number;
  /** Draining: wants to hand over everything it has. */
  readonly exiting: boolean;
}
