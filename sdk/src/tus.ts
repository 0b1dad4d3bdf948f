/** Sends by tus 1.0.0 (https://tus.io), to the site itself. */

import type { Described } from "./api.js";
import { Refused } from "./errors.js";
import { type Leg, stillThere } from "./leg.js";

/** Bytes of one request where a server in front limits them; the first is just above what nginx is born with. */
const LARGEST = 64 << 20;
const SMALLEST = 512 << 10;

export async function sendByTus(leg: Leg, described: Described): Promise<void> {
  const { api, source, signal } = leg;
  const tries = leg.tries();
  let offset = described.offset ?? 0;
  // Few, long requests: the server reads what came before once more with the last one.
  let most = Number.POSITIVE_INFINITY;
  let known = true;
  for (;;) {
    try {
      if (!known) {
        const now = await api.show(described.id, signal);
        if (now.state !== "open") {
          return; // all is there; or it has ended, and completing it tells why
        }
        if ((now.offset ?? 0) > offset) {
          tries.worked();
        }
        offset = now.offset ?? 0;
        known = true;
      }
      leg.sent(offset);
      if (offset === source.size) {
        return;
      }
      const start = offset;
      const answer = await api.ask({
        method: "PATCH",
        url: described.href ?? "",
        headers: {
          "Tus-Resumable": "1.0.0",
          "Upload-Offset": String(start),
          "Content-Type": "application/offset+octet-stream",
        },
        body: source.blob.slice(start, Math.min(source.size, start + most)),
        signal,
        onSent: (bytes) => leg.sent(start + bytes),
      });
      offset = Number(answer.header("Upload-Offset"));
      tries.worked();
    } catch (error) {
      known = false;
      if (error instanceof Refused && error.status === 413 && error.reason === undefined && most > SMALLEST) {
        most = most > LARGEST ? LARGEST : most / 4;
        continue;
      }
      await stillThere(error, source.blob, offset);
      await tries.after(error);
    }
  }
}
