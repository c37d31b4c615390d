// Chaos: real Kafka, real PostgreSQL, up to three instances, clients that are cut and resume, faults; then the checker.
//
//   ./dev chaos [--seconds N] [--seed S] [--only FAULT,...]   two minutes of all faults
//   ./dev chaos --splice    5,000 events/s, each for five of 500 clients that do nothing but cut and resume
//   ./dev chaos --long      100 times kill -9 over 1,000,000 events with 20 clients
//
// Also --rate N and --clients N; --plain has clients resume by ?cursor=&rooms= alone; with --socketio two of three clients are
// those of Socket.IO, one with its default options, one that only polls.
import { fork } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { Events, Truth } from './history.mjs';
import { check, report } from './checker.mjs';
import { makeClock } from './clock.mjs';
import { random } from './random.mjs';

const CUTS = { rst: 4, terminate: 2, close: 2, pause: 2 };
const MODES = { message: 0.15, rejoin: 0.15 };
const PLANS = {
  faults: {
    seconds: 120, rate: 400, clients: 40, partitions: 4, workers: 1, hotLog: '1MiB',
    tempo: { stay: 3000, offline: 400, pause: 1000 }, ramp: 500, modes: MODES,
    faults: ['second', 'kill', 'trim', 'term', 'shorter', 'stop', 'partitions', 'third', 'equal', 'broker', 'longer', 'kill'],
  },
  splice: {
    seconds: 120, rate: 5000, clients: 500, partitions: 6, workers: 2, hotLog: '4MiB',
    tempo: { stay: 4000, offline: 700, pause: 1000 }, ramp: 5000, modes: MODES, faults: [],
  },
  long: {
    events: 1_000_000, kills: 100, rate: 1000, clients: 20, partitions: 6, workers: 1, hotLog: '4MiB',
    tempo: { stay: 5000, offline: 400, pause: 1000 }, ramp: 500, modes: MODES, faults: ['kill'],
  },
};
// Every client stands in three groups and a board of five members each, so that each event concerns about five.
const RECEIVERS = 5;
const ROOMS = { groupsEach: 3, boardsEach: 1 };
const SETTLE_BOUND = 30_000;
const CRASHES_MAX = 3;
const GRACE = 5_000; // beyond the bound, so that what is late is seen to be late and not lost

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string' }, seed: { type: 'string' }, only: { type: 'string' }, rate: { type: 'string' }, clients: { type: 'string' },
    splice: { type: 'boolean' }, plain: { type: 'boolean' }, socketio: { type: 'boolean' }, long: { type: 'boolean' },
  },
});
const KINDS = flags.socketio ? [{}, { socketio: true }, { socketio: true, transports: ['polling'] }] : [{}];
const kindOf = (n) => KINDS[n % KINDS.length];
const planName = flags.long ? 'long' : flags.splice ? 'splice' : 'faults';
const plan = { ...PLANS[planName] };
for (const name of ['seconds', 'rate', 'clients']) if (flags[name]) plan[name] = Number(flags[name]);
Object.assign(plan, ROOMS, { groups: Math.ceil((plan.clients * ROOMS.groupsEach) / RECEIVERS), boards: Math.ceil((plan.clients * ROOMS.boardsEach) / RECEIVERS) });
if (flags.plain) plan.modes = { message: 0, rejoin: 0 };
if (flags.only) plan.faults = flags.only.split(',');
const seed = flags.seed ? Number(flags.seed) : Math.floor(Math.random() * 1e6);
const rng = random(seed);
const clock = makeClock();
const say = (text) => console.log(`${(clock.ms() / 1000).toFixed(1).padStart(7)} s  ${text}`);

// The library of the system tests takes its places from the environment.
const { buildDir, processBirth, root, sleep } = await import('../system/lib/processes.mjs');
const dir = ownDirectory(join(buildDir, 'chaos'));
process.env.CAUSEWAY_TEST_DIR = dir;
process.env.CAUSEWAY_TEST_BINARY ??= join(buildDir, planName === 'faults' ? 'dev/causeway' : 'release/causeway');
process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1';
const [{ openStage, roomNames, TOPIC }, { Producer }, { Witness }, { Nemesis, FAULTS }] = await Promise.all([
  import('./stage.mjs'), import('./producer.mjs'), import('./witness.mjs'), import('./nemesis.mjs')]);
for (const name of plan.faults.filter((wanted) => !FAULTS[wanted])) {
  console.error(`there is no fault ${name}; there are ${Object.keys(FAULTS).join(', ')}`);
  process.exit(2);
}

