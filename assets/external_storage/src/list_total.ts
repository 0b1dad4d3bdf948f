/** How far all files of a list are: in words, as a bar, and aloud. */

import { Bar, make, write } from "./elements.js";
import type { ListRow } from "./list_row.js";
import { hundredths, type Words } from "./words.js";

/** Milliseconds over which the speed is measured. */
const WINDOW = 10_000;

export class ListTotal {
  private readonly text = make("p", "external-storage-total");
  private readonly bar: Bar;
  private samples: { at: number; sent: number }[] = [];
  private announced = "";

  constructor(
    private readonly words: Words,
    private readonly announce: (text: string) => void,
  ) {
    this.bar = new Bar("aria-label", words.say._("All files"));
  }

  get elements(): HTMLElement[] {
    return [this.text, this.bar.element];
  }

  /** There are others now: what was sent until now says nothing of the speed. */
  measureAnew(): void {
    this.samples = [];
  }

  /** "12 of 20 files, about 3 minutes left" */
  tell(rows: readonly ListRow[]): void {
    const { words } = this;
    const { say } = words;
    const wanted = rows.filter((row) => row.state !== "refused" && row.state !== "failed");
    const size = wanted.reduce((sum, row) => sum + row.file.size, 0);
    const sent = wanted.reduce((sum, row) => sum + row.sent, 0);
    const arrived = wanted.filter((row) => !row.isOnItsWay).length;
    const going = arrived < wanted.length;
    const left = going ? this.secondsLeft(sent, size) : undefined;
    const done = say._("%(done)d of %(all)d files have arrived", { done: arrived, all: rows.length });
    write(this.text, [done, left === undefined ? "" : words.left(left)].filter(Boolean).join(" · "));
    const percent = going ? Math.min(99, hundredths(sent, size)) : 100;
    this.bar.show(going ? percent : null, this.text.textContent ?? "");
    // Screen readers hear of each quarter, not of each file.
    const key = `${rows.length} ${Math.floor(percent / 25)}`;
    if (key === this.announced || percent < 25) return;
    this.announced = key;
    this.announce(this.text.textContent ?? "");
  }

  private secondsLeft(sent: number, size: number): number | undefined {
    const now = performance.now();
    this.samples.push({ at: now, sent });
    while (this.samples.length > 2 && now - (this.samples[1]?.at ?? now) > WINDOW) this.samples.shift();
    const first = this.samples[0];
    if (!first || now - first.at < 1000 || sent <= first.sent) return undefined;
    return ((size - sent) * (now - first.at)) / 1000 / (sent - first.sent);
  }
}
