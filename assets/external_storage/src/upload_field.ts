/** The upload field of CKAN's resource form: what is chosen is sent at once, and saving waits for it. */

import { UploadError, type Progress, type Source, type Upload, type Uploaded, type Uploader } from "../../../sdk/src/types.js";
import { DropArea, type Choice } from "./drop_area.js";
import { make } from "./elements.js";
import { FileList } from "./file_list.js";
import { FileRow, type Action, type RowView } from "./file_row.js";
import { ResourceForm, type Kind, type Readiness } from "./form.js";
import { limits, refusedType, type Settings } from "./settings.js";
import { makeUploader } from "./uploader.js";
import { Words, hundredths, type Translator } from "./words.js";

/** Bytes from which on a closed page is worth a word. */
const WORTH_A_HINT = 16 << 20;
/** Errors after which the same file would fail in the same way. */
const FINAL = new Set(["too_large", "refused_type", "hash_first", "changed"]);

/** The file that is on its way, or has arrived. */
interface Chosen {
  source: { name: string; size: number };
  row: FileRow;
  /** Null for one that came with a form that is shown again, and before the user has said that it is meant. */
  upload: Upload | null;
  uploaded: Uploaded | null;
  announced: string;
}

export class UploadField {
  readonly uploader: Uploader;
  readonly form: ResourceForm;
  readonly words: Words;
  /** Rows of files go in here. */
  readonly place = make("div", "external-storage-files");
  private readonly label: HTMLElement;
  private readonly status = make("p", "visually-hidden");
  private readonly drops: DropArea;
  /** Where the form makes new resources, which many files can become. */
  private readonly list: FileList | null;
  private readonly present: FileRow | null;
  private chosen: Chosen | null = null;
  /** What there was before a file was chosen. */
  private before: Kind = "none";

  constructor(
    box: HTMLElement,
    readonly settings: Settings,
    say: Translator,
  ) {
    const root = box.closest<HTMLElement>(".resource-upload-field");
    const input = root?.querySelector<HTMLInputElement>("#field-resource-upload");
    if (!root || !input) throw new Error("The form has no field of CKAN's to upload a file with.");
    this.words = new Words(say, document.documentElement.lang || "en");
    this.uploader = makeUploader(settings);
    this.form = new ResourceForm(
      root,
      this.words,
      () => this.readiness(),
      () => this.chosen !== null || (this.list?.isUnsaved ?? false),
    );
    this.drops = new DropArea(this.form.element, box, input, (choice) => this.choose(choice));
    this.list = this.form.isNew ? new FileList(this) : null;
    input.multiple = this.list !== null;
    this.form.bindButtons(() => this.drops.open());
    this.label = make("p", "form-label external-storage-label", say._("File"));
    this.status.setAttribute("role", "status");
    root.append(this.place, this.status);
    root.classList.add("external-storage-on");
    document.getElementById("field-upload-limit")?.remove();
    this.drops.explain(this.introduction());
    this.present = settings.present && this.form.kind === "upload" ? this.presentRow(settings.present) : null;
    if (settings.arrived) this.showArrived(settings.arrived);
    else if (this.present) this.showPresent();
    else if (this.form.kind === "upload") this.form.kind = "none";
    // Somebody may have been faster than this script.
    if (input.files?.length) input.dispatchEvent(new Event("change"));
  }

  /** Takes what was chosen or dropped. */
  choose(choice: Choice): void {
    const [file, second] = choice.files;
    const many = second !== undefined || choice.folders.length > 0;
    if (this.list && (many || this.list.isShown)) {
      void this.list.add(choice, this.handOver());
      return;
    }
    if (many || !file) {
      this.announce(this.words.say._("Choose one file: this resource has room for one."), true);
      return;
    }
    if (!this.chosen) this.before = this.form.kind;
    this.end();
    const source: Source = {
      name: file.name,
      size: file.size,
      type: file.type,
      lastModified: file.lastModified,
      blob: file,
    };
    const row = this.showRow(source.name, source.size, (action) => this.act(action));
    const chosen: Chosen = { source, row, upload: null, uploaded: null, announced: "" };
    this.chosen = chosen;
    this.form.dropFile();
    this.form.kind = "upload";
    const problem = this.objection(source);
    if (problem) {
      row.show({ state: "refused", problem });
      this.announce(problem);
      row.element.focus();
      return;
    }
    this.form.propose(source.name);
    chosen.upload = this.uploader.upload(source);
    chosen.upload.onProgress((progress) => {
      if (this.chosen === chosen) this.progressed(chosen, progress);
    });
    if (source.size > 0) {
      void this.run(chosen);
      row.element.focus();
      return;
    }
    const question = this.words.say._("The file is empty: it has 0 bytes. Is it the right one?");
    row.show({ state: "asking", problem: question });
    this.announce(question);
    row.element.focus();
  }

