/** Many files at once: a list in place of the form's one field, and one button that saves them all. */

import { UploadError, type Upload } from "../../../sdk/src/types.js";
import type { Choice } from "./drop_area.js";
import { make, write } from "./elements.js";
import { gather, type Finding } from "./folders.js";
import { titleOf } from "./form.js";
import { ListRow, type ListAction } from "./list_row.js";
import { ListTotal } from "./list_total.js";
import { Dataset, NotSaved, resourceOf, type Fields, type Problems } from "./many_saved.js";
import { limits } from "./settings.js";
import type { UploadField } from "./upload_field.js";

/** As many as the server begins by one request. */
export const MOST = 100;
/** Names of fields that each file has of its own, or that CKAN's form has for itself. */
const OWN = new Set(["id", "name", "format", "url", "url_type", "upload", "upload_id", "sha256", "clear_upload", "save"]);
/** What the plugin versioning asks in the form: it is about the save, not about a resource. */
const OF_THE_SAVE = ["version_message", "version_release", "version_release_name", "base_revision"];

export class FileList {
  private readonly rows: ListRow[] = [];
  private readonly list = make("ol", "external-storage-list");
  private readonly notes = make("div", "external-storage-notes");
  private readonly total: ListTotal;
  private readonly problem = make("div", "alert alert-danger external-storage-alert");
  private readonly saveButton = button("btn btn-primary");
  private readonly stopButton = button("btn btn-secondary");
  private readonly leaveButton = button("btn btn-secondary");
  private readonly box: HTMLElement;
  private readonly dataset: Dataset;
  /** CKAN's button that ends the making of a new dataset, if the form has it. */
  private readonly publishes: boolean;
  private hiddenParts: { element: HTMLElement; disabled: HTMLInputElement[] }[] = [];
  private waiting = false;
  private saving = false;
  /** The last try may have saved what it was to save. */
  private unsure = false;
  private leaving = false;

  constructor(private readonly field: UploadField) {
    const { say } = field.words;
    const form = field.form.element;
    this.dataset = new Dataset(field.settings.site_root, field.settings.dataset);
    this.publishes = form.querySelector('button[name="save"][value^="go-metadata"]') !== null;
    this.list.setAttribute("aria-label", say._("Files"));
    this.total = new ListTotal(field.words, (text) => field.announce(text));
    this.problem.setAttribute("role", "alert");
    this.problem.hidden = true;
    this.stopButton.textContent = say._("Do not save yet");
    this.leaveButton.textContent = say._("Go on without the others");
    this.saveButton.addEventListener("click", () => void this.save());
    this.stopButton.addEventListener("click", () => {
      this.waiting = false;
      this.changed();
      this.saveButton.focus();
    });
    this.leaveButton.addEventListener("click", () => void this.finish());
    const buttons = make("div", "external-storage-actions", this.stopButton, this.leaveButton, this.saveButton);
    this.box = make("div", "external-storage-many", ...this.total.elements, this.problem, buttons);
  }

  /** Whether the form is about the files of this list. */
  get isShown(): boolean {
    return this.rows.length > 0;
  }

  /** Whether leaving the page would lose something. */
  get isUnsaved(): boolean {
    return !this.leaving && this.rows.some((row) => row.state !== "saved");
  }

  /** Adds files at the end, after `first`, which is on its way. None is added if there would be too many. */
  async add(choice: Choice, first: { file: File; upload: Upload } | null): Promise<void> {
    const { say } = this.field.words;
    if (first) {
      if (!this.isShown) this.replaceForm();
      void this.run(this.newRow(first.file, first.file.name, first.upload));
      this.changed();
    }
    const room = MOST - this.rows.length;
    const found = await gather(choice, room);
    if (found.files.length > room) {
      this.note([
        say._("These are too many files: at most %(most)d can be added at a time. None of them was taken; choose fewer.", {
          most: MOST,
        }),
      ]);
      return;
    }
    this.note(this.remarks(found));
    if (!found.files.length) return;
    if (!this.isShown) this.replaceForm();
    const added = found.files.map(({ file, path }) => this.newRow(file, path));
    this.total.measureAnew();
    for (const row of added) if (row.upload) void this.run(row);
    this.changed();
    this.field.announce(
      say.ngettext("%(num)d file is in the list.", "%(num)d files are in the list.", this.rows.length),
    );
    added[0]?.element.focus();
  }

