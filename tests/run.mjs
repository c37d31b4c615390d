// Runs the test files, two at a time. Those in system/ and contract/ get one Kafka and one PostgreSQL, started here for
// the whole run and stopped however it ends. Usage: node tests/run.mjs [--counts FILE] [part of a file's name]...
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { buildDir, cleanEnvironment, processBirth, root, sleep } from './system/lib/processes.mjs';

const JOBS = 2;
const FILE_TIMEOUT = 180_000;
const runDir = join(buildDir, 'test-run');
const pidFile = join(runDir, 'running.json');

const services = [];
const children = new Set();
let stopping = false;

// --- leftovers: what a run that was killed may have left behind, known by pid and time of birth

function remember() {
  const processes = [...services.map((s) => s.child?.pid), ...[...children].map((c) => c.pid)]
    .filter(Boolean).map((pid) => ({ pid, birth: processBirth(pid) })).filter((p) => p.birth);
  writeFileSync(pidFile, JSON.stringify({ processes, dirs: services.map((s) => s.dir) }));
}

async function removeLeftovers() {
  if (!existsSync(pidFile)) return;
  let left;
  try {
    left = JSON.parse(readFileSync(pidFile, 'utf8'));
  } catch {
    left = { processes: [], dirs: [] };
  }
  const alive = () => left.processes.filter((p) => processBirth(p.pid) === p.birth);
  for (const { pid } of alive()) {
    console.log(`stopping process ${pid}, left behind by an earlier run`);
    process.kill(pid, 'SIGKILL');
  }
  for (let i = 0; i < 100 && alive().length > 0; i++) await sleep(20);
  for (const dir of left.dirs) rmSync(dir, { recursive: true, force: true });
}

// --- services

async function startServices() {
  // Loaded late: layers.test.mjs and others need no packages.
  const [{ startKafka }, { startPostgres, exampleSchema }] = await Promise.all([
    import('./system/lib/kafka.mjs'), import('./system/lib/postgres.mjs')]);
  const began = Date.now();
  // Known before they run, so that whatever interrupts us finds what to stop and remove.
  const kafka = await startKafka({ dir: join(runDir, 'kafka'), run: false });
  const postgres = await startPostgres({ dir: join(runDir, 'postgres'), run: false });
  services.push(kafka, postgres);
  const starting = [kafka.start(), postgres.start()];
  remember();
  for (const { status, reason } of await Promise.allSettled(starting)) if (status === 'rejected') throw reason;
  await postgres.createDatabase('causeway_example');
  for (const { name, sql } of exampleSchema()) {
    await postgres.query(sql, { database: 'causeway_example' }).catch((error) => {
      throw new Error(`schemas/sql/${name}: ${error.message}`);
    });
  }
  console.log(`services: Kafka ${kafka.brokers}, PostgreSQL 127.0.0.1:${postgres.port}, ready in ${seconds(began)}`);
  return { CAUSEWAY_TEST_KAFKA: kafka.brokers, CAUSEWAY_TEST_POSTGRES: postgres.url('') };
}

async function stopAll() {
  if (stopping) return;
  stopping = true;
  for (const child of children) killGroup(child);
  await Promise.allSettled(services.map((service) => service.stop()));
  rmSync(pidFile, { force: true });
}

function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // it ended by itself
  }
}

// --- one file: a process of its own that speaks TAP

const tapFlag = process.allowedNodeEnvironmentFlags.has('--test-reporter') ? ['--test-reporter=tap'] : [];

function runFile(path, env) {
  return new Promise((done) => {
    const began = Date.now();
    const child = spawn(process.execPath, [...tapFlag, path], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    children.add(child);
    if (existsSync(runDir)) remember();
    let output = '';
    let errors = '';
    let late = false;
    child.stdout.on('data', (chunk) => { output += chunk; });
    child.stderr.on('data', (chunk) => { errors += chunk; });
    const timer = setTimeout(() => {
      late = true;
      killGroup(child);
    }, FILE_TIMEOUT);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      killGroup(child);
      children.delete(child);
      const result = { path, ...readTap(output), took: seconds(began) };
      const end = late ? `took longer than ${FILE_TIMEOUT / 1000} s` : `ended with ${signal ?? `status ${code}`}`;
      if ((code !== 0 && result.failed === 0) || result.passed + result.failed + result.skipped.length === 0) {
        result.failed += 1;
        result.report += `${basename(path)} ${end}\n${output.slice(-4000)}`;
      }
      if (result.failed > 0) result.report += errors;
      done(result);
    });
  });
}