// Several runs may go on at once. What an earlier one left is removed by the next, so that it can be looked at until then.
function ownDirectory(base) {
  mkdirSync(base, { recursive: true });
  for (const name of readdirSync(base)) {
    const pid = Number(/^run-(\d+)$/.exec(name)?.[1]);
    if (!processBirth(pid || process.pid)) rmSync(join(base, name), { recursive: true, force: true });
  }
  const own = join(base, `run-${process.pid}`);
  mkdirSync(own, { recursive: true });
  return own;
}

const bytes = (text) => parseInt(text, 10) * 1024 ** (2 * /MiB$/.test(text) + /KiB$/.test(text));
const settings = {
  HOT_LOG_BYTES: plan.hotLog, EVENT_MAX_BYTES: '64KiB', PING_INTERVAL: '1', DRAIN_TIMEOUT: '2', LOG_LEVEL: 'info',
  'kafka.reconnect.backoff.max.ms': '500', 'kafka.topic.metadata.refresh.interval.ms': '1000',
};
if (process.env.MODEL_FAULT) settings.MODEL_FAULT = process.env.MODEL_FAULT;
// Of so many events since, the hot log surely holds the first; of so many partitions, a cursor surely has room for all.
const exactRecords = Math.floor(bytes(plan.hotLog) / 2048);
const EXACT_PARTS = 8;

// --- the processes full of clients

