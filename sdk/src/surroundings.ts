/** What a browser has and Node has not, or the other way round. `browser.ts` and `node.ts` fill it in. */

import type { Http } from "./types.js";

export interface Surroundings {
  http: Http;
  /** False if there is certainly no network. */
  online(): boolean;
  /** Calls back when the network may be there again; returns how to end that. */
  onOnline(listener: () => void): () => void;
  /** Whether anything answers there, although this page may not read what. */
  answers?(url: string): Promise<boolean>;
  notes: Notes;
  /** Shared by the tabs of one browser. */
  locks?: LockManager | undefined;
}

/**
 * Which parts of an upload were on their way last. A store may take one whose connection ended early for a
 * whole one (versitygw 1.8 does); so these are sent again, by a later page, too.
 */
export interface Notes {
  get(upload: string): number[];
  /** None: forget the upload. */
  set(upload: string, parts: number[]): void;
}

/** For as long as the program runs. */
export function notesInMemory(): Notes {
  const notes = new Map<string, number[]>();
  return {
    get: (upload) => notes.get(upload) ?? [],
    set: (upload, parts) => void (parts.length > 0 ? notes.set(upload, parts) : notes.delete(upload)),
  };
}

/** Waits, or rejects with the signal's reason; `wake` may end it earlier. */
export function pause(
  milliseconds: number,
  signal: AbortSignal,
  wake?: (listener: () => void) => () => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const end = (then: () => void) => (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      forget?.();
      then();
    };
    const over = end(resolve);
    const stop = end(() => reject(signal.reason as Error));
    const timer = setTimeout(over, milliseconds);
    const forget = wake?.(over);
    signal.addEventListener("abort", stop);
  });
}
