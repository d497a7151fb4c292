// Who may use the broker's doors, as the configuration says: the platform's token, and keys of signed tokens. The same
// credentials let brokers into each other's.
import type { Clock } from "@millrace/base";
import { Authoriser, type Credentials } from "@millrace/broker";
import { AuthKeys } from "@millrace/client";
import type { Config } from "./settings.ts";

export function brokerCredentials(config: Config): Credentials {
  const keys = config["broker.auth-keys"];
  return { token: config["auth.token"], keys: keys === "" ? undefined : AuthKeys.parse(keys) };
}

export function brokerAuthoriser(config: Config, clock: Clock): Authoriser {
  return new Authoriser(brokerCredentials(config), clock);
}
