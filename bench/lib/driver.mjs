// What benches made of scenarios have in common: their command line, the stage, tables, verdicts, the raw results.
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildDir } from '../../tests/system/lib/processes.mjs';
import { printRows, printVerdicts } from './report.mjs';
import { Stage } from './stage.mjs';

const usage = (bench, scenarios) => `Usage: ./dev bench ${bench} [--quick] [--only LIST] [--rounds N] [--broker kafka|embedded] [--bin DIR]

  --quick     few rounds and short runs: a look, not a measurement
  --only      a comma list of: ${Object.keys(scenarios).join(', ')}
  --rounds    pairs per scenario
  --broker    a real Apache Kafka, or the embedded one; default: Kafka when its jars are in build/kafka
  --bin       where the programs are (build/release)
`;

function options(bench, scenarios) {
  const { values } = parseArgs({ options: { quick: { type: 'boolean' }, only: { type: 'string' }, rounds: { type: 'string' },
    broker: { type: 'string' }, bin: { type: 'string' }, help: { type: 'boolean' } } });
  const names = values.only?.split(',') ?? Object.keys(scenarios);
  const unknown = names.find((name) => !scenarios[name]);
  if (values.help || unknown) {
    process.stdout.write(usage(bench, scenarios));
    process.exit(unknown ? 2 : 0);
  }
  return { ...values, names, rounds: values.rounds && Number(values.rounds), bin: values.bin ?? join(buildDir, 'release') };
}

function machine(stage) {
  const kernel = (path) => readFileSync(`/proc/sys/${path}`, 'utf8').trim();
  return `Linux ${kernel('kernel/osrelease')}, ${cpus().length} CPUs, congestion control ` +
    `${kernel('net/ipv4/tcp_congestion_control')}; events through ${stage.broker === 'kafka' ? 'Apache Kafka' : 'the embedded broker'}`;
}

export async function drive(bench, scenarios) {
  const { names, ...settings } = options(bench, scenarios);
  const stage = new Stage(settings);
  const results = {};
  const stopped = (signal) => process.exit(signal === 'SIGINT' ? 130 : 143);
  process.once('SIGINT', stopped).once('SIGTERM', stopped);
  try {
    await stage.start();
    console.log(machine(stage));
    for (const name of names) {
      const note = (text) => process.stderr.write(`${name}: ${text}\n`);
      results[name] = await scenarios[name](stage, { ...settings, note });
      if (results[name].rows.length > 0) printRows(name, results[name].rows);
    }
  } finally {
    await stage.close();
  }
  writeFileSync(join(buildDir, `bench/${bench}.json`), JSON.stringify(results, null, 1));
  const failed = printVerdicts(Object.values(results).flatMap((result) => result.verdicts));
  process.exitCode = failed === 0 ? 0 : 1;
}
