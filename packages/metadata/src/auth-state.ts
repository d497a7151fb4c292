// Who may use the store from outside: users with passwords, and whether they are asked for. Pure; in etcd's terms, and
// with its refusals. The only role is `root`, which may do everything.
import { unreachable } from "@millrace/base";
import { etcdRefusal } from "./etcd-refusals.ts";
import { USERS_MAX, USER_NAME_CHARS_MAX } from "./limits.ts";

export const ROOT = "root";

/** What is kept of a password. */
export interface PasswordHash {
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

export interface StoreUser {
  readonly name: string;
  /** Undefined: nobody can log in as this user. */
  readonly password: PasswordHash | undefined;
  /** Whether it has the role root. */
  readonly isRoot: boolean;
}

export interface AuthState {
  readonly enabled: boolean;
  /** One more with each change. */
  readonly revision: number;
  /** Whether somebody has added the role root, which exists in any case. */
  readonly hasRootRole: boolean;
  /** In the order of their names. */
  readonly users: readonly StoreUser[];
}

export const NO_AUTH: AuthState = { enabled: false, revision: 1, hasRootRole: false, users: [] };

export type AuthChange =
  | { readonly kind: "enable" | "disable" }
  | { readonly kind: "user-add"; readonly name: string; readonly password: PasswordHash | undefined }
  | { readonly kind: "user-password"; readonly name: string; readonly password: PasswordHash }
  | { readonly kind: "user-delete"; readonly name: string }
  | { readonly kind: "role-grant" | "role-revoke"; readonly name: string; readonly role: string }
  | { readonly kind: "role-add" | "role-delete"; readonly role: string };

export function userOf(auth: AuthState, name: string): StoreUser | undefined {
  return auth.users.find((user) => user.name === name);
}

/** The state after `change`; the same one when nothing changes. @throws {WireError} etcd's refusals */
export function changeAuth(auth: AuthState, change: AuthChange): AuthState {
  const next = changed(auth, change);
  return next === auth ? auth : { ...next, revision: auth.revision + 1 };
}

function changed(auth: AuthState, change: AuthChange): AuthState {
  switch (change.kind) {
    case "enable": {
      const root = userOf(auth, ROOT);
      if (root === undefined) throw etcdRefusal("rootUserMissing");
      if (!root.isRoot) throw etcdRefusal("rootRoleMissing");
      return auth.enabled ? auth : { ...auth, enabled: true };
    }
    case "disable":
      return auth.enabled ? { ...auth, enabled: false } : auth;
    case "user-add":
      return addUser(auth, { name: change.name, password: change.password, isRoot: false });
    case "user-password":
      return replaceUser(auth, { ...existing(auth, change.name), password: change.password });
    case "user-delete": {
      if (auth.enabled && change.name === ROOT) throw etcdRefusal("authManagement");
      const user = existing(auth, change.name);
      return { ...auth, users: auth.users.filter((other) => other !== user) };
    }
    case "role-grant": {
      const user = existing(auth, change.name);
      if (change.role !== ROOT) throw etcdRefusal("roleNotFound");
      return user.isRoot ? auth : replaceUser(auth, { ...user, isRoot: true });
    }
    case "role-revoke": {
      if (auth.enabled && change.name === ROOT && change.role === ROOT) throw etcdRefusal("authManagement");
      const user = existing(auth, change.name);
      if (change.role !== ROOT || !user.isRoot) throw etcdRefusal("roleNotGranted");
      return replaceUser(auth, { ...user, isRoot: false });
    }
    case "role-add":
      return addRole(auth, change.role);
    case "role-delete":
      return deleteRole(auth, change.role);
    default:
      return unreachable(change);
  }
}

function existing(auth: AuthState, name: string): StoreUser {
  const user = userOf(auth, name);
  if (user === undefined) throw etcdRefusal("userNotFound");
  return user;
}

function addUser(auth: AuthState, user: StoreUser): AuthState {
  if (user.name === "") throw etcdRefusal("userEmpty");
  if (user.name.length > USER_NAME_CHARS_MAX) {
    throw etcdRefusal("tooLarge", `user name of ${user.name.length} > ${USER_NAME_CHARS_MAX} characters`);
  }
  if (userOf(auth, user.name) !== undefined) throw etcdRefusal("userExists");
  if (auth.users.length >= USERS_MAX) throw etcdRefusal("tooManyRequests", `at most ${USERS_MAX} users`);
  const users = [...auth.users, user].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { ...auth, users };
}

function replaceUser(auth: AuthState, user: StoreUser): AuthState {
  return { ...auth, users: auth.users.map((other) => (other.name === user.name ? user : other)) };
}

function addRole(auth: AuthState, role: string): AuthState {
  if (role === "") throw etcdRefusal("roleEmpty");
  if (role !== ROOT) throw etcdRefusal("otherRoles");
  if (auth.hasRootRole) throw etcdRefusal("roleExists");
  return { ...auth, hasRootRole: true };
}

/** Who had the role does not have it any more. */
function deleteRole(auth: AuthState, role: string): AuthState {
  if (auth.enabled && role === ROOT) throw etcdRefusal("authManagement");
  if (role !== ROOT || !auth.hasRootRole) throw etcdRefusal("roleNotFound");
  return { ...auth, hasRootRole: false, users: auth.users.map((user) => ({ ...user, isRoot: false })) };
}
