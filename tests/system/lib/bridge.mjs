// What a story stands on: its own topics in the shared Kafka, its own database in the shared PostgreSQL, and the
// program itself as a child process.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import pg from 'pg';
import { KafkaSide } from './kafka.mjs';
import { cleanEnvironment, hopeless, residentBytes, root, start, stop, until } from './processes.mjs';

export const SECRET = 'a-secret-for-tests-only-of-40-characters';
const BINARY = process.env.CAUSEWAY_TEST_BINARY ?? join(root, 'build/dev/causeway');
const RUN_DIR = process.env.CAUSEWAY_TEST_DIR ?? join(root, 'build/test-run');

const base64url = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/* A token: `claims` as given, plus an exp one hour from now unless `exp` is among them (undefined leaves it out). */
export function token(claims, { secret = SECRET, header = { alg: 'HS256', typ: 'JWT' } } = {}) {
  const body = { exp: Math.floor(Date.now() / 1000) + 3600, ...claims };
  const signed = `${base64url(header)}.${base64url(body)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/* The world of one test file. `catalogue`: a document (object) instead of the project's own; `changes`: what is another
   in the files of the project's own, {name: (text) => text}. Kafka topics get the file's name as a prefix. `kafka` and `postgres`: the story's own instead of the shared ones; then the
   story creates topics and database itself. */
export async function openWorld(name, { catalogue, changes, kafka, postgres, partitions = 3 } = {}) {
  const world = new World(name, kafka?.brokers ?? required('CAUSEWAY_TEST_KAFKA'));
  world.writeCatalogue(catalogue ? { 'asyncapi.yaml': JSON.stringify(catalogue, null, 2) } : projectCatalogue(changes));
  if (!kafka) {
    world.kafka = await new KafkaSide(world.brokers).open();
    await world.kafka.createTopics(world.topics, partitions);
  }
  if (!postgres) await world.createDatabase(required('CAUSEWAY_TEST_POSTGRES'));
  return world;
}

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run this file with ./dev test, or node tests/run.mjs`);
  return value;
}

/* The files of the project's own catalogue: {name: text}, changed as asked for. */
export function projectCatalogue(changes = {}) {
  const dir = join(root, 'asyncapi');
  const names = readdirSync(dir).filter((name) => name.endsWith('.yaml'));
  return Object.fromEntries(names.map((name) => {
    const text = readFileSync(join(dir, name), 'utf8');
    const changed = changes[name]?.(text) ?? text;
    assert.ok(!changes[name] || changed !== text, `the change of ${name} did nothing`);
    return [name, changed];
  }));
}

class World {
  constructor(name, brokers) {
    this.name = name;
    this.dir = join(RUN_DIR, name);
    this.brokers = brokers;
    this.bridges = [];
    this.topics = [];
    rmSync(this.dir, { recursive: true, force: true });
    mkdirSync(join(this.dir, 'asyncapi'), { recursive: true });
    symlinkSync(join(root, 'schemas'), join(this.dir, 'schemas'));
  }

  topic(address) {
    return `${this.name}.${address}`;
  }

