/** CKAN's form around the field: which kind of data it has, its other fields, and when it is saved. */

import { ofPage } from "../../../sdk/src/browser.js";
import type { Uploaded } from "../../../sdk/src/types.js";
import { make } from "./elements.js";
import type { Words } from "./words.js";

/** The kinds that core's form has, each with a radio button that nobody sees. */
export type Kind = "none" | "upload" | "link";

/** May the form be saved? `wait`: soon, and by itself; `stop`: not before somebody has done something. */
export type Readiness = "ready" | "wait" | "stop";

export class ResourceForm {
  readonly element: HTMLFormElement;
  private readonly url: HTMLInputElement | null;
  /** Field → what was proposed for it: that may be replaced by the next proposal. */
  private readonly proposed = new Map<string, string>();
  private fields: HTMLInputElement[] = [];
  private waiting: { submitter: HTMLElement | null; box: HTMLElement; text: HTMLElement } | null = null;
  private leaving = false;
  /** Set when the session that this page belongs to is over. */
  otherSession = false;

  /** `root`: core's field. `readiness` is asked when somebody saves. `unsaved`: would leaving lose something? */
  constructor(
    private readonly root: HTMLElement,
    private readonly words: Words,
    private readonly readiness: () => Readiness,
    private readonly unsaved: () => boolean,
  ) {
    const form = root.closest("form");
    if (!form) throw new Error("The upload field is in no form.");
    this.element = form;
    this.url = root.querySelector("#field-resource-url");
    // While capturing: before core takes the form for sent, and disables its buttons.
    form.addEventListener("submit", (event) => this.submitted(event), true);
    window.addEventListener("beforeunload", (event) => {
      if (this.leaving || !this.unsaved()) return;
      event.preventDefault();
      event.returnValue = "";
    });
    window.addEventListener("pageshow", () => (this.leaving = false));
  }

  /** Whether it makes a new resource. */
  get isNew(): boolean {
    const id = this.element.elements.namedItem("id");
    return id instanceof HTMLInputElement && !id.value;
  }

  get kind(): Kind {
    if (this.radio("upload")?.checked) return "upload";
    return this.radio("link")?.checked ? "link" : "none";
  }

  set kind(kind: Kind) {
    const radio = this.radio(kind);
    if (radio) radio.checked = true;
    // Core makes it one for addresses, which would refuse the name of a file.
    if (this.url) this.url.type = kind === "link" ? "url" : "text";
  }

  /** In place of core's inline handlers, which a Content-Security-Policy may forbid. */
  bindButtons(upload: () => void): void {
    const bind = (selector: string, does: () => void) =>
      this.root.querySelectorAll<HTMLElement>(selector).forEach((button) => {
        button.removeAttribute("onclick");
        button.addEventListener("click", does);
      });
    bind("#resource-upload-button", upload);
    bind("#resource-link-button", () => {
      this.kind = "link";
      this.url?.focus();
    });
    bind(".btn-remove-url", () => this.clear());
  }

  /** No data at all: the buttons to choose it are there again. */
  clear(): void {
    this.dropFile();
    this.kind = "none";
    if (this.url) this.url.value = "";
    this.root.querySelector<HTMLElement>("#resource-upload-button")?.focus();
  }

  /** What the resource is saved with. */
  setFile(file: Uploaded, name: string): void {
    this.dropFile();
    this.kind = "upload";
    if (file.uploadId !== null) {
      this.hidden("upload_id", file.uploadId);
    } else {
      // Its server has it; ours finds it there.
      this.hidden("sha256", file.oid);
      if (this.url) this.url.value = name;
    }
  }

  /** The resource keeps what it had. */
  dropFile(): void {
    this.fields.forEach((field) => field.remove());
    this.fields = [];
  }

  /** Fill in what the name of the file says, where nobody has written anything else. */
  propose(filename: string): void {
    this.fill("name", filename);
    const format = formatOf(filename);
    if (format) this.fill("format", format);
    this.fill("title", titleOf(filename)); // core's form has none; one by ckanext-scheming may
  }

  /** The format may change with a file of this name, if it is what that has led to. */
  knowProposed(filename: string): void {
    const format = formatOf(filename);
    if (format) this.proposed.set("format", format);
  }