  /** The one file that is there becomes the first of a list; its upload goes on. */
  private handOver(): { file: File; upload: Upload } | null {
    const { chosen } = this;
    if (!chosen?.upload) return null;
    const { upload } = chosen;
    this.chosen = null;
    this.end();
    return { file: upload.source.blob as File, upload };
  }

  private async run(chosen: Chosen): Promise<void> {
    const { upload, row, source } = chosen;
    if (!upload) return;
    try {
      this.progressed(chosen, upload.progress);
      const uploaded = await upload.start();
      if (this.chosen !== chosen) return;
      chosen.uploaded = uploaded;
      this.form.setFile(uploaded, source.name);
      row.show({ state: "done", hints: this.hints("done") });
      this.announce(this.words.say._("%(name)s is uploaded and checked.", { name: source.name }));
      this.form.saveIfWaiting();
    } catch (error) {
      if (this.chosen === chosen) this.failed(chosen, error);
    }
  }

  private failed(chosen: Chosen, error: unknown): void {
    const known = error instanceof UploadError ? error : new UploadError("server", String(error));
    const problem = this.words.error(known, chosen.source.size, limits(this.settings));
    if (known.code === "logged_out") this.form.otherSession = true;
    const waited = this.form.isWaiting;
    this.form.stopWaiting();
    chosen.row.show({ state: FINAL.has(known.code) ? "refused" : "failed", problem, hints: this.hints("failed") });
    this.announce(problem);
    if (waited) chosen.row.focus();
  }

  private act(action: Action): void {
    const { chosen } = this;
    if (!chosen) return;
    if (action === "replace") this.drops.open();
    else if (action === "pause") chosen.upload?.pause();
    else if (action === "resume") chosen.upload?.resume();
    else if (action === "retry") void this.run(chosen);
    else this.giveUp(chosen);
  }

  private giveUp(chosen: Chosen): void {
    const { say } = this.words;
    const done = chosen.uploaded !== null;
    this.end();
    if (this.present) {
      this.showPresent();
      this.present.focus();
    } else if (this.before === "link") {
      this.form.kind = "link";
    } else {
      this.form.clear();
    }
    this.announce(done ? say._("The file is removed.") : say._("The upload is cancelled."));
  }

  /** Forget the file, and end its upload if that is under way. */
  private end(): void {
    const { chosen } = this;
    this.chosen = null;
    this.form.stopWaiting();
    this.form.dropFile();
    this.place.replaceChildren();
    if (chosen?.upload && !chosen.uploaded) chosen.upload.cancel().catch(() => undefined);
  }

  private progressed(chosen: Chosen, progress: Progress): void {
    const { state } = progress;
    if (state === "done" || state === "failed" || state === "cancelled") return; // `run` says more
    const { error, ...rest } = progress;
    const view: RowView = { ...rest, hints: this.hints(state) };
    if (state === "offline" && error && error.code !== "network") {
      view.problem = this.words.error(error, chosen.source.size, limits(this.settings));
    }
    chosen.row.show(view);
    this.form.tell(chosen.row.text);
    // Screen readers hear of each state, and of each quarter of it.
    const part = state === "checking" ? progress.checked : state === "hashing" ? progress.hashed : progress.sent;
    const key = `${state} ${Math.floor(hundredths(part, progress.size) / 25)}`;
    if (key === chosen.announced) return;
    chosen.announced = key;
    this.announce(`${chosen.source.name}: ${chosen.row.text}`);
  }

  private readiness(): Readiness {
    if (this.list?.isShown) {
      void this.list.save();
      return "stop";
    }
    const { chosen } = this;
    if (!chosen || chosen.uploaded) return "ready";
    const state = chosen.row.state;
    if (state === "failed" || state === "refused" || state === "asking") {
      this.announce(
        this.words.say._("The form is not saved: the file is not uploaded. Say first what to do with it."),
      );
      chosen.row.focus();
      return "stop";
    }
    if (state === "paused") chosen.upload?.resume();
    queueMicrotask(() => this.form.tell(chosen.row.text));
    this.announce(this.words.say._("The form is saved by itself when the file is there."));
    return "wait";
  }

