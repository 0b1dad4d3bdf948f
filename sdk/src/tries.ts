/** When to try again, and when to give up. */

import { Refused } from "./errors.js";
import { pause, type Surroundings } from "./surroundings.js";
import { type ErrorCode, UploadError } from "./types.js";

/** Milliseconds. */
const FIRST = 500;
const LONGEST = 20_000;
/** For what is no lost connection, and may be wrong for good. */
const MOST_TRIES = 5;

/** What may pass while one waits. Others can be tried again when somebody has done something about them. */
const PASSES = new Set<ErrorCode>(["network", "server", "no_worker"]);

/** Whoever it is that does not answer, it comes back some day. */
function isAway(error: UploadError): boolean {
  if (error.code === "network") {
    return true;
  }
  return error.code === "server" && [423, 502, 503, 504].includes(error.status ?? 0);
}

/** The tries at one thing. `tell` hears what is wrong, and undefined as soon as nothing is. */
export class Tries {
  #tries = 0;
  #since = 0;

  constructor(
    readonly surroundings: Surroundings,
    readonly signal: AbortSignal,
    /** Milliseconds after which a server that is away is given up. */
    readonly patience: number,
    readonly tell: (error: UploadError | undefined) => void,
  ) {}

  /** Something has arrived. */
  worked(): void {
    if (this.#tries > 0) {
      this.#tries = 0;
      this.tell(undefined);
    }
  }

  /** Resolves when it is time for the next try; rejects with the error if there is to be none. */
  async after(error: unknown): Promise<void> {
    this.signal.throwIfAborted();
    if (!(error instanceof UploadError) || !error.retriable || !PASSES.has(error.code)) {
      throw error;
    }
    if (this.#tries === 0) {
      this.#since = performance.now();
    }
    this.#tries += 1;
    const away = isAway(error);
    if (away ? performance.now() - this.#since > this.patience : this.#tries > MOST_TRIES) {
      throw error;
    }
    const { surroundings } = this;
    if (away && (this.#tries > 1 || !surroundings.online())) {
      this.tell(error);
    }
    const longest = Math.min(LONGEST, FIRST * 2 ** (this.#tries - 1));
    const asked = error instanceof Refused ? 1000 * (error.after ?? 0) : 0;
    // Without jitter, all who lost a server would come back at the same moment.
    const wait = Math.max(asked, longest * (0.5 + Math.random() / 2));
    await pause(wait, this.signal, (listener) => surroundings.onOnline(listener));
  }

  /** The result of `work`, tried until it comes. */
  async until<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        const result = await work();
        this.worked();
        return result;
      } catch (error) {
        await this.after(error);
      }
    }
  }
}
