// Feeds every license of the test vectors to the verifier: node check.mjs VERIFIER.wasm VECTORS.json
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

const [program, vectors] = process.argv.slice(2);
const code = readFileSync(program);
const module = new WebAssembly.Module(code);
assert.deepEqual(WebAssembly.Module.imports(module), [], "the verifier needs nothing from outside");
const { memory, buffer, capacity, verify } = new WebAssembly.Instance(module).exports;
const { keys, good, bad } = JSON.parse(readFileSync(vectors, "utf8"));
const ring = Buffer.from(JSON.stringify(keys));

/** What the verifier says of a license. */
function judged(armour) {
  const text = Buffer.from(armour);
  assert(ring.length + text.length <= capacity(), "the buffer is too short");
  // Memory can have grown since the last call, which takes away what was a view of it.
  new Uint8Array(memory.buffer, buffer()).set(Buffer.concat([ring, text]));
  const length = verify(ring.length, text.length);
  assert(length > 0, "the verifier gave no answer");
  return Buffer.from(memory.buffer, buffer(), length).toString();
}

assert(good.length >= 20 && bad.length >= 40, "there are too few vectors");
for (const { name, armour, claims } of good) {
  const answer = judged(armour);
  assert(answer.startsWith("{"), `${name} is refused: ${answer}`);
  assert.deepEqual(JSON.parse(answer), claims, name);
}
for (const { name, armour, error } of bad) {
  assert.equal(judged(armour), error, name);
}
console.log(`${good.length} licenses accepted, ${bad.length} refused; the verifier has ${code.length} bytes`);
