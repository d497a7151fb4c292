// The records of the demo, in a fixed order: what record n is never changes, so that a replay can resume at any n.
// Source: US flight records as the package vega-datasets ships them: 20,000 rows of JSON, then 3,000,000 of Parquet.

export interface Flight {
  /** `2001/01/01 00:47`. */
  readonly date: string;
  readonly delay: number;
  readonly distance: number;
  readonly origin: string;
  readonly destination: string;
}

/** The record that is sent: a flight and its number in the replay. */
export interface DemoRecord extends Flight {
  readonly row: number;
}

/** Rows of the two sets, known beforehand so that a set is read only when the replay gets there. */
export const JSON_FLIGHTS = 20_000;
export const PARQUET_FLIGHTS = 3_000_000;

export interface FlightData {
  /** Number of flights. */
  readonly count: number;
  /** Flights [begin, end). */
  read(begin: number, end: number): Promise<readonly Flight[]>;
}

/** The given data sets, one after the other. */
export function concatFlights(sets: readonly FlightData[]): FlightData {
  return {
    count: sets.reduce((sum, set) => sum + set.count, 0),
    read: async (begin, end) => {
      const flights: Flight[] = [];
      let base = 0;
      for (const set of sets) {
        const from = Math.max(0, begin - base);
        const to = Math.min(set.count, end - base);
        if (from < to) flights.push(...(await set.read(from, to)));
        base += set.count;
      }
      return flights;
    },
  };
}

/** NDJSON of records [begin, begin + flights.length). */
export function demoBody(flights: readonly Flight[], begin: number): string {
  let body = "";
  for (const [i, flight] of flights.entries()) {
    const record: DemoRecord = { row: begin + i, ...flight };
    body += `${JSON.stringify(record)}\n`;
  }
  return body;
}
