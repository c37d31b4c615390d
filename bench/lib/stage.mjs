// Everything a scenario needs around the servers: broker, database, token, and the servers, clients and publishers
// themselves. All of it is thrown away by close().
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { setPriority } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { KafkaSide, startKafka } from '../../tests/system/lib/kafka.mjs';
import { startPostgres } from '../../tests/system/lib/postgres.mjs';
import { buildDir, cleanEnvironment, root, until } from '../../tests/system/lib/processes.mjs';
import { Talk } from './talk.mjs';

// Each server has a topic of its own, or it would also deliver what is meant for the one beside it.
const TOPICS = Array.from({ length: 16 }, (_, i) => `bench.v${i + 1}`);
export const SERVER_CPU = '0';
export const OTHER_CPU = '1';
export const BOTH_CPUS = '0,1';

const hasKafka = () => existsSync(join(buildDir, 'kafka/libs')) && readdirSync(join(buildDir, 'kafka/libs')).length > 0;

// Broker and publisher go before the client, with which they share a CPU, or its bursts would delay the events that are
// to be measured. Returns what must be added for a child to have the ordinary priority; only root may do this.
function raisePriority() {
  try {
    setPriority(-10);
    return 10;
  } catch {
    return 0;
  }
}

export class Stage {
  constructor({ bin, broker }) {
    this.bin = bin;
    this.dir = join(buildDir, 'bench');
    this.broker = broker ?? (hasKafka() ? 'kafka' : 'embedded');
    this.secret = randomBytes(32).toString('hex');
    this.topics = [...TOPICS];
    this.open = [];
    this.count = 0;
  }

  program(name) {
    return isAbsolute(name) ? name : join(this.bin, name);
  }

  async start() {
    // Our own children (broker, database, clients) share the CPU that the servers do not have.
    spawnSync('taskset', ['-a', '-c', '-p', OTHER_CPU, String(process.pid)]);
    this.nice = raisePriority();
    rmSync(this.dir, { recursive: true, force: true });
    mkdirSync(this.dir, { recursive: true });
    if (this.broker === 'kafka') {
      this.kafka = await startKafka({ dir: join(this.dir, 'kafka') });
      this.brokers = this.kafka.brokers;
      const side = await new KafkaSide(this.brokers).open();
      await side.createTopics(TOPICS, 1);
      await side.close();
    } else {
      const topics = TOPICS.flatMap((topic) => ['--topic', `${topic}:1`]);
      const embedded = this.talk('causeway', ['broker', ...topics], { name: 'broker' });
      this.brokers = (await embedded.line()).replace(/^KAFKA_BROKERS=/, '');
    }
    this.postgres = await startPostgres({ dir: join(this.dir, 'postgres') });
    await this.postgres.query('CREATE TABLE users (id int PRIMARY KEY, role text)');
    await this.postgres.query("INSERT INTO users VALUES (1, 'bench'), (2, 'live')");
    this.token = this.makeToken('1');
  }

  makeToken(user) {
    const made = spawnSync(this.program('causeway'), ['token', '--user', user, '--ttl', '86400'],
      { env: cleanEnvironment({ JWT_SECRET: this.secret }), encoding: 'utf8' });
    if (made.status !== 0) throw new Error(`no token: ${made.stderr}`);
    return made.stdout.trim();
  }

  talk(program, args, { name = program, cpus = OTHER_CPU, nice = this.nice, env } = {}) {
    const log = join(this.dir, `${String(++this.count).padStart(2, '0')}-${name}.log`);
    const talk = new Talk(this.program(program), args, { name, log, cpus, nice, env });
    this.open.push(talk);
    return talk;
  }