class Crew {
  constructor(stage) {
    const rooms = roomNames(plan);
    const specs = stage.members.map(({ name, user, requested, automatic }, n) => ({
      ...kindOf(n), name, token: stage.tokenOf(user), topics: [TOPIC], requested: requested.map((room) => ({ room, name: rooms[room] })), rooms: automatic.length + requested.length,
    }));
    this.specs = specs;
    this.state = [];
    this.failures = [];
    this.workers = Array.from({ length: plan.workers }, (_, i) => {
      const worker = fork(join(root, 'tests/chaos/worker.mjs'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
      worker.ended = new Promise((done) => worker.once('exit', done));
      worker.on('error', () => {});
      worker.once('exit', (code, signal) => { if (code !== 0) this.failures.push(`a process full of clients ended with ${code ?? signal}`); });
      worker.on('message', (state) => { if (!state.ended) this.state[i] = state; });
      worker.specs = specs.filter((__, n) => n % plan.workers === i);
      return worker;
    });
  }

  begin(targets) {
    this.workers.forEach((worker, i) => worker.send({
      order: 'begin', dir: join(dir, 'rows'), specs: worker.specs, began: clock.began, seed: seed + i + 1, tempo: plan.tempo, cuts: CUTS, modes: plan.modes, targets, ramp: plan.ramp,
    }));
  }

  order(message) {
    for (const worker of this.workers) if (worker.connected) worker.send(message);
  }

  sum(field) {
    return this.state.reduce((total, state) => total + (state?.[field] ?? 0), 0);
  }

  async end() {
    this.order({ order: 'end' });
    await Promise.all(this.workers.map((worker) => worker.ended));
  }
}

// --- the run

let stage;
let crew;
let hopeless = false;

async function play() {
  say(`${planName}, seed ${seed}, ${process.env.CAUSEWAY_TEST_BINARY}`);
  stage = await openStage({ dir, plan, settings, say });
  const events = new Events();
  const truth = new Truth();
  const kafka = stage.kafkaClient();
  const groups = Array.from({ length: plan.groups }, (_, i) => i);
  const boards = Array.from({ length: plan.boards }, (_, i) => plan.groups + i);
  const producer = new Producer({ kafka, clock, rng, events, topic: TOPIC, partitions: plan.partitions, rooms: { groups, boards }, rate: plan.rate });
  const witness = new Witness({ kafka, admin: stage.side.admin, topic: TOPIC, truth });
  crew = new Crew(stage);
  const nemesis = new Nemesis({ stage, producer, witness, truth, clock, rng, crew, say });
  await stage.startInstance(0);
  await producer.start();
  crew.begin(stage.targets());
  stage.onTargets = (targets) => crew.order({ order: 'targets', targets });
  const findings = watch(stage);
  say('everybody comes');
  await trouble(nemesis, events);
  await heal(nemesis, producer);
  await crew.end();
  await witness.read();
  stage.measure();
  clearInterval(findings.timer);
  findings.push(...crew.failures);
  await stage.close().catch((error) => findings.push(error.message));
  say(`producers: ${producer.failures} requests failed${producer.lastFailure ? ` (${producer.lastFailure})` : ''}; faults: ${JSON.stringify(nemesis.counts)}`);
  say(`memory: instances at most ${mib(stage.memory)}, clients' processes ${mib(crew.sum('memory'))}, this one ${mib(process.memoryUsage.rss())}`);
  return { history: historyOf(events, truth, nemesis), findings };
}

// An instance that ends by itself is a fault of its own. The run goes on, unless it happens again and again.
function watch(theStage) {
  const findings = [];
  findings.timer = setInterval(() => {
    theStage.measure();
    for (const instance of theStage.crashed()) {
      instance.open = false;
      theStage.tell();
      const text = `instance ${instance.number} ended by itself with ${JSON.stringify(instance.bridge.child.end)}:\n${instance.bridge.log().slice(-4000)}`;
      say(text);
      findings.push(text);
      if (findings.length >= CRASHES_MAX) hopeless = true;
      else theStage.startInstance(instance.number).catch((error) => findings.push(error.message));
    }
  }, 500);
  return findings;
}

async function trouble(nemesis, events) {
  const end = clock.ms() + (plan.seconds ?? Infinity) * 1000;
  let told = clock.ms();
  const goOn = () => !hopeless && (plan.kills && !flags.seconds ? events.count < plan.events || (nemesis.counts.kill ?? 0) < plan.kills : clock.ms() < end);
  let bag = [];
  await sleep(2000);
  while (goOn()) {
    if (plan.faults.length > 0) {
      if (bag.length === 0) bag = flags.only || plan.kills ? [...plan.faults] : rng.shuffled(plan.faults);
      const most = plan.kills ? 1.6 * (plan.events / plan.rate / plan.kills) * 1000 : 5000;
      await sleep(rng.between(500, most));
      if (goOn()) await nemesis.strike(bag.shift());
    } else {
      await sleep(1000);
    }
    if (clock.ms() - told > 20_000) {
      told = clock.ms();
      say(`${events.count} events, ${crew.sum('deliveries')} deliveries, ${crew.sum('connected')} connected`);
    }
  }
}

async function heal(nemesis, producer) {
  if (stage.up().length === 0 && !hopeless) await stage.startInstance(0);
  producer.wanted = false;
  await producer.running;
  nemesis.healed();
  const healed = clock.ms();
  say('all is well: the last events, and nobody is cut any more');
  crew.order({ order: 'calm', partitions: producer.partitions });
  await producer.markers([...producer.rooms.groups, ...producer.rooms.boards]);
  while (!hopeless && crew.sum('settled') < plan.clients && clock.ms() - healed < SETTLE_BOUND + GRACE) await sleep(200);
  await sleep(500);
  say(`${crew.sum('settled')} of ${plan.clients} clients have everything after ${((clock.ms() - healed) / 1000).toFixed(1)} s`
    + `${crew.sum('settled') < plan.clients ? `; not ${crew.state.flatMap(({ stuck }) => stuck).join(', ')}` : ''}`);
  await producer.stop();
}

function historyOf(events, truth, nemesis) {
  const file = (name, kind) => join(dir, 'rows', `${name}.${kind}`);
  const clients = stage.members.map(({ name, automatic, requested }, n) => ({
    name, anonymous: kindOf(n).socketio === true, automatic, requested,
    rows() {
      const content = readFileSync(file(name, 'rows'));
      return new Uint32Array(content.buffer.slice(content.byteOffset, content.byteOffset + content.byteLength));
    },
    notes() {
      return readFileSync(file(name, 'notes'), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line));
    },
  }));
  return { topics: [TOPIC], rooms: roomNames(plan), events, truth: truth.finish(), clients, lives: nemesis.lives, heals: nemesis.heals, born: nemesis.born };
}

const mib = (count) => `${(count / 1024 ** 2).toFixed(0)} MiB`;

async function main() {
  const { history, findings } = await play();
  const verdict = check(history, { exactRecords, exactParts: EXACT_PARTS });
  const text = [report(verdict), ...findings].join('\n');
  console.log(`${text}\n${relative(root, dir)} holds the rows and logs of this run, until the next`);
  process.exit(verdict.ok && findings.length === 0 ? 0 : 1);
}

for (const [signal, status] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]]) {
  process.on(signal, () => {
    (stage ? stage.close() : Promise.resolve()).catch(() => {}).finally(() => process.exit(status));
  });
}
main().catch(async (error) => {
  console.error(error);
  await stage?.close().catch(() => {});
  process.exit(1);
});
