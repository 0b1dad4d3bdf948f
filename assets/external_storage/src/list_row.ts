/** One file of a list: what it will be called, how far it is, its place among the others. */

import type { Progress, Upload, Uploaded, UploadState } from "../../../sdk/src/types.js";
import { Bar, Heading, make, write } from "./elements.js";
import { formatOf } from "./form.js";
import { hundredths, type Words } from "./words.js";

/** `refused`: nothing of it is sent. `saved`: it is a resource of the dataset. */
export type ListState = UploadState | "refused" | "saved";
export type ListAction = "up" | "down" | "retry" | "remove";

const ICONS: Partial<Record<ListState, string>> = {
  done: "fa-check-circle",
  saved: "fa-check-circle",
  failed: "fa-exclamation-triangle",
  refused: "fa-exclamation-triangle",
};
let rows = 0;

export class ListRow {
  readonly element: HTMLElement;
  readonly name: HTMLInputElement;
  readonly format: HTMLInputElement;
  /** Null for a file that is not sent. */
  upload: Upload | null = null;
  uploaded: Uploaded | null = null;
  /** Bytes that have arrived or are on their way. */
  sent = 0;
  private readonly heading: Heading;
  private readonly bar: Bar;
  private readonly line = make("p", "external-storage-line");
  private readonly problem = make("p", "external-storage-problem");
  private readonly buttons = new Map<ListAction, HTMLButtonElement>();
  private shown: ListState = "waiting";

  constructor(
    private readonly words: Words,
    readonly file: File,
    path: string,
    private readonly act: (action: ListAction) => void,
  ) {
    const { say } = words;
    const id = `external-storage-item-${++rows}`;
    this.heading = new Heading(words, id, path, file.size);
    this.bar = new Bar("aria-labelledby", id);
    this.problem.id = `${id}-problem`;
    this.name = this.input(say._("Name"), path, id);
    this.format = this.input(say._("Format"), formatOf(file.name), id);
    const fields = make("div", "external-storage-fields", ...[this.name, this.format].map((input) => input.parentElement!));
    const moves = make(
      "div",
      "external-storage-moves",
      this.button("up", "fa-arrow-up", say._("Move %(name)s up", { name: path })),
      this.button("down", "fa-arrow-down", say._("Move %(name)s down", { name: path })),
      this.button("retry", "fa-rotate-right fa-refresh", say._("Try %(name)s again", { name: path })),
      this.button("remove", "fa-times", say._("Remove %(name)s", { name: path })),
    );
    const state = make("div", "external-storage-item-state", this.bar.element, this.line, this.problem);
    const top = make("div", "external-storage-item-top", this.heading.element, moves);
    this.element = make("li", "external-storage-item", top, fields, state);
    this.element.tabIndex = -1;
    this.element.setAttribute("aria-labelledby", id);
    this.show("waiting");
  }

  get state(): ListState {
    return this.shown;
  }

  /** Whether it will be there sooner or later without anybody doing something. */
  get isOnItsWay(): boolean {
    return !["done", "saved", "failed", "refused", "cancelled"].includes(this.shown);
  }

  get path(): string {
    return this.element.querySelector(".external-storage-name")?.textContent ?? "";
  }

  progressed(progress: Progress): void {
    this.sent = progress.sent;
    if (progress.state !== "done" && progress.state !== "failed") this.show(progress.state, "", progress);
  }

  show(state: ListState, problem = "", progress: Progress | null = null): void {
    const had = this.element.contains(document.activeElement) ? document.activeElement : null;
    this.shown = state;
    this.element.dataset["state"] = state;
    this.heading.show(ICONS[state]);
    const percent = this.percent(state, progress);
    const sentence = this.sentence(state, percent ?? 0);
    this.bar.show(percent, sentence);
    write(this.line, sentence);
    this.object(problem);
    for (const [action, button] of this.buttons) {
      button.hidden = state === "saved" || (action === "retry" && state !== "failed");
    }
    this.name.disabled = this.format.disabled = state === "saved" || state === "refused";
    if (had instanceof HTMLElement && (had.hidden || had.closest("[disabled]"))) this.focus();
  }

  /** Say what is wrong; `invalid`: which of the two fields, if one of them is. */
  object(problem: string, invalid: readonly string[] = []): void {
    write(this.problem, problem);
    for (const [key, input] of [
      ["name", this.name],
      ["format", this.format],
    ] as const) {
      const wrong = invalid.includes(key);
      input.removeAttribute("aria-invalid");
      if (wrong) {
        input.setAttribute("aria-invalid", "true");
        input.setAttribute("aria-errormessage", this.problem.id);
      }
    }
  }

  get hasProblem(): boolean {
    return !this.problem.hidden;
  }

  /** Which ways it can be moved. */
  place(up: boolean, down: boolean): void {
    for (const [action, can] of [
      ["up", up],
      ["down", down],
    ] as const) {
      const button = this.buttons.get(action);
      if (button) button.disabled = !can;
    }
  }

  focus(action?: ListAction): void {
    const wanted = action ? this.buttons.get(action) : undefined;
    const other = [...this.buttons.values()].find((button) => !button.hidden && !button.disabled);
    (wanted && !wanted.disabled ? wanted : (other ?? this.element)).focus();
  }

  private percent(state: ListState, progress: Progress | null): number | null {
    if (!progress || !this.isOnItsWay || state === "waiting") return null;
    const part = state === "hashing" ? progress.hashed : state === "checking" ? progress.checked : progress.sent;
    return hundredths(part, progress.size);
  }

  private sentence(state: ListState, share: number): string {
    const { say } = this.words;
    const percent = this.words.percent(share, 100);
    switch (state) {
      case "waiting":
        return say._("Waiting to begin");
      case "hashing":
        return say._("Reading the file before it is sent: %(percent)s", { percent });
      case "sending":
        return say._("Uploading: %(percent)s", { percent });
      case "offline":
        return say._("No connection, at %(percent)s. The upload goes on by itself as soon as there is one.", { percent });
      case "paused":
        return say._("Paused at %(percent)s", { percent });
      case "watching":
        return say._("Another tab of this browser is uploading this file: %(percent)s", { percent });
      case "checking":
        return say._("All of it has arrived. The server is checking it: %(percent)s", { percent });
      case "done":
        return this.file.size > 0 ? say._("Uploaded and checked") : say._("The file is empty: it has 0 bytes.");
      case "saved":
        return say._("Added to the dataset");
      default:
        return "";
    }
  }

  private input(text: string, value: string, describedBy: string): HTMLInputElement {
    const input = document.createElement("input");
    input.className = "form-control";
    input.type = "text";
    input.value = value;
    input.dir = "auto";
    input.setAttribute("aria-describedby", describedBy);
    make("label", "", make("span", "", text), input);
    return input;
  }

  private button(action: ListAction, icon: string, text: string): HTMLButtonElement {
    const sign = make("i", `fa ${icon}`);
    sign.setAttribute("aria-hidden", "true");
    const button = make("button", "btn btn-sm btn-secondary", sign, make("span", "visually-hidden", text)) as HTMLButtonElement;
    button.type = "button";
    button.title = text;
    button.dataset["action"] = action;
    button.addEventListener("click", () => this.act(action));
    this.buttons.set(action, button);
    return button;
  }
}
