// ./dev bench route: what one 400-byte order costs, from its bytes to the rooms it goes to, under its own enforced
// schema; beside what cJSON takes only to parse it. And what it costs when 10 to 100,000 rooms do not match.
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { buildDir, root } from '../tests/system/lib/processes.mjs';

const ROOMS_GROWTH = 1.25; // 100,000 rooms beside 10: caches, but nothing that grows with them

const program = join(buildDir, 'release/bench_route');
const run = spawnSync(program, [join(root, 'bench/route.yaml')], { encoding: 'utf8', timeout: 240_000 });
if (run.status !== 0) {
  process.stderr.write(run.error?.message ?? run.stderr);
  process.exit(1);
}
const ns = Object.fromEntries(run.stdout.trim().split('\n').map((line) => line.split(' ')).map(([name, value]) => [name, Number(value)]));

console.log(`${cpus()[0].model}, one core, medians of 201 rounds that take turns`);
for (const [name, value] of Object.entries(ns)) console.log(`  ${name.padEnd(22)} ${value.toFixed(0).padStart(7)} ns`);
const verdicts = [
  ['scan, validate and route, beside cJSON parsing only', ns.scan_validate_route / ns.cjson_parse, 1],
  ['from the record to the end of the turn: 100,000 rooms beside 10', ns.rooms_100000 / ns.rooms_10, ROOMS_GROWTH],
];
for (const [what, ratio, bar] of verdicts) console.log(`${ratio <= bar ? 'ok    ' : 'MISSED'} ${what}: ${ratio.toFixed(2)} (at most ${bar})`);
process.exitCode = verdicts.every(([, ratio, bar]) => ratio <= bar) ? 0 : 1;
