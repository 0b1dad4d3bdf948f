/**
 * How far files have been hashed, kept in IndexedDB for pages to come. Only a hint: where the browser has or
 * gives no such place, everything here quietly does nothing.
 */

export interface HashState {
  /** Bytes. */
  hashed: number;
  /** As hash-wasm saves it. */
  state: Uint8Array;
}

type Kept = HashState & { at: number };

const STORE = "states";
/** Milliseconds for which a state is kept; an upload that nobody goes on with is given up much earlier. */
const KEPT_FOR = 7 * 24 * 3_600_000;

export function recall(key: string): Promise<HashState | undefined> {
  return ask<Kept>("readonly", (store) => store.get(key));
}

export async function remember(key: string, state: HashState): Promise<void> {
  await ask("readwrite", (store) => store.put({ ...state, at: Date.now() } satisfies Kept, key));
}

export async function forget(key: string): Promise<void> {
  const old = Date.now() - KEPT_FOR;
  await ask("readwrite", (store) => {
    store.openCursor().onsuccess = (event) => {
      const cursor = (event.target as IDBRequest<IDBCursorWithValue | null>).result;
      if (cursor !== null) {
        if ((cursor.value as Kept).at < old) {
          cursor.delete();
        }
        cursor.continue();
      }
    };
    return store.delete(key);
  });
}

async function ask<T>(
  mode: IDBTransactionMode,
  what: (store: IDBObjectStore) => IDBRequest,
): Promise<T | undefined> {
  try {
    const opening = indexedDB.open("ckanext-publish", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    const database = await done<IDBDatabase>(opening);
    try {
      return await done<T>(what(database.transaction(STORE, mode).objectStore(STORE)));
    } finally {
      database.close();
    }
  } catch {
    return undefined;
  }
}

function done<T>(request: IDBRequest): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result as T);
    request.onerror = () => reject(request.error as Error);
  });
}