  /** Saves what is there, in one request, as soon as nothing is on its way any more. */
  async save(): Promise<void> {
    const { say } = this.field.words;
    if (this.saving || !this.field.form.element.reportValidity()) return;
    this.complain("");
    if (this.rows.some((row) => row.isOnItsWay)) {
      this.waiting = true;
      this.changed();
      this.field.announce(say._("The files are saved by themselves when all have arrived."));
      return;
    }
    this.waiting = false;
    const ready = this.rows.filter((row) => row.state === "done");
    const rest = this.rows.filter((row) => row.state === "failed" || row.state === "refused");
    if (!ready.length) {
      rest[0]?.focus();
      return;
    }
    this.saving = true;
    this.changed();
    let unsaved: ListRow[] = [];
    let asked = false;
    try {
      unsaved = this.unsure ? await this.notThereYet(ready) : ready;
      const { others, save } = this.filledIn();
      const resources = unsaved.flatMap((row) =>
        row.uploaded
          ? [resourceOf(row.uploaded, row.file.name, row.name.value, row.format.value, { ...others, ...this.title(row) })]
          : [],
      );
      this.unsure = asked = true;
      await this.dataset.add(resources, { ...save, ...this.publishing(rest.length === 0) });
      this.unsure = false;
      for (const row of ready) row.show("saved");
      if (!rest.length) {
        this.leave();
        return;
      }
      this.complain(
        say.ngettext(
          "All files are saved but %(num)d. Try it again, or remove it.",
          "All files are saved but %(num)d. Try them again, or remove them.",
          rest.length,
        ),
      );
      rest[0]?.focus();
    } catch (error) {
      // An error that says what is wrong says that nothing was saved, if it is the save's own.
      if (asked && error instanceof NotSaved && error.reason !== "unsure") this.unsure = false;
      this.notSaved(unsaved, error);
    } finally {
      this.saving = false;
      this.changed();
    }
  }

  /** The dataset without what has failed. */
  private async finish(): Promise<void> {
    try {
      if (this.publishes) await this.dataset.add([], this.publishing(true));
      this.leave();
    } catch (error) {
      this.notSaved([], error);
    }
  }

