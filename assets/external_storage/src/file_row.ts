/** The DOM of one file: its name, how far it is, and what can be done with it. Knows nothing of transfers. */

import type { Progress, UploadState } from "../../../sdk/src/types.js";
import { hundredths, type Words } from "./words.js";

/** Buttons; which of them are there is a matter of state. */
export type Action = "pause" | "resume" | "retry" | "cancel" | "replace" | "remove";

/** `present`: the resource has it already. `asking`: the user is to say whether it is meant (`retry`).
 * `refused`: `failed`, and to try again would be in vain. */
export type RowState = UploadState | "present" | "asking" | "refused";

export interface RowView extends Partial<Omit<Progress, "state" | "error">> {
  state: RowState;
  /** A sentence: what went wrong, or what is asked. */
  problem?: string;
  /** Sentences that help: what closing the page would cost, what becomes of the old file. */
  hints?: readonly string[];
}

const ACTIONS: Record<RowState, readonly Action[]> = {
  waiting: ["pause", "cancel"],
  hashing: ["pause", "cancel"],
  sending: ["pause", "cancel"],
  offline: ["pause", "cancel"],
  paused: ["resume", "cancel"],
  watching: ["cancel"],
  checking: ["cancel"],
  done: ["replace", "remove"],
  failed: ["retry", "replace", "cancel"],
  cancelled: [],
  present: ["replace", "remove"],
  asking: ["retry", "replace", "cancel"],
  refused: ["replace", "cancel"],
};
/** Takes the place, under the finger and the keyboard, of one that has just been pressed. */
const TWINS: Record<string, Action> = { pause: "resume", resume: "pause", retry: "pause" };
const ICONS: Partial<Record<RowState, string>> = {
  done: "fa-check-circle",
  failed: "fa-exclamation-triangle",
  refused: "fa-exclamation-triangle",
  asking: "fa-question-circle",
};
let rows = 0;

export class FileRow {
  readonly element: HTMLElement;
  private readonly icon: HTMLElement;
  private readonly bar: HTMLElement;
  private readonly fill: HTMLElement;
  private readonly line: HTMLElement;
  private readonly problem: HTMLElement;
  private readonly hints: HTMLElement;
  private readonly buttons = new Map<Action, HTMLButtonElement>();
  private shown: RowState = "waiting";

  /** `size` in bytes, null if it is not known. `replaces`: the resource has another file until it is saved. */
  constructor(
    private readonly words: Words,
    name: string,
    private readonly size: number | null,
    private readonly act: (action: Action) => void,
    replaces = false,
  ) {
    const id = `external-storage-file-${++rows}`;
    this.icon = make("i", "fa");
    this.icon.setAttribute("aria-hidden", "true");
    const title = make("strong", "external-storage-name", name);
    title.id = id;
    title.dir = "auto";
    const heading = make("span", "external-storage-title", title);
    if (size !== null) {
      const sized = make("span", "external-storage-size", words.size(size));
      sized.dir = "auto";
      heading.append(" ", sized);
    }
    const head = make("p", "external-storage-head", this.icon, heading);
    this.fill = make("div", "progress-bar");
    this.bar = make("div", "progress external-storage-bar", this.fill);
    this.bar.setAttribute("role", "progressbar");
    this.bar.setAttribute("aria-labelledby", id);
    this.bar.setAttribute("aria-valuemin", "0");
    this.bar.setAttribute("aria-valuemax", "100");
    this.line = make("p", "external-storage-line");
    this.problem = make("p", "external-storage-problem");
    this.hints = make("div", "external-storage-hints");
    const buttons = make("div", "external-storage-buttons");
    for (const [action, text] of this.labels(replaces)) {
      const button = make("button", "btn btn-sm", text) as HTMLButtonElement;
      button.classList.add(action === "retry" ? "btn-primary" : "btn-secondary");
      button.type = "button";
      button.dataset["action"] = action;
      button.setAttribute("aria-describedby", id);
      button.addEventListener("click", () => this.act(action));
      this.buttons.set(action, button);
      buttons.append(button);
    }
    this.element = make("div", "external-storage-row", head, this.bar, this.line, this.problem, buttons, this.hints);
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-labelledby", id);
    this.element.tabIndex = -1;
  }

  get state(): RowState {
    return this.shown;
  }

