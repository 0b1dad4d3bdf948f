/** Who may go on, when not all can at once. */

/** At most so many at a time, in the order in which they came. */
export class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(most: number) {
    this.#free = most;
  }

  /** Whether one has to wait. */
  get areTaken(): boolean {
    return this.#free === 0;
  }

  /** Resolves to what ends the turn. */
  async take(signal: AbortSignal): Promise<() => void> {
    if (this.#free > 0) {
      this.#free -= 1;
    } else {
      await new Promise<void>((resolve, reject) => {
        const mine = (): void => {
          signal.removeEventListener("abort", stop);
          resolve();
        };
        const stop = (): void => {
          this.#waiting.splice(this.#waiting.indexOf(mine), 1);
          reject(signal.reason as Error);
        };
        signal.addEventListener("abort", stop, { once: true });
        this.#waiting.push(mine);
      });
    }
    let over = false;
    return () => {
      if (over) {
        return;
      }
      over = true;
      const next = this.#waiting.shift();
      if (next === undefined) {
        this.#free += 1;
      } else {
        next();
      }
    };
  }
}

/** Holds a lock of this browser until the returned function is called; undefined if another tab holds it. */
export function tryLock(locks: LockManager, name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    locks
      .request(name, { ifAvailable: true }, (lock) =>
        lock === null ? resolve(undefined) : new Promise<void>((release) => resolve(release)),
      )
      .catch(reject);
  });
}

/** The same, as soon as it is free. */
export function lockWhenFree(locks: LockManager, name: string, signal: AbortSignal): Promise<() => void> {
  return new Promise((resolve, reject) => {
    locks
      .request(name, { signal }, () => new Promise<void>((release) => resolve(release)))
      .catch(reject);
  });
}
