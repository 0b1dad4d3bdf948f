/** What a page and `hash_worker.ts` say to each other. One worker hashes one file; to stop it is to end it. */

export interface ToWorker {
  blob: Blob;
  /** Under which its state is kept while it reads, so that a later page goes on there. */
  key?: string | undefined;
}

export type FromWorker =
  | { kind: "hashed"; bytes: number }
  | { kind: "done"; oid: string }
  /** No WebAssembly here. */
  | { kind: "impossible" }
  /** The file has changed or is gone. */
  | { kind: "unreadable" };
