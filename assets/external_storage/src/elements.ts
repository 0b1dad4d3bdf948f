/** Elements of which files and lists of them are made. */

import type { Words } from "./words.js";

export function make(tag: string, className: string, ...children: (Node | string)[]): HTMLElement {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** Without touching what is there already, so that screen readers and selections are left alone. */
export function write(element: HTMLElement, text: string): void {
  element.hidden = !text;
  if (element.textContent !== text) element.textContent = text;
}

/** What a file is called, how large it is (bytes, null if that is not known), and a sign of how it stands. */
export class Heading {
  readonly element: HTMLElement;
  private readonly sign = make("i", "fa");

  /** `id`: of the element that has the name, and nothing else. */
  constructor(words: Words, id: string, name: string, size: number | null) {
    this.sign.setAttribute("aria-hidden", "true");
    const title = make("strong", "external-storage-name", name);
    title.id = id;
    title.dir = "auto";
    const both = make("span", "external-storage-title", title);
    if (size !== null) {
      const sized = make("span", "external-storage-size", words.size(size));
      sized.dir = "auto";
      both.append(" ", sized);
    }
    this.element = make("p", "external-storage-head", this.sign, both);
  }

  show(icon = "fa-file"): void {
    this.sign.className = `fa ${icon}`;
  }
}

export class Bar {
  readonly element: HTMLElement;
  private readonly fill = make("div", "progress-bar");

  /** `label`: an ARIA attribute that names it. */
  constructor(label: "aria-label" | "aria-labelledby", value: string) {
    this.element = make("div", "progress external-storage-bar", this.fill);
    this.element.setAttribute("role", "progressbar");
    this.element.setAttribute(label, value);
    this.element.setAttribute("aria-valuemin", "0");
    this.element.setAttribute("aria-valuemax", "100");
  }

  /** `percent`: null where nothing goes on. `text`: the same in words. */
  show(percent: number | null, text: string): void {
    this.element.hidden = percent === null;
    this.fill.style.width = `${percent ?? 0}%`;
    this.element.setAttribute("aria-valuenow", String(percent ?? 0));
    this.element.setAttribute("aria-valuetext", text);
  }
}
