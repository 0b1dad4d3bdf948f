/** Uploads that begin at the same time begin by one request. */

import type { Begin, Described } from "./api.js";
import type { UploadError } from "./types.js";

/** Files that the server takes in one request. */
const MOST = 100;
/** Bytes of files that are worth sending before others have been read. */
const ENOUGH = 64 << 20;
/** Milliseconds after which others are not waited for in any case: a disk may have fallen asleep. */
const PATIENCE = 10_000;

interface Asked {
  what: Begin;
  told: (described: Described) => void;
  resolve: (described: Described) => void;
  reject: (error: unknown) => void;
}

export class Beginnings {
  #coming = 0;
  #asked: Asked[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `send`: for each of the files, in order, an upload or why there is none. */
  constructor(readonly send: (files: Begin[]) => Promise<(Described | UploadError)[]>) {}

  /** An upload is going to begin, when its file has been read. Call what this returns if it never will. */
  announce(): () => void {
    this.#coming += 1;
    let over = false;
    return () => {
      if (!over) {
        over = true;
        this.#coming -= 1;
        this.#sendIfComplete();
      }
    };
  }

  /** `over`: what `announce` returned. `told`: hears of the upload also if it is there after `signal`. */
  begin(what: Begin, over: () => void, signal: AbortSignal, told: Asked["told"]): Promise<Described> {
    return new Promise((resolve, reject) => {
      const asked = { what, told, resolve, reject };
      this.#asked.push(asked);
      signal.addEventListener("abort", () => {
        this.#asked = this.#asked.filter((other) => other !== asked);
        reject(signal.reason as Error);
      });
      this.#timer ??= setTimeout(() => this.#sendAll(), PATIENCE);
      over();
      this.#sendIfComplete();
    });
  }

  #sendIfComplete(): void {
    const size = this.#asked.reduce((sum, { what }) => sum + what.size, 0);
    if (this.#coming === 0 || this.#asked.length >= MOST || size >= ENOUGH) {
      this.#sendAll();
    }
  }

  #sendAll(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const asked = this.#asked.splice(0, MOST);
    if (asked.length === 0) {
      return;
    }
    this.send(asked.map(({ what }) => what)).then(
      (answers) =>
        asked.forEach(({ told, resolve, reject }, at) => {
          const answer = answers[at];
          if (answer === undefined || answer instanceof Error) {
            reject(answer);
          } else {
            told(answer);
            resolve(answer);
          }
        }),
      (error: unknown) => asked.forEach(({ reject }) => reject(error)),
    );
    if (this.#asked.length > 0) {
      this.#sendAll();
    }
  }
}