  /** Why a file cannot come, as far as that is known before anything is sent. */
  objection(source: Source): string | null {
    const most = limits(this.settings);
    if (most.maxSize !== null && source.size > most.maxSize) return this.words.tooLarge(source.size, most);
    if (refusedType(source.name, most.refusedTypes)) return this.words.refused(most);
    if (most.hashFirstMax !== null && source.size > most.hashFirstMax) {
      return this.words.error(new UploadError("hash_first", ""), source.size, most);
    }
    return null;
  }

  private presentRow(present: { name: string; size: number | null }): FileRow {
    this.form.knowProposed(present.name);
    return new FileRow(this.words, present.name, present.size, (action) => {
      if (action === "replace") {
        this.drops.open();
      } else {
        this.place.replaceChildren();
        this.form.clear();
        this.announce(this.words.say._("The file is removed when the form is saved."));
      }
    });
  }

  private showPresent(): void {
    if (!this.present) return;
    this.form.kind = "upload";
    this.present.show({ state: "present" });
    this.place.replaceChildren(this.label, this.present.element);
  }

  private showArrived(arrived: { id: string; name: string | null; size: number; oid: string }): void {
    // What the form has for those without JavaScript.
    document.getElementById("field-upload-id")?.closest(".form-check")?.remove();
    const source = { name: arrived.name ?? this.words.say._("File without a name"), size: arrived.size };
    const row = this.showRow(source.name, source.size, (action) => this.act(action));
    const uploaded = { uploadId: arrived.id, oid: arrived.oid, size: arrived.size };
    this.chosen = { source, row, upload: null, uploaded, announced: "" };
    this.form.setFile(uploaded, source.name);
    row.show({ state: "done", hints: this.hints("done") });
  }

  private showRow(name: string, size: number, act: (action: Action) => void): FileRow {
    const row = new FileRow(this.words, name, size, act, this.present !== null);
    this.place.replaceChildren(this.label, row.element);
    return row;
  }

  private hints(state: string): string[] {
    const { say } = this.words;
    const hints: string[] = [];
    const present = this.settings.present;
    if (present && this.present && this.settings.kept) {
      hints.push(
        say._("It replaces %(name)s, which stays available in the earlier versions of this dataset.", {
          name: present.name,
        }),
      );
    } else if (present && this.present) {
      hints.push(say._("It replaces %(name)s.", { name: present.name }));
    }
    const size = this.chosen?.source.size ?? 0;
    if (size >= WORTH_A_HINT && ["sending", "offline", "paused"].includes(state)) {
      hints.push(
        say._("If this page is closed meanwhile, choose the same file here again: the upload goes on where it was."),
      );
    }
    return hints;
  }

  private introduction(): string[] {
    const { words, settings } = this;
    const { say } = words;
    const size = settings.max_size === null ? null : words.size(settings.max_size);
    const texts = this.list
      ? [
          size === null
            ? say._("Or drop files or a folder here.")
            : say._("Or drop files or a folder here. Each file may have up to %(size)s.", { size }),
        ]
      : [
          size === null
            ? say._("Or drop a file here.")
            : say._("Or drop a file here. It may have up to %(size)s.", { size }),
        ];
    for (const { name, size } of settings.unfinished) {
      texts.push(
        say._("The upload of %(name)s (%(size)s) is not finished: choose the file again, and it goes on where it was.", {
          name,
          size: words.size(size),
        }),
      );
    }
    return texts;
  }

  /** To screen readers; `shown`: to all. */
  announce(text: string, shown = false): void {
    this.status.classList.toggle("visually-hidden", !shown);
    this.status.textContent = text;
  }
}

declare const ckan: {
  module(name: string, properties: object): void;
};

/** What CKAN makes of an element with this module. */
interface CkanModule extends Translator {
  el: ArrayLike<HTMLElement>;
  options: { field: Settings };
}

ckan.module("external-storage-upload", {
  initialize(this: CkanModule) {
    const box = this.el[0];
    if (box) new UploadField(box, this.options.field, this);
  },
});
