// The state of the page: the session with its token, the live feed, the journal tail, the queries, and what
// is managed.
import { ApiClient } from "./api-client.ts";
import { FeedModel } from "./feed-model.svelte.ts";
import { ManageModel } from "./manage-model.svelte.ts";
import { SqlModel } from "./sql-model.svelte.ts";
import { TailModel } from "./tail-model.svelte.ts";
import { storageOf } from "./theme.svelte.ts";

const TOKEN_KEY = "millrace.token";
const SHORTCUTS_KEY = "millrace.shortcuts";

export class ConsoleModel {
  readonly api: ApiClient;
  readonly feed: FeedModel;
  readonly tail: TailModel;
  readonly sql: SqlModel;
  readonly manage: ManageModel;
  /** Base of the configuration API, ending in `/v1/`. */
  readonly apiUrl: string;
  /** Whether the page must ask for a token. */
  asksForToken = $state(false);
  /** Whether a token was refused just now. */
  tokenRefused = $state(false);
  /** For screen readers: what changed that nobody asked for. */
  announcement = $state("");
  #token = $state("");
  #usesShortcuts = $state(true);
  readonly #storage: Storage | undefined;
  readonly #lasting: Storage | undefined;

  constructor(page: Window) {
    this.#storage = storageOf(page, "sessionStorage");
    this.#lasting = storageOf(page, "localStorage");
    this.#token = this.#storage?.getItem(TOKEN_KEY) ?? "";
    this.#usesShortcuts = this.#lasting?.getItem(SHORTCUTS_KEY) !== "off";
    this.apiUrl = new URL("../v1/", page.document.baseURI).href;
    this.api = new ApiClient({
      fetch: page.fetch.bind(page),
      token: () => this.#token,
      onUnauthorised: () => this.#onUnauthorised(),
    });
    this.feed = new FeedModel(this.api, page, (text) => this.announce(text));
    this.tail = new TailModel(this.api, page);
    this.manage = new ManageModel(this.api, this.apiUrl, page, (text) => this.announce(text));
    this.sql = new SqlModel(this.api, this.#lasting, (text) => this.announce(text));
  }

  get hasToken(): boolean {
    return this.#token !== "";
  }

  /** Single keys are in the way of those who speak to their computer: they can be switched off. */
  get usesShortcuts(): boolean {
    return this.#usesShortcuts;
  }

  set usesShortcuts(uses: boolean) {
    this.#usesShortcuts = uses;
    if (uses) this.#lasting?.removeItem(SHORTCUTS_KEY);
    else this.#lasting?.setItem(SHORTCUTS_KEY, "off");
  }

  giveToken(token: string): void {
    this.#token = token.trim();
    this.#storage?.setItem(TOKEN_KEY, this.#token);
    this.asksForToken = false;
    this.tokenRefused = false;
    this.feed.start();
    this.tail.restartIfUnauthorised();
  }

  announce(text: string): void {
    this.announcement = text;
  }

  #onUnauthorised(): void {
    this.tokenRefused = this.#token !== "";
    this.asksForToken = true;
  }
}