  /** To where CKAN's own form goes from here. */
  private leave(): void {
    const { form, settings } = this.field;
    this.leaving = true;
    const own = form.element.action.split(/[?#]/)[0] ?? "";
    const dataset = own.endsWith("/resource/new") ? own.slice(0, -"/resource/new".length) : "";
    location.assign(dataset || `${settings.site_root}/dataset/${settings.dataset}`);
  }

  private notSaved(rows: readonly ListRow[], error: unknown): void {
    const { say } = this.field.words;
    if (!(error instanceof NotSaved) || error.reason === "unsure") {
      this.complain(
        say._("The site did not answer as it should, so it is not known whether the files are saved. Save again: none is added twice."),
      );
    } else if (error.reason === "forbidden") {
      this.complain(
        say._("Nothing was saved: you are not logged in any more, or may not change this dataset. Log in again in another tab, then save again."),
      );
    } else {
      rows.forEach((row, at) => {
        const problems = error.files[at] ?? {};
        row.object(this.sentences(problems, ["name", "format"]), Object.keys(problems));
      });
      const wrong = rows.filter((row) => row.hasProblem);
      const about = this.sentences(error.dataset, [...OF_THE_SAVE, "message"]);
      const summary = wrong.length
        ? say.ngettext(
            "Nothing was saved: something is wrong with %(num)d file. It says what. Correct or remove it, then save again.",
            "Nothing was saved: something is wrong with %(num)d files. They say what. Correct or remove them, then save again.",
            wrong.length,
          )
        : say._("Nothing was saved: something is wrong with the dataset.");
      this.complain([summary, about].filter(Boolean).join(" "));
      (wrong[0]?.element.querySelector<HTMLElement>("[aria-invalid]") ?? wrong[0]?.element)?.focus();
    }
  }

  /** Those of `rows` that the dataset does not have yet, after a save whose answer was lost. */
  private async notThereYet(rows: readonly ListRow[]): Promise<ListRow[]> {
    const there = (await this.dataset.resources()).map((resource) => `${String(resource["sha256"])} ${String(resource["name"])}`);
    return rows.filter((row) => {
      const at = there.indexOf(`${row.uploaded?.oid ?? ""} ${row.name.value}`);
      if (at >= 0) there.splice(at, 1);
      return at < 0;
    });
  }

  private publishing(complete: boolean): Fields {
    return this.publishes && complete ? { state: "active" } : {};
  }

  /** What the form's other fields say of each file, and of the save. */
  private filledIn(): { others: Fields; save: Fields } {
    const others: Fields = {};
    const save: Fields = {};
    const data = new FormData(this.field.form.element);
    for (const key of new Set(data.keys())) {
      const values = data.getAll(key).filter((value) => typeof value === "string");
      if (OWN.has(key) || key === csrfField() || !values.length) continue;
      const value = values.length > 1 ? values : values[0];
      if (!OF_THE_SAVE.includes(key)) others[key] = value;
      else if (value) save[key] = value;
    }
    return { others, save };
  }

  /** Where the form asks for one. */
  private title(row: ListRow): Fields {
    return this.field.form.element.querySelector("#field-title") ? { title: titleOf(row.name.value) } : {};
  }

  /** About fields; about those in `plain`, whose place says it, without the field's name. */
  private sentences(problems: Problems, plain: readonly string[]): string {
    const quiet = [...plain, "upload_id", "sha256", "url"];
    return Object.entries(problems)
      .map(([field, told]) => (quiet.includes(field) ? "" : `${this.field.form.label(field)}: `) + told.join(" "))
      .join(" ");
  }

  private newRow(file: File, path: string, upload?: Upload): ListRow {
    const row: ListRow = new ListRow(this.field.words, file, path, (action) => this.act(row, action));
    const source = { name: file.name, size: file.size, type: file.type, lastModified: file.lastModified, blob: file };
    const objection = this.field.objection(source);
    if (objection) {
      row.show("refused", objection);
    } else {
      row.upload = upload ?? this.field.uploader.upload(source);
      row.upload.onProgress((progress) => {
        if (!this.rows.includes(row)) return;
        row.progressed(progress);
        this.total.tell(this.rows);
      });
    }
    this.rows.push(row);
    this.list.append(row.element);
    return row;
  }

  private async run(row: ListRow): Promise<void> {
    try {
      row.uploaded = (await row.upload?.start()) ?? null;
      row.sent = row.file.size;
      row.show("done");
    } catch (error) {
      if (!this.rows.includes(row)) return;
      const known = error instanceof UploadError ? error : new UploadError("server", String(error));
      const problem = this.field.words.error(known, row.file.size, limits(this.field.settings));
      row.show("failed", problem);
      this.field.announce(`${row.path}: ${problem}`);
    }
    this.changed();
    if (this.waiting && !this.rows.some((other) => other.isOnItsWay)) void this.save();
  }

  private act(row: ListRow, action: ListAction): void {
    const at = this.rows.indexOf(row);
    if (action === "retry") {
      row.show("waiting");
      void this.run(row);
      this.changed();
    } else if (action === "remove") {
      this.remove(row, at);
    } else {
      this.move(row, at, action);
    }
  }

  private move(row: ListRow, at: number, action: "up" | "down"): void {
    const to = action === "up" ? at - 1 : at + 1;
    this.rows.splice(at, 1);
    this.rows.splice(to, 0, row);
    const before = this.rows[to + 1]?.element ?? null;
    this.list.insertBefore(row.element, before);
    this.changed();
    row.focus(action);
    const { say } = this.field.words;
    this.field.announce(
      say._("%(name)s is number %(place)d of %(all)d now.", { name: row.path, place: to + 1, all: this.rows.length }),
    );
  }

  private remove(row: ListRow, at: number): void {
    const { say } = this.field.words;
    this.rows.splice(at, 1);
    row.element.remove();
    if (!row.uploaded) row.upload?.cancel().catch(() => undefined);
    this.field.announce(say._("%(name)s is removed.", { name: row.path }));
    if (!this.rows.length) {
      this.restoreForm();
      return;
    }
    this.changed();
    (this.rows[at] ?? this.rows[at - 1])?.focus("remove");
    if (this.waiting && !this.rows.some((other) => other.isOnItsWay)) void this.save();
  }

  /** Brings everything but the rows to what they say. */
  private changed(): void {
    const { say } = this.field.words;
    const count = (...states: string[]) => this.rows.filter((row) => states.includes(row.state)).length;
    const saved = count("saved");
    const coming = this.rows.length - count("saved", "failed", "refused");
    // What is saved already stays before the others.
    this.rows.forEach((row, at) => row.place(at > saved, at < this.rows.length - 1));
    write(
      this.saveButton,
      this.saving
        ? say._("Saving…")
        : this.waiting
          ? say._("Saving as soon as all have arrived…")
          : this.publishes && coming + saved === this.rows.length
            ? say.ngettext("Save %(num)d file and publish", "Save %(num)d files and publish", coming)
            : say.ngettext("Save %(num)d file", "Save %(num)d files", coming),
    );
    this.saveButton.hidden = coming === 0;
    this.saveButton.setAttribute("aria-disabled", String(this.saving || this.waiting));
    this.saveButton.classList.toggle("disabled", this.saving || this.waiting);
    this.stopButton.hidden = !this.waiting;
    this.leaveButton.hidden = !(saved > 0 && coming === 0);
    this.total.tell(this.rows);
  }

  private remarks({ files, leftOut, unreadable }: Finding): string[] {
    const { say } = this.field.words;
    const remarks: string[] = [];
    if (leftOut.length) {
      remarks.push(say._("Left out, because the computer keeps them for itself: %(names)s", { names: some(leftOut) }));
    }
    if (unreadable.length) remarks.push(say._("Cannot be read: %(names)s", { names: some(unreadable) }));
    if (!files.length) remarks.push(say._("There is no file to add."));
    return remarks;
  }

  private note(texts: readonly string[]): void {
    this.notes.replaceChildren(...texts.map((text) => make("p", "alert alert-warning", text)));
    this.field.place.before(this.notes);
    if (texts.length) this.field.announce(texts.join(" "));
  }

  private complain(text: string): void {
    write(this.problem, text);
  }

  /** What the form has for one file gives way to the list. */
  private replaceForm(): void {
    const { say } = this.field.words;
    const { element } = this.field.form;
    this.field.form.kind = "none"; // where more can be chosen and dropped
    const shared = make("p", "external-storage-shared", say._("What is filled in below holds for each of the files."));
    this.field.place.replaceChildren(this.list, shared);
    const parts = ["#field-name", "#field-format", "#field-title"].map((id) => {
      const input = element.querySelector<HTMLElement>(id);
      return input?.closest<HTMLElement>(".form-group, .control-group") ?? input;
    });
    parts.push(element.querySelector<HTMLElement>(".form-actions"), element.querySelector<HTMLElement>("#resource-link-button"));
    for (const part of parts) {
      if (!part) continue;
      const disabled = [...part.querySelectorAll("input")].filter((input) => !input.disabled);
      for (const input of disabled) input.disabled = true;
      part.hidden = true;
      this.hiddenParts.push({ element: part, disabled });
    }
    const actions = element.querySelector(".form-actions");
    if (actions) actions.before(this.box);
    else element.append(this.box);
  }

  private restoreForm(): void {
    for (const { element, disabled } of this.hiddenParts) {
      element.hidden = false;
      for (const input of disabled) input.disabled = false;
    }
    this.hiddenParts = [];
    this.waiting = false;
    this.field.place.replaceChildren();
    this.box.remove();
    this.notes.remove();
    this.field.form.clear();
  }
}

function some(names: readonly string[]): string {
  return names.length > 5 ? `${names.slice(0, 5).join(", ")}, …` : names.join(", ");
}

function csrfField(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="csrf_field_name"]')?.content ?? "_csrf_token";
}

function button(className: string): HTMLButtonElement {
  const made = make("button", className) as HTMLButtonElement;
  made.type = "button";
  return made;
}