  // The document, with all its files, with this world's topics in place of its own.
  writeCatalogue(texts) {
    for (const [name, text] of Object.entries(texts)) {
      const renamed = text.replace(/^(\s*"?(address|topic)"?:\s*)(["']?)([a-z][\w.-]*)\3(,?)$/gm, (line, head, key, quote, address, end) => {
        if (key === 'address') this.topics.push(this.topic(address));
        return `${head}${quote}${this.topic(address)}${quote}${end}`;
      });
      writeFileSync(join(this.dir, 'asyncapi', name), renamed);
    }
    assert.ok(this.topics.length > 0, 'the catalogue names no topic');
    this.catalogue = join(this.dir, 'asyncapi/asyncapi.yaml');
  }

  async createDatabase(server) {
    const name = `story_${this.name.replace(/\W/g, '_')}`;
    const at = (database) => server.replace(/\/(?=\?|$)/, `/${database}`);
    const admin = new pg.Client({ connectionString: at('postgres') });
    await admin.connect();
    await admin.query(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
    // Two files may copy the template at the same moment, which PostgreSQL refuses.
    await until('a copy of the example database', async () => {
      await admin.query(`CREATE DATABASE "${name}" TEMPLATE causeway_example`);
      return true;
    }, { every: 100 });
    await admin.end();
    this.databaseUrl = at(name);
    this.database = new pg.Client({ connectionString: this.databaseUrl });
    this.database.on('error', () => {});
    await this.database.connect();
  }

  async sql(text, params) {
    return (await this.database.query(text, params)).rows;
  }

  // Records in the CloudEvents way of the catalogue. All go to one partition unless told otherwise, so that their
  // order among each other is certain.
  async publish(address, type, data, { key = null, headers = {}, partition = 0 } = {}) {
    return this.kafka.produce(this.topic(address), { key, partition, value: data, headers: { ce_type: type, ...headers } });
  }

  settings(extra = {}) {
    return {
      PORT: '0',
      HOST: '127.0.0.1',
      KAFKA_BROKERS: this.brokers,
      DATABASE_URL: this.databaseUrl,
      JWT_SECRET: SECRET,
      CATALOGUE: this.catalogue,
      CHECKPOINT_TOPIC: this.topic('checkpoints'), // a start reads the newest one, which must not be of another world
      DEAD_LETTER_TOPIC: this.topic('dead-letters'),
      DEAD_LETTER_GROUP: this.topic('dead-letters'),
      ...extra,
    };
  }

  /* Starts `causeway serve`; waits for /readyz unless ready is false (then only for its port). */
  async serve(settings = {}, { ready = true, args = [], env = {}, dotenv } = {}) {
    const bridge = new Bridge(this, settings, { args, env, dotenv });
    this.bridges.push(bridge);
    await bridge.listening();
    if (ready) await bridge.ready();
    return bridge;
  }

  /* Ends all that the story started; a bridge that failed, leaked or reported a fault fails the story. */
  async finish() {
    for (const bridge of this.bridges) await bridge.terminate();
    await this.database?.end().catch(() => {});
    await this.kafka?.close();
    for (const bridge of this.bridges) bridge.assertHealthy();
  }
}

const SANITIZER = /ERROR: \w+Sanitizer|SUMMARY: \w+Sanitizer|runtime error:/;

export const sanitizerEnvironment = {
  ASAN_OPTIONS: 'exitcode=99:detect_leaks=1:quarantine_size_mb=8',
  UBSAN_OPTIONS: 'print_stacktrace=1:exitcode=99',
};

class Bridge {
  constructor(world, settings, { args, env, dotenv }) {
    this.world = world;
    this.number = world.bridges.length + 1;
    this.dir = join(world.dir, `bridge-${this.number}`);
    mkdirSync(this.dir, { recursive: true });
    if (dotenv !== undefined) writeFileSync(join(this.dir, '.env'), dotenv);
    this.portFile = join(this.dir, 'ports');
    this.expectedEnd = { code: 0, signal: null };
    const wanted = world.settings({ PORT_FILE: this.portFile, ...settings });
    const given = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
    this.child = start(BINARY, ['serve', ...args], {
      cwd: this.dir,
      log: join(this.dir, 'log'),
      name: `bridge ${this.number}`,
      env: cleanEnvironment({ ...sanitizerEnvironment, ...given, ...env }),
    });
    this.pid = this.child.pid;
  }

  log() {
    return this.child.logText();
  }

  // Lines of the log that contain `part`.
  logLines(part) {
    return this.log().split('\n').filter((line) => line.includes(part));
  }

  async listening() {
    await until('the bridge to listen', () => {
      if (this.child.end) throw hopeless(`it ended with ${JSON.stringify(this.child.end)}:\n${this.log()}`);
      return existsSync(this.portFile);
    }, { timeout: 20000 });
    this.ports = readFileSync(this.portFile, 'utf8').trim().split(',').map(Number);
    [this.port] = this.ports;
  }

  async ready(timeout = 20000) {
    let last = '';
    await until('/readyz to say 200', async () => {
      if (this.child.end) throw hopeless(`the bridge ended with ${JSON.stringify(this.child.end)}`);
      const answer = await this.get('/readyz');
      last = answer.body;
      return answer.status === 200;
    }, { timeout, every: 30 }).catch((error) => {
      throw new Error(`${error.message}; last answer ${last}\n${this.log()}`);
    });
  }

  // A connection of its own for each request, as a probe would make it.
  get(path) {
    return new Promise((done, failed) => {
      const request = get({ host: '127.0.0.1', port: this.port, path, agent: false, timeout: 5000 }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk) => { body += chunk; });
        response.on('error', failed);
        response.on('end', () => done({ status: response.statusCode, headers: response.headers, body }));
      });
      request.on('timeout', () => request.destroy(new Error(`no answer to GET ${path}`)));
      request.on('error', failed);
    });
  }

  async readyz() {
    const answer = await this.get('/readyz');
    return { status: answer.status, ...JSON.parse(answer.body) };
  }

  /* The value of one series: metric('causeway_x_total', {reason: 'y'}); 0 when it does not exist yet. Without labels
     and with several series: their sum. */
  async metric(name, labels = {}) {
    const { body } = await this.get('/metrics');
    const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
    return body.split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .filter((line) => wanted.every((label) => line.includes(label)))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  residentBytes() {
    return residentBytes(this.pid);
  }

  url({ token: credential, path = '/', query = {}, port = this.port, host = '127.0.0.1' } = {}) {
    const url = new URL(`ws://${host}:${port}${path}`);
    if (credential !== undefined) url.searchParams.set('token', credential);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url.href;
  }

  async terminate(timeout = 15000) {
    return stop(this.child, { timeout });
  }

  async kill() {
    this.expectedEnd = { code: null, signal: 'SIGKILL' };
    return stop(this.child, { signal: 'SIGKILL' });
  }

  async ended(timeout = 15000) {
    await until('the bridge to end', () => this.child.end, { timeout });
    return this.child.end;
  }

  assertHealthy() {
    const text = this.log();
    const at = text.search(SANITIZER);
    assert.equal(at, -1, `bridge ${this.number} of ${this.world.name}:\n${text.slice(Math.max(0, at - 200), at + 6000)}`);
    assert.deepEqual({ code: this.child.end?.code, signal: this.child.end?.signal }, this.expectedEnd,
      `bridge ${this.number} of ${this.world.name} ended badly; its log ends with\n${text.slice(-3000)}`);
  }
}

/* Runs `causeway ...` to its end. */
export async function runCauseway(args, { env = {}, cwd = RUN_DIR, input, timeout = 20000 } = {}) {
  return new Promise((done) => {
    const child = execFile(BINARY, args, {
      cwd, timeout, killSignal: 'SIGKILL', env: cleanEnvironment({ ...sanitizerEnvironment, ...env }),
    }, (error, stdout, stderr) => {
      done({ code: error ? error.code ?? null : 0, signal: error?.signal ?? null, stdout, stderr });
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input ?? '');
  });
}
