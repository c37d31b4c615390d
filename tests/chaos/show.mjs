// The rows of one client, for people: node tests/chaos/show.mjs build/chaos/run-PID client-1 [from [to]]
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FLAG, KIND, NONE, PARTS_PER_TOPIC, TICKS, WORDS } from './history.mjs';

const [dir, name, from = 0, to = Infinity] = process.argv.slice(2);
const content = readFileSync(join(dir, 'rows', `${name}.rows`));
const words = new Uint32Array(content.buffer.slice(content.byteOffset, content.byteOffset + content.byteLength));
const notes = readFileSync(join(dir, 'rows', `${name}.notes`), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line));
const kinds = Object.fromEntries(Object.entries(KIND).map(([kind, number]) => [number, kind.toLowerCase()]));
const orNone = (number) => (number === NONE ? '-' : number);

const DETAILS = {
  [KIND.CONNECT]: (part, a, b, c, d) => `instance ${a}.${b}, cursor of row ${orNone(c)}, ${notes[d]}`,
  [KIND.EVENT]: (part, a, b, c) => `${part}:${b} event ${a} id :${c.toString(16).padStart(8, '0')}`,
  [KIND.GAP]: (part, a, b, c) => `${part}: [${orNone(a)}, ${orNone(b)}) ${notes[c]}`,
  [KIND.RESUME]: (part, a, b, c, d) => `cursor of row ${orNone(c)}, ${notes[d]}`,
  [KIND.JOIN]: (part, a, b, c) => `room ${a}, cursor of row ${orNone(c)}`,
  [KIND.JOINED]: (part, a) => `room ${a}`,
  [KIND.ERROR]: (part, a, b, c) => notes[c],
  [KIND.CLOSE]: (part, a, b, c) => `${a} ${notes[c]}`,
};

for (let row = Number(from); row < Math.min(Number(to), words.length / WORDS); row++) {
  const [head, time, a, b, c, d] = words.subarray(row * WORDS, (row + 1) * WORDS);
  const flags = Object.entries(FLAG).filter(([, bit]) => (head >>> 8) & bit).map(([flag]) => flag.toLowerCase()).join(' ');
  const part = (head >>> 16) % PARTS_PER_TOPIC;
  console.log(`${row}  ${(time / TICKS).toFixed(1)} ms  ${kinds[head & 0xff]}  ${DETAILS[head & 0xff]?.(part, a, b, c, d) ?? ''}  ${flags}`.trimEnd());
}
