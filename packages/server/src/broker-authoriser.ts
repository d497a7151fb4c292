// Who may use the broker's doors, as the configuration says: the platform's token, and keys of signed tokens. The same
// credentials let brokers into each other's.
import { TokenBook, type Clock } from "@millrace/base";
import { Authoriser } from "@millrace/broker";
import { AuthKeys } from "@millrace/client";
import type { Config } from "./settings.ts";
import { isCluster } from "./system-coordination.ts";

/** What brokers send to each other. */
export function brokerCredentials(config: Config): {
  readonly token: string;
  readonly keys: AuthKeys | undefined;
} {
  const keys = config["broker.auth-keys"];
  return { token: config["auth.token"], keys: keys === "" ? undefined : AuthKeys.parse(keys) };
}

/** A broker of a cluster takes no token of a project: the others would have to send one, and Gazette's cannot. */
export function brokerAuthoriser(config: Config, tokens: TokenBook, clock: Clock): Authoriser {
  const { keys } = brokerCredentials(config);
  return new Authoriser(
    { keys, tokens: isCluster(config) ? new TokenBook(config["auth.token"]) : tokens },
    clock,
  );
}