  /** What the form calls a field, without its mark that it is required; the field's own name if it has none. */
  label(field: string): string {
    const input = this.element.elements.namedItem(field);
    const label = input && "labels" in input ? (input as HTMLInputElement).labels?.[0]?.innerText : undefined;
    return label?.replace(/^[*\s]+|[:\s]+$/g, "") || field;
  }

  /** Whether the form saves itself as soon as it is `ready`. */
  get isWaiting(): boolean {
    return this.waiting !== null;
  }

  /** What is still waited for. */
  tell(text: string): void {
    if (this.waiting && this.waiting.text.textContent !== text) this.waiting.text.textContent = text;
  }

  /** Go on with the save that waits, if one does. */
  saveIfWaiting(): void {
    const { waiting } = this;
    this.stopWaiting();
    if (!waiting) return;
    const submitter = waiting.submitter?.isConnected ? waiting.submitter : null;
    this.element.requestSubmit(submitter);
  }

  stopWaiting(): void {
    this.waiting?.box.remove();
    this.waiting = null;
  }

  private submitted(event: SubmitEvent): void {
    const readiness = this.readiness();
    if (readiness === "ready" && this.otherSession) {
      event.preventDefault();
      event.stopImmediatePropagation();
      void this.freshen().then(() => this.element.requestSubmit(event.submitter));
      return;
    }
    if (readiness === "ready") {
      this.leaving = true;
      // Somebody else may have a word, too.
      setTimeout(() => (this.leaving = !event.defaultPrevented));
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
    if (readiness === "wait") this.wait(event.submitter);
  }

  /** Who has logged in again has other tokens against forgery than this page came with. */
  private async freshen(): Promise<void> {
    this.otherSession = false;
    const fresh = await ofPage(true).catch(() => ({}));
    const name = document.querySelector<HTMLMetaElement>('meta[name="csrf_field_name"]')?.content;
    const field = name ? this.element.elements.namedItem(name) : null;
    const [value] = Object.values(fresh);
    if (field instanceof HTMLInputElement && value) field.value = value;
  }

  private wait(submitter: HTMLElement | null): void {
    if (this.waiting) {
      this.waiting.submitter = submitter;
      return;
    }
    const say = this.words.say;
    const text = make("span", "external-storage-waiting-text");
    const stop = make("button", "btn btn-sm btn-secondary", say._("Do not save yet")) as HTMLButtonElement;
    stop.type = "button";
    stop.addEventListener("click", () => {
      const back = this.waiting?.submitter;
      this.stopWaiting();
      back?.focus();
    });
    const title = make("strong", "", say._("The form is saved by itself when the file is there."));
    const box = make("div", "alert alert-info external-storage-waiting", title, " ", text, " ", stop);
    const actions = this.element.querySelector(".form-actions");
    if (actions) actions.before(box);
    else this.element.append(box);
    this.waiting = { submitter, box, text };
  }

  private fill(name: string, value: string): void {
    const field = this.element.elements.namedItem(name);
    if (!(field instanceof HTMLInputElement || field instanceof HTMLSelectElement)) return;
    if (field.value && field.value !== this.proposed.get(name)) return;
    if (field instanceof HTMLSelectElement && ![...field.options].some((option) => option.value === value)) return;
    field.value = value;
    this.proposed.set(name, value);
    // Completion fields of CKAN show their own copy.
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }

  private hidden(name: string, value: string): void {
    const field = document.createElement("input");
    field.type = "hidden";
    field.name = name;
    field.value = value;
    this.root.append(field);
    this.fields.push(field);
  }

  private radio(kind: Kind): HTMLInputElement | null {
    return this.root.querySelector(`#resource-url-${kind}`);
  }
}

/** As CKAN writes formats, if the name has an ending that may be one; CKAN's own list has the last word. */
export function formatOf(filename: string): string {
  return /[^.]\.([a-z0-9]{1,10})$/i.exec(filename)?.[1]?.toUpperCase() ?? "";
}

/** "water_levels.csv" is about water levels. */
export function titleOf(filename: string): string {
  const ending = formatOf(filename).length;
  return (ending ? filename.slice(0, -ending - 1) : filename).replaceAll("_", " ").trim();
}
