// The state of the page: the session with its token, the live feed, the journal tail and the queries.
import { ApiClient } from "./api-client.ts";
import { FeedModel } from "./feed-model.svelte.ts";
import { SqlModel } from "./sql-model.svelte.ts";
import { TailModel } from "./tail-model.svelte.ts";
import { storageOf } from "./theme.svelte.ts";

const TOKEN_KEY = "millrace.token";

export class ConsoleModel {
  readonly api: ApiClient;
  readonly feed: FeedModel;
  readonly tail: TailModel;
  readonly sql: SqlModel;
  /** Base of the configuration API, ending in `/v1/`. */
  readonly apiUrl: string;
  /** Whether the page must ask for a token. */
  asksForToken = $state(false);
  /** Whether a token was refused just now. */
  tokenRefused = $state(false);
  /** For screen readers: what changed that nobody asked for. */
  announcement = $state("");
  #token = $state("");
  readonly #storage: Storage | undefined;

  constructor(page: Window) {
    this.#storage = storageOf(page, "sessionStorage");
    this.#token = this.#storage?.getItem(TOKEN_KEY) ?? "";
    this.apiUrl = new URL("../v1/", page.document.baseURI).href;
    this.api = new ApiClient({
      fetch: page.fetch.bind(page),
      token: () => this.#token,
      onUnauthorised: () => this.#onUnauthorised(),
    });
    this.feed = new FeedModel(this.api, page, (text) => this.announce(text));
    this.tail = new TailModel(this.api, page);
    this.sql = new SqlModel(this.api, storageOf(page, "localStorage"), (text) => this.announce(text));
  }

  get hasToken(): boolean {
    return this.#token !== "";
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