  // A Causeway that is ready. An empty fetch of the embedded broker sleeps for the whole fetch.wait.max.ms.
  async server({ cpus = SERVER_CPU, loops = 1, fetchWait = this.broker === 'kafka' ? 500 : 10, name = 'causeway',
    document = 'asyncapi.yaml', env } = {}) {
    const portFile = join(this.dir, `port-${this.count}`);
    const topics = [];
    const text = readFileSync(join(root, 'bench', document), 'utf8').replace(/address: bench\.v\d/g, () => {
      topics.push(this.topics.shift());
      return `address: ${topics.at(-1)}`;
    });
    const catalogue = join(this.dir, `${topics[0]}.yaml`);
    writeFileSync(catalogue, text);
    const dev = this.broker === 'kafka' ? [] : ['--dev']; // the embedded broker cannot tell how its topics are set up
    const server = this.talk('causeway', ['serve', ...dev, '--set', `kafka.fetch.wait.max.ms=${fetchWait}`], {
      name,
      cpus,
      env: { PORT: '0', HOST: '127.0.0.1', PORT_FILE: portFile, KAFKA_BROKERS: this.brokers, LOOPS: String(loops),
        DATABASE_URL: this.postgres.url(), JWT_SECRET: this.secret, CATALOGUE: catalogue,
        LOG_LEVEL: 'warn', ...env },
    });
    await until(`${name} to be ready`, async () => {
      if (server.end !== undefined) throw new Error(`it ended: ${readFileSync(server.log, 'utf8')}`);
      server.port = Number(readFileSync(portFile, 'utf8'));
      return (await fetch(`http://127.0.0.1:${server.port}/readyz`)).status === 200;
    }, { timeout: 20000 });
    server.url = `ws://127.0.0.1:${server.port}/?token=${this.token}`;
    server.sources = topics.map((topic) => ['--brokers', this.brokers, '--topic', topic]);
    [server.source] = server.sources;
    return server;
  }

  // With `kafka` its events come from a topic, as Causeway's do; otherwise right from the publisher.
  async bare(join, { cpus = SERVER_CPU, args = [], kafka = false } = {}) {
    const topic = kafka ? ['--brokers', this.brokers, '--topic', this.topics.shift()] : [];
    const server = this.talk('bench_bare', ['--join', String(join), ...topic, ...args], { name: `bare-${join}`, cpus });
    const { port, feed } = await server.answer();
    server.url = `ws://127.0.0.1:${port}/`;
    server.source = kafka ? topic : ['--feed', String(feed)];
    return server;
  }

  // The same for clients of Socket.IO: Causeway, and the reference server, which gets events as bench_bare does.
  async socketio({ env } = {}) {
    const server = await this.server({ document: 'socketio.yaml', env });
    return this.speakSocketio(server, 3);
  }

  async reference() {
    const server = this.talk(process.execPath, ['--expose-gc', join(root, 'bench/reference.mjs')], { name: 'socket.io', cpus: SERVER_CPU });
    const { port, feed } = await server.answer('listening');
    server.source = ['--feed', String(feed)];
    return this.speakSocketio(Object.assign(server, { port }), 2);
  }

  speakSocketio(server, greetings) {
    server.url = `ws://127.0.0.1:${server.port}/socket.io/?EIO=4&transport=websocket`;
    server.greeting = ['--greetings', String(greetings), '--send', `40${JSON.stringify({ token: this.token })}`];
    return server;
  }

  // Subscribers of `server`, all of them greeted; and a publisher to what it reads. `linger` is Kafka's.
  async clients(server, { subscribers = 1000, sample = 8, linger = 0, cpus = OTHER_CPU, publish = true, discard = false,
    nice = this.nice } = {}) {
    const load = this.talk('bench_load', ['--url', server.url, '--subscribers', String(subscribers),
      '--sample', String(sample), '--discard', discard ? '1' : '0', ...(server.greeting ?? [])], { name: `load-${server.name}`, cpus, nice });
    const opened = await load.answer('open');
    if (opened.lost > 0) throw new Error(`${opened.lost} connections lost\n${readFileSync(load.log, 'utf8')}`);
    const publisher = publish ? this.talk('bench_publish', [...server.source, '--linger', String(linger)],
      { name: `publish-${server.name}`, cpus }) : null;
    return { server, load, publisher, subscribers, opened, round: 0 };
  }

  // Clients first, so that no server's end counts as a lost connection.
  async stop(...talks) {
    for (const talk of talks) {
      await talk.stop(talk.name === 'causeway' || talk.name.startsWith('loops') || talk.name === 'broker' ? 'SIGTERM' : undefined);
      this.open = this.open.filter((other) => other !== talk);
    }
  }

  async close() {
    await this.stop(...this.open.slice().reverse());
    await this.postgres?.stop();
    await this.kafka?.stop();
  }
}
