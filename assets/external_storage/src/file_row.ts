/** The DOM of one file: its name, how far it is, and what can be done with it. Knows nothing of transfers. */

import type { Progress, UploadState } from "../../../sdk/src/types.js";
import { Bar, Heading, make, write } from "./elements.js";
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
  private readonly heading: Heading;
  private readonly bar: Bar;
  private readonly line = make("p", "external-storage-line");
  private readonly problem = make("p", "external-storage-problem");
  private readonly hints = make("div", "external-storage-hints");
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
    this.heading = new Heading(words, id, name, size);
    this.bar = new Bar("aria-labelledby", id);
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
    const { heading, bar, line, problem, hints } = this;
    this.element = make("div", "external-storage-row", heading.element, bar.element, line, problem, buttons, hints);
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
    this.heading.show(ICONS[state]);
    const share = this.share(view);
    const sentence = this.sentence(view);
    this.bar.show(share === null ? null : hundredths(share, this.size ?? 0), sentence);
    write(this.line, sentence);
    write(this.problem, view.problem ?? "");
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
