// Where a PostgreSQL is and how to log in. Everything is said: nothing is taken from the environment of the process or
// from files of its user.

export interface PostgresConnection {
  /** Name or address; a path that begins with `/` is the directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  readonly tls: PostgresTls;
}

export type PostgresTls =
  /** Passwords are safe with SCRAM, rows are not: for a database on the same machine or a network of one's own. */
  | { readonly mode: "off" }
  /** Encrypted, whoever answers: against those who listen, not against those who answer in its place. */
  | { readonly mode: "unverified" }
  /** The server has a certificate for `host`, by an authority of the system, or by `ca`: PEM. */
  | { readonly mode: "verified"; readonly ca?: string };

/** What a driver wants to know, with nothing left to its defaults. */
export function tlsOptions(tls: PostgresTls): false | { rejectUnauthorized: boolean; ca?: string } {
  switch (tls.mode) {
    case "off":
      return false;
    case "unverified":
      return { rejectUnauthorized: false };
    case "verified":
      return tls.ca === undefined ? { rejectUnauthorized: true } : { rejectUnauthorized: true, ca: tls.ca };
  }
}
