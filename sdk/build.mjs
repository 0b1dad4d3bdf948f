// `node build.mjs assets [DIRECTORY]`: what CKAN's pages load, into assets/external_storage or elsewhere.
// `node build.mjs package`: dist, which npm publishes.
// `node build.mjs tests DIRECTORY`: the programs in tests/, for Node.

import { execFileSync } from "node:child_process";
import { copyFile, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const ASSETS = join(HERE, "..", "assets", "external_storage");
const LICENCE = "hash_worker.LICENSE.txt";

const bundle = (entry, outfile, banner = "") =>
  build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    minify: true,
    format: "iife",
    target: ["es2022"],
    charset: "utf8",
    legalComments: "none",
    banner: { js: banner },
    logLevel: "warning",
  });

// hash-wasm is a part of it, and its licence wants to be where it is.
async function worker(directory) {
  await bundle(
    join(HERE, "src", "hash_worker.ts"),
    join(directory, "hash_worker.js"),
    `/*! Contains hash-wasm, Copyright (c) 2020 Dani Biró, MIT licence: ${LICENCE} */`,
  );
  await copyFile(join(HERE, "node_modules", "hash-wasm", "LICENSE"), join(directory, LICENCE));
}

const [what, directory = ASSETS] = process.argv.slice(2);
if (what === "assets") {
  await Promise.all([
    bundle(join(ASSETS, "src", "upload_field.ts"), join(directory, "js", "upload_field.js")),
    worker(join(directory, "public", "external_storage")),
  ]);
} else if (what === "package") {
  await rm(join(HERE, "dist"), { recursive: true, force: true });
  const tsc = join(HERE, "node_modules", "typescript", "bin", "tsc");
  execFileSync(process.execPath, [tsc, "--project", join(HERE, "tsconfig.package.json")], { stdio: "inherit" });
  await worker(join(HERE, "dist"));
} else if (what === "tests") {
  const tests = (await readdir(join(HERE, "tests"))).filter((name) => name.endsWith(".test.ts"));
  await build({
    entryPoints: tests.map((name) => join(HERE, "tests", name)),
    outdir: directory,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: ["node20"],
    sourcemap: "inline",
    logLevel: "warning",
  });
} else {
  throw new Error("Usage: node build.mjs assets [DIRECTORY] | package | tests DIRECTORY");
}
