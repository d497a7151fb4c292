// Who may use the broker's doors, as the configuration says: the platform's token, and keys of signed tokens.
import type { Clock } from "@millrace/base";
import { Authoriser } from "@millrace/broker";
import { AuthKeys } from "@millrace/client";
import type { Config } from "./settings.ts";

export function brokerAuthoriser(config: Config, clock: Clock): Authoriser {
  const keys = config["broker.auth-keys"];
  const credentials = {
    token: config["auth.token"],
    keys: keys === "" ? undefined : AuthKeys.parse(keys),
  };
  return new Authoriser(credentials, clock);
}
