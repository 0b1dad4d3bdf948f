/** Sends a large file to the store in parts, several at a time, each by a request that the site has signed. */

import type { Described, SignedPart } from "./api.js";
import { Refused } from "./errors.js";
import type { Leg } from "./leg.js";
import { refused, type Store } from "./store.js";

const PARALLEL = 4;
/** Parts that are signed by one request, before it is their turn. */
const AHEAD = 16;
/** Milliseconds for which a signature is used: the site gives 15 minutes, and clocks are compared nowhere. */
const FRESH = 10 * 60_000;
const MOST_STALE = 3;

export async function sendByMultipart(leg: Leg, store: Store, described: Described): Promise<void> {
  const { size } = leg.source;
  const partSize = described.part_size ?? size;
  const start = (number: number): number => (number - 1) * partSize;
  const end = (number: number): number => Math.min(size, number * partSize);

  const doubtful = new Set(leg.notes.get(described.id));
  const there = new Set(
    (described.parts ?? [])
      .filter(({ number, size }) => size === end(number) - start(number) && !doubtful.has(number))
      .map(({ number }) => number),
  );
  const numbers: number[] = [];
  for (let number = 1; start(number) < size; number += 1) {
    if (!there.has(number)) {
      numbers.push(number);
    }
  }
  let arrived = size - numbers.reduce((sum, number) => sum + end(number) - start(number), 0);
  const onTheWay = new Map<number, number>();
  const note = (): void => leg.notes.set(described.id, [...doubtful]);
  const tell = (): void => leg.sent(arrived + [...onTheWay.values()].reduce((sum, bytes) => sum + bytes, 0));
  tell();

  const signatures = new Signatures(leg, described.id, numbers);
  let gone = false;

  async function sendOne(number: number): Promise<void> {
    const tries = leg.tries();
    for (let stale = 0; !gone; ) {
      try {
        const signed = await signatures.of(number);
        doubtful.add(number);
        note();
        const stored = await store.put(signed, start(number), end(number), (bytes) => {
          onTheWay.set(number, Math.min(bytes, end(number) - start(number)));
          tell();
        });
        gone ||= stored === "gone";
        onTheWay.delete(number);
        doubtful.delete(number);
        note();
        if (stored !== "stale") {
          arrived += stored === "stored" ? end(number) - start(number) : 0;
          tell();
          tries.worked();
          return;
        }
        stale += 1;
      } catch (error) {
        onTheWay.delete(number);
        tell();
        if (error instanceof Refused && error.reason !== undefined && (error.status === 410 || error.status === 423)) {
          gone = true; // somebody else has completed or ended it: completing it tells which
          return;
        }
        await tries.after(error);
      }
      // Also after a lost connection: a store that refuses a signature may cut it before it says so.
      signatures.drop(number);
      if (stale === MOST_STALE) {
        throw refused();
      }
    }
  }

  const queue = numbers[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (const number of queue) {
      await sendOne(number);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

/** Signed requests, fetched for some parts at once and in advance. */
class Signatures {
  readonly #signed = new Map<number, { part: SignedPart; at: number }>();
  #asking: Promise<void> | undefined;

  constructor(
    readonly leg: Leg,
    readonly id: string,
    /** In the order in which they are sent. */
    readonly numbers: number[],
  ) {}

  async of(number: number): Promise<SignedPart> {
    for (;;) {
      const found = this.#signed.get(number);
      if (found !== undefined && performance.now() - found.at < FRESH) {
        return found.part;
      }
      this.#asking ??= this.#ask(number).finally(() => {
        this.#asking = undefined;
      });
      await this.#asking;
    }
  }

  /** It was refused. */
  drop(number: number): void {
    this.#signed.delete(number);
  }

  async #ask(number: number): Promise<void> {
    const from = this.numbers.indexOf(number);
    const wanted = this.numbers.slice(from, from + AHEAD);
    const at = performance.now();
    for (const part of await this.leg.api.sign(this.id, wanted, this.leg.signal)) {
      this.#signed.set(part.number, { part, at });
    }
  }
}
