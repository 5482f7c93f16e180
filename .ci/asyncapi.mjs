// `node asyncapi.mjs FOLDER FILE`: parse an AsyncAPI document with the parser installed in FOLDER; exit 1 if it finds anything.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { resolve } from "node:path";

// Information, not a mistake: 3.1 adds nothing that we would say.
const KNOWN = ["asyncapi-latest-version"];

const [folder, file] = process.argv.slice(2);
const { Parser } = createRequire(resolve(folder, "package.json"))("@asyncapi/parser");
const { document, diagnostics } = await new Parser().parse(await readFile(file, "utf8"));

const found = diagnostics.filter(({ code }) => !KNOWN.includes(code));
for (const { range, path, message, code } of found) {
  console.error(`${file}:${range.start.line + 1}: ${path.join(".")}: ${message} [${code}]`);
}
const valid = document !== undefined && found.length === 0;
if (valid) console.log(`AsyncAPI ${document.version()}: ${file}, ${document.operations().length} operations, nothing found`);
process.exit(valid ? 0 : 1);
