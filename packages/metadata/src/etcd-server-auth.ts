// etcd's Auth service: users with passwords and the role root; other roles are refused by name.
import { ROOT, userOf, type AuthChange } from "./auth-state.ts";
import type { EmbeddedStore } from "./embedded-store.ts";
import type {
  AuthenticateRequest,
  AuthenticateResponse,
  AuthRoleGetResponse,
  AuthRoleListResponse,
  AuthStatusResponse,
  AuthUserAddRequest,
  AuthUserChangePasswordRequest,
  AuthUserGetResponse,
  AuthUserListResponse,
} from "./etcd-api/auth.ts";
import type { ResponseHeader } from "./etcd-api/kv.ts";
import { etcdRefusal } from "./etcd-refusals.ts";
import type { Access } from "./etcd-server-access.ts";
import { headerOf } from "./etcd-server-kv.ts";
import { EVERYTHING } from "./key.ts";

export class AuthService {
  readonly #store: EmbeddedStore;
  readonly #access: Access;

  constructor(store: EmbeddedStore, access: Access) {
    this.#store = store;
    this.#access = access;
  }

  async authenticate({ name, password }: AuthenticateRequest): Promise<AuthenticateResponse> {
    const token = await this.#access.authenticate(name, password);
    return { header: this.#header(), token };
  }

  status(): AuthStatusResponse {
    const { isOn, state } = this.#access;
    return { header: this.#header(), enabled: isOn, authRevision: BigInt(state.revision) };
  }

  /** What only changes the state. */
  async change(change: AuthChange, signal: AbortSignal): Promise<{ readonly header: ResponseHeader }> {
    return { header: headerOf(await this.#access.change(change, signal)) };
  }

  async userAdd(
    request: AuthUserAddRequest,
    signal: AbortSignal,
  ): Promise<{ readonly header: ResponseHeader }> {
    const { name } = request;
    if (name === "") throw etcdRefusal("userEmpty");
    const isOpen = request.options?.noPassword !== true;
    const password = isOpen ? await this.#access.newPassword(request.password) : undefined;
    return this.change({ kind: "user-add", name, password }, signal);
  }

  async userPassword(
    { name, password }: AuthUserChangePasswordRequest,
    signal: AbortSignal,
  ): Promise<{ readonly header: ResponseHeader }> {
    if (userOf(this.#access.state, name) === undefined) throw etcdRefusal("userNotFound");
    const kept = await this.#access.newPassword(password);
    return this.change({ kind: "user-password", name, password: kept }, signal);
  }

  userGet(name: string): AuthUserGetResponse {
    const user = userOf(this.#access.state, name);
    if (user === undefined) throw etcdRefusal("userNotFound");
    return { header: this.#header(), roles: user.isRoot ? [ROOT] : [] };
  }

  userList(): AuthUserListResponse {
    return { header: this.#header(), users: this.#access.state.users.map(({ name }) => name) };
  }

  roleGet(role: string): AuthRoleGetResponse {
    if (role !== ROOT || !this.#access.state.hasRootRole) throw etcdRefusal("roleNotFound");
    return { header: this.#header(), perm: [{ permType: "READWRITE", key: "", rangeEnd: EVERYTHING }] };
  }

  roleList(): AuthRoleListResponse {
    return { header: this.#header(), roles: this.#access.state.hasRootRole ? [ROOT] : [] };
  }

  /** Root may do everything, whatever it is granted; there is nobody else to grant anything to. */
  permission(role: string): never {
    throw etcdRefusal(role === ROOT ? "otherRoles" : "roleNotFound");
  }

  #header(): ResponseHeader {
    return headerOf(this.#store.header);
  }
}
