/** The files of one drop: folders are read to their end, and what nobody means to publish stays out. */

import type { Choice } from "./drop_area.js";

export interface Found {
  file: File;
  /** Within the folder that was dropped; else the name of the file. */
  path: string;
}

export interface Finding {
  /** In the order of the drop, and within a folder by name. */
  files: Found[];
  /** Paths of what operating systems leave in folders. */
  leftOut: string[];
  /** Paths of what the browser may not read. */
  unreadable: string[];
}

const JUNK = new Set(["thumbs.db", "desktop.ini", "__macosx"]);
const collator = new Intl.Collator(undefined, { numeric: true });

/** Reads no further than `most` files and one. */
export async function gather(choice: Choice, most: number): Promise<Finding> {
  const finding: Finding = { files: [], leftOut: [], unreadable: [] };
  for (const file of choice.files) {
    if (isJunk(file.name)) finding.leftOut.push(file.name);
    else finding.files.push({ file, path: file.name });
  }
  for (const folder of choice.folders) await walk(folder, "", finding, most);
  return finding;
}

async function walk(folder: FileSystemDirectoryEntry, path: string, finding: Finding, most: number): Promise<void> {
  let entries: FileSystemEntry[];
  try {
    entries = await content(folder);
  } catch {
    finding.unreadable.push(path || folder.name);
    return;
  }
  for (const entry of entries.sort((one, other) => collator.compare(one.name, other.name))) {
    if (finding.files.length > most) return;
    const its = path + entry.name;
    if (isJunk(entry.name)) finding.leftOut.push(its);
    else if (isFolder(entry)) await walk(entry, `${its}/`, finding, most);
    else await file(entry as FileSystemFileEntry, its, finding);
  }
}

async function file(entry: FileSystemFileEntry, path: string, finding: Finding): Promise<void> {
  try {
    finding.files.push({ file: await new Promise<File>((resolve, reject) => entry.file(resolve, reject)), path });
  } catch {
    finding.unreadable.push(path);
  }
}

/** A browser hands out a hundred entries at a time, and none after the last. */
async function content(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return all;
    all.push(...some);
  }
}

function isFolder(entry: FileSystemEntry): entry is FileSystemDirectoryEntry {
  return entry.isDirectory;
}

function isJunk(name: string): boolean {
  return name.startsWith(".") || JUNK.has(name.toLowerCase());
}