// The counts that the runner itself prints, skipped tests with their reasons, figures that a test gives, and the blocks of
// failures word for word.
function readTap(text) {
  const total = (name) => Number(new RegExp(`^# ${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  const result = { passed: total('pass'), failed: total('fail') + total('cancelled') + total('todo'), skipped: [], figures: [], report: '' };
  let keeping = false;
  for (const line of text.split('\n')) {
    const point = /^ *(not ok|ok) \d+ - (.*?)(?: # (SKIP|TODO)\s*(.*))?$/.exec(line);
    if (point) {
      const [, verdict, name, directive, reason] = point;
      keeping = verdict === 'not ok';
      if (directive === 'SKIP' && reason) result.skipped.push(`${name}: ${reason}`);
      if (directive && !(directive === 'SKIP' && reason)) result.report += `${name}: ${directive} without a reason\n`;
      if (directive === 'SKIP' && !reason) result.failed += 1;
    } else if (/^ *(# |\d+\.\.\d)/.test(line)) {
      keeping = false;
      if (line.startsWith('# figures: ')) result.figures.push(line.slice(2));
    }
    // Both values once more, after the message that shows their difference.
    if (/^ *(expected|actual):/.test(line)) keeping = 'values';
    else if (keeping === 'values' && /^ *(operator|stack|\.\.\.)/.test(line)) keeping = true;
    if (keeping === true) result.report += `${line}\n`;
  }
  return result;
}

const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(1)} s`;

function tell(result) {
  const skipped = result.skipped.length > 0 ? `, ${result.skipped.length} skipped` : '';
  console.log(`${result.path.slice(root.length + 1)}: ${result.passed} passed, ${result.failed} failed${skipped} (${result.took})`);
  for (const line of result.skipped) console.log(`  skipped: ${line}`);
  for (const line of result.figures) console.log(`  ${line}`);
  if (result.report) console.log(result.report.replace(/^/gm, '  '));
}

// --- all of it

function testFiles(wanted) {
  const listed = (dir) => {
    const path = join(root, 'tests', dir);
    if (!existsSync(path)) return [];
    return readdirSync(path).filter((name) => name.endsWith('.test.mjs')).sort().map((name) => join(path, name));
  };
  const chosen = (path) => wanted.length === 0 || wanted.some((part) => basename(path).includes(part));
  return {
    alone: listed('.').filter(chosen),
    served: [...listed('system'), ...listed('contract')].filter(chosen),
  };
}

async function runFiles(files, env) {
  const waiting = [...files];
  const results = [];
  const worker = async () => {
    for (let path = waiting.shift(); path && !stopping; path = waiting.shift()) {
      const result = await runFile(path, env);
      if (stopping) return;
      tell(result);
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: JOBS }, worker));
  return results;
}

async function main() {
  const args = process.argv.slice(2);
  const at = args.indexOf('--counts');
  const countsFile = at >= 0 ? args.splice(at, 2)[1] : null;
  mkdirSync(runDir, { recursive: true });
  await removeLeftovers();
  const { alone, served } = testFiles(args);
  // Where localhost is ::1 first, Node tries nothing else, and what the tests start listens on 127.0.0.1.
  const base = cleanEnvironment({
    NODE_OPTIONS: '--dns-result-order=ipv4first',
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith('AUDIT_'))),
    CAUSEWAY_TEST_DIR: runDir,
    CAUSEWAY_TEST_BINARY: process.env.CAUSEWAY_TEST_BINARY ?? join(buildDir, 'dev/causeway'),
  });
  const results = await runFiles(alone, base);
  if (served.length > 0) {
    try {
      results.push(...await runFiles(served, { ...base, ...await startServices() }));
    } catch (error) {
      console.log(`services: ${error.message}`);
      results.push({ passed: 0, failed: served.length });
    }
  }
  await stopAll();
  const sum = (field) => results.reduce((total, result) => total + result[field], 0);
  const [passed, failed] = [sum('passed'), sum('failed')];
  if (countsFile) writeFileSync(countsFile, `${passed} ${failed}\n`);
  else console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}

for (const [signal, status] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]]) {
  process.on(signal, () => {
    console.log(`${signal}: stopping what was started`);
    stopAll().finally(() => process.exit(status));
  });
}
await main();
