// Dark or light: what the system prefers, until the toggle says otherwise. A choice that is the system's own is not
// remembered, so that the page follows the system again.

export type ThemeName = "dark" | "light";

const KEY = "millrace.theme";

export class Theme {
  readonly #storage: Storage | undefined;
  readonly #root: HTMLElement;
  readonly #system: MediaQueryList;
  #current = $state<ThemeName>("light");

  constructor(page: Window) {
    this.#storage = storageOf(page, "localStorage");
    this.#root = page.document.documentElement;
    this.#system = page.matchMedia("(prefers-color-scheme: dark)");
    this.#system.addEventListener("change", () => this.#apply(this.#chosen() ?? this.#preferred()));
    this.#apply(this.#chosen() ?? this.#preferred());
  }

  get current(): ThemeName {
    return this.#current;
  }

  toggle(): void {
    const next = this.#current === "dark" ? "light" : "dark";
    if (next === this.#preferred()) this.#storage?.removeItem(KEY);
    else this.#storage?.setItem(KEY, next);
    this.#apply(next);
  }

  #chosen(): ThemeName | undefined {
    const saved = this.#storage?.getItem(KEY);
    return saved === "dark" || saved === "light" ? saved : undefined;
  }

  #preferred(): ThemeName {
    return this.#system.matches ? "dark" : "light";
  }

  #apply(name: ThemeName): void {
    this.#root.dataset["theme"] = name;
    this.#current = name;
  }
}

/** Storage of the page, or undefined where the browser refuses it: then nothing is remembered. */
export function storageOf(page: Window, which: "localStorage" | "sessionStorage"): Storage | undefined {
  try {
    return page[which];
  } catch {
    return undefined;
  }
}
