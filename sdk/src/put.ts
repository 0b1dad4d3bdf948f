/** Sends a small file to the store by one request, which the store checks against the file's sha256. */

import type { Described } from "./api.js";
import type { Leg } from "./leg.js";
import { refused, type Store } from "./store.js";

/** Signatures in a row that the store may refuse. */
const MOST_STALE = 3;

export async function sendByPut(leg: Leg, store: Store, described: Described): Promise<void> {
  const { size } = leg.source;
  const tries = leg.tries();
  let offer = described;
  let stale = 0;
  while (offer.state === "open") {
    try {
      const { href, header = {} } = offer;
      if (href === undefined) {
        return; // an external server has bytes of this size; they are checked when that is complete
      }
      const stored = await store.put({ href, header }, 0, size, (bytes) => leg.sent(bytes));
      if (stored !== "stale") {
        leg.sent(size);
        tries.worked();
        return;
      }
      stale += 1;
    } catch (error) {
      leg.sent(0);
      await tries.after(error);
    }
    if (stale === MOST_STALE) {
      throw refused();
    }
    // Also after a lost connection: a store that refuses a signature may cut it before it says so.
    offer = await leg.tries().until(() => leg.again());
  }
}
