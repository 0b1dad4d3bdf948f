/** How far an upload is, how fast, and who is told. */

import type { Progress, UploadError, UploadState } from "./types.js";

/** Milliseconds. */
const BETWEEN = 200;
/** Over which the speed is measured. */
const WINDOW = 5000;
/** Before which it is not told. */
const SHORTEST = 1000;

export class Standing {
  #sent = 0;
  #hashed = 0;
  #checked = 0;
  #error: UploadError | undefined;
  #state: UploadState = "waiting";
  #samples: { at: number; sent: number }[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #listeners = new Set<(progress: Progress) => void>();

  constructor(readonly size: number) {}

  get progress(): Progress {
    const speed = this.#speed();
    const left = this.size - this.#sent;
    return {
      state: this.#state,
      size: this.size,
      sent: this.#sent,
      hashed: this.#hashed,
      checked: this.#checked,
      ...(speed === undefined ? {} : { speed }),
      ...(speed ? { secondsLeft: left / speed } : {}),
      ...(this.#error === undefined ? {} : { error: this.#error }),
    };
  }

  listen(listener: (progress: Progress) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  is(state: UploadState, error?: UploadError): void {
    if (state === this.#state && error === this.#error) {
      return;
    }
    if (state !== this.#state) {
      this.#samples = [];
    }
    this.#state = state;
    this.#error = error;
    this.#tell();
  }

  sent(bytes: number): void {
    const now = performance.now();
    const last = this.#samples.at(-1);
    if (last !== undefined && bytes < last.sent) {
      this.#samples = []; // some of it did not arrive
    }
    this.#sent = bytes;
    this.#samples.push({ at: now, sent: bytes });
    while (this.#samples.length > 2 && now - (this.#samples[1]?.at ?? now) > WINDOW) {
      this.#samples.shift();
    }
    this.#tellSoon();
  }

  hashed(bytes: number): void {
    this.#hashed = bytes;
    this.#tellSoon();
  }

  checked(bytes: number): void {
    this.#checked = bytes;
    this.#tellSoon();
  }

  #speed(): number | undefined {
    const first = this.#samples[0];
    if (this.#state !== "sending" || first === undefined) {
      return undefined;
    }
    const milliseconds = performance.now() - first.at;
    return milliseconds < SHORTEST ? undefined : (1000 * (this.#sent - first.sent)) / milliseconds;
  }

  #tellSoon(): void {
    this.#timer ??= setTimeout(() => this.#tell(), BETWEEN);
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { progress } = this;
    for (const listener of [...this.#listeners]) {
      listener(progress);
    }
  }
}
