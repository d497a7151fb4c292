// Tokens in Authorization headers, compared in a time that does not depend on where they differ.

/** The token of `Bearer <token>`, if it is one. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
}

/** Whether `authorization` is `Bearer <token>`. An empty `token` means that none is needed. */
export function bearsToken(authorization: string | undefined, token: string): boolean {
  if (token === "") return true;
  const given = bearerToken(authorization);
  return given !== undefined && equalSecret(given, token);
}

/** Equality of two secrets: the time depends on the length of `given` only. */
export function equalSecret(given: string, secret: string): boolean {
  let difference = given.length ^ secret.length;
  for (let i = 0; i < given.length; i++) {
    difference |= given.charCodeAt(i) ^ (i < secret.length ? secret.charCodeAt(i) : 0xffff);
  }
  return difference === 0;
}
