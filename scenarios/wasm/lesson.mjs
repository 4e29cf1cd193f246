// Runs lessons in Node: `node lesson.mjs MODULE LESSON…`, where MODULE is glassnet_wasm.wasm. Each prompt must print what
// its lesson says, and the walk must be, byte for byte, the one in snapshots/walks, which another machine wrote.
import { readFileSync } from "node:fs";
import { basename } from "node:path";

const [path, ...lessons] = process.argv.slice(2);
const module = new WebAssembly.Module(readFileSync(path));

/** Calls `run` or `walk` of a new instance, and reads its answer. */
function ask(name, text) {
  const { memory, alloc, ...calls } = new WebAssembly.Instance(module).exports;
  const bytes = new TextEncoder().encode(text);
  const at = alloc(bytes.length);
  new Uint8Array(memory.buffer, at, bytes.length).set(bytes);
  const answer = calls[name](at, bytes.length);
  const length = new DataView(memory.buffer).getUint32(answer, true);
  return new TextDecoder().decode(new Uint8Array(memory.buffer, answer + 4, length));
}

/** A snapshot's text, without its head and without the newline that ends every file. */
function snapshot(lesson) {
  const file = new URL(`../../snapshots/walks/${basename(lesson, ".md")}.snap`, import.meta.url);
  return readFileSync(file, "utf8").split("---\n").slice(2).join("---\n").trimEnd();
}

for (const lesson of lessons) {
  const text = readFileSync(lesson, "utf8");
  const prompts = ask("run", text).trimEnd().split("\n").map((line) => JSON.parse(line));
  const wrong = prompts.filter((prompt) => prompt.expected !== true);
  // Snapshots have no colours, and end lines in one way.
  const walk = ask("walk", text).replaceAll(/\x1b\[[0-9;]*m/g, "").replaceAll("\r\n", "\n").trimEnd();
  if (wrong.length > 0 || walk !== snapshot(lesson)) {
    console.error(`${lesson}: not as expected in Node`, wrong, walk === snapshot(lesson) ? "" : walk);
    process.exit(1);
  }
  console.log(`ok ${lesson}: ${prompts.length} prompts, and the walk of its snapshot`);
}
