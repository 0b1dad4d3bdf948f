/** Where files come from: core's button and file input, and what is dropped on the form. */

import { make } from "./elements.js";

/** What was chosen or dropped at once. */
export interface Choice {
  files: File[];
  folders: FileSystemDirectoryEntry[];
}

export class DropArea {
  /** `box` holds core's buttons; `input` is core's own, which sends nothing any more. */
  constructor(
    private readonly form: HTMLElement,
    private readonly box: HTMLElement,
    private readonly input: HTMLInputElement,
    private readonly chosen: (choice: Choice) => void,
  ) {
    input.removeAttribute("name");
    input.disabled = false;
    // Before core's own handler, which would fill in the name.
    input.addEventListener(
      "change",
      (event) => {
        event.stopImmediatePropagation();
        const files = [...(input.files ?? [])];
        input.value = ""; // so that the same file can be chosen again
        if (files.length) this.chosen({ files, folders: [] });
      },
      true,
    );
    // A file that misses the form must not take the page's place.
    document.addEventListener("dragover", (event) => this.over(event));
    document.addEventListener("drop", (event) => this.drop(event));
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) this.light(false);
    });
  }

  /** Opens the browser's own dialog; only in answer to a click or a key. */
  open(): void {
    this.input.click();
  }

  /** Sentences below the buttons. */
  explain(texts: readonly string[]): void {
    this.box.querySelectorAll(".external-storage-hint").forEach((hint) => hint.remove());
    this.box.append(...texts.map((text) => make("p", "external-storage-hint", text)));
  }

  private over(event: DragEvent): void {
    if (!hasFiles(event)) return;
    event.preventDefault();
    const inside = this.form.contains(event.target as Node | null);
    if (event.dataTransfer) event.dataTransfer.dropEffect = inside ? "copy" : "none";
    this.light(inside);
  }

  private drop(event: DragEvent): void {
    if (!hasFiles(event)) return;
    event.preventDefault();
    this.light(false);
    if (!this.form.contains(event.target as Node | null) || !event.dataTransfer) return;
    const folders = [...event.dataTransfer.items]
      .map((item) => item.webkitGetAsEntry())
      .filter((entry): entry is FileSystemDirectoryEntry => entry?.isDirectory ?? false);
    const names = new Set(folders.map((folder) => folder.name));
    // A folder is among the files, too, as one that cannot be read.
    const files = [...event.dataTransfer.files].filter((file) => !names.has(file.name));
    if (files.length + folders.length) this.chosen({ files, folders });
  }

  private light(on: boolean): void {
    this.box.classList.toggle("external-storage-over", on);
  }
}

function hasFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes("Files") ?? false;
}