  /** How far it is, as it is written there. */
  get text(): string {
    return this.line.textContent ?? "";
  }

  show(view: RowView): void {
    const { state } = view;
    const had = this.element.contains(document.activeElement) ? document.activeElement : null;
    this.shown = state;
    this.element.dataset["state"] = state;
    this.icon.className = `fa ${ICONS[state] ?? "fa-file"}`;
    this.showBar(view);
    set(this.line, this.sentence(view));
    set(this.problem, view.problem ?? "");
    const hints = (view.hints ?? []).map((hint) => make("p", "", hint));
    if (this.hints.textContent !== hints.map((hint) => hint.textContent).join("")) this.hints.replaceChildren(...hints);
    for (const [action, button] of this.buttons) button.hidden = !ACTIONS[state].includes(action);
    const retry = this.buttons.get("retry");
    if (retry) retry.textContent = state === "asking" ? this.words.say._("Use it all the same") : this.words.say._("Try again");
    // A button that went away must not take the keyboard's place on the page with it.
    if (had instanceof HTMLElement && had.hidden) (this.twin(had) ?? this.element).focus();
  }

  /** Where the keyboard goes when something else on the page has gone. Not to a button: a key would press it. */
  focus(): void {
    this.element.focus();
  }

  private twin(button: HTMLElement): HTMLElement | undefined {
    const twin = TWINS[button.dataset["action"] ?? ""];
    const found = twin && this.buttons.get(twin);
    return found && !found.hidden ? found : undefined;
  }

  private showBar(view: RowView): void {
    const share = this.share(view);
    this.bar.hidden = share === null;
    if (share === null) return;
    const percent = hundredths(share, this.size ?? 0);
    this.fill.style.width = `${percent}%`;
    this.bar.setAttribute("aria-valuenow", String(percent));
    this.bar.setAttribute("aria-valuetext", this.sentence(view));
  }

  /** Bytes of the file that what is going on has done; null where nothing goes on. */
  private share(view: RowView): number | null {
    switch (view.state) {
      case "waiting":
        return 0;
      case "hashing":
        return view.hashed ?? 0;
      case "checking":
        return view.checked ?? 0;
      case "sending":
      case "offline":
      case "paused":
      case "watching":
        return view.sent ?? 0;
      default:
        return null;
    }
  }

  private sentence(view: RowView): string {
    const { words } = this;
    const { say } = words;
    const percent = words.percent(this.share(view) ?? 0, this.size ?? 0);
    switch (view.state) {
      case "waiting":
        return say._("Waiting to begin");
      case "hashing":
        return say._("Reading the file before it is sent: %(percent)s", { percent });
      case "sending":
        return [
          say._("Uploading: %(percent)s", { percent }),
          view.speed ? say._("%(size)s per second", { size: words.size(view.speed) }) : "",
          view.secondsLeft === undefined ? "" : words.left(view.secondsLeft),
        ]
          .filter(Boolean)
          .join(" · ");
      case "offline":
        if (view.problem) return say._("Waiting at %(percent)s. The upload goes on by itself.", { percent });
        return say._("No connection, at %(percent)s. The upload goes on by itself as soon as there is one.", { percent });
      case "paused":
        return say._("Paused at %(percent)s", { percent });
      case "watching":
        return say._("Another tab of this browser is uploading this file: %(percent)s", { percent });
      case "checking":
        return say._("All of it has arrived. The server is checking it: %(percent)s", { percent });
      case "done":
        return say._("Uploaded and checked. Save the form to add it to the dataset.");
      case "present":
        return say._("The file that this resource has now");
      default:
        return "";
    }
  }

  private labels(replaces: boolean): [Action, string][] {
    const { say } = this.words;
    return [
      ["pause", say._("Pause")],
      ["resume", say._("Resume")],
      ["retry", say._("Try again")],
      ["replace", say._("Choose another file")],
      ["cancel", say._("Cancel")],
      ["remove", replaces ? say._("Keep the present file") : say._("Remove")],
    ];
  }
}

/** Without touching what is there already, so that screen readers and selections are left alone. */
function set(element: HTMLElement, text: string): void {
  element.hidden = !text;
  if (element.textContent !== text) element.textContent = text;
}

export function make(tag: string, className: string, ...children: (Node | string)[]): HTMLElement {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}
