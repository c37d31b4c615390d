// Everything the demo needs, started in order and taken down in reverse: database, Kafka, bridge. What stands in
// DATABASE_URL and KAFKA_BROKERS is used and left running; the rest is throw-away and lives in one directory.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { KafkaSide, startKafka } from '../../tests/system/lib/kafka.mjs';
import { exampleSchema, startPostgres } from '../../tests/system/lib/postgres.mjs';
import { buildDir, cleanEnvironment, root, start, stop, until } from '../../tests/system/lib/processes.mjs';
import { readCatalogue } from '../../tools/catalogue.mjs';
import { TOPICS } from '../orders/service.mjs';

const PARTITIONS = 3;
const EVERY_MS = 4000; // between two events of one domain
const topicsOf = () => readCatalogue().channels.filter(({ kafka }) => kafka).map(({ address }) => address);
export const program = process.env.CAUSEWAY ?? join(buildDir, 'release/causeway');

async function portOrAny(wanted) {
  const probe = createServer();
  const free = await new Promise((done) => {
    probe.once('error', () => done(false));
    probe.listen(wanted, '127.0.0.1', () => done(true));
  });
  if (free) await new Promise((done) => probe.close(done));
  return free ? wanted : 0;
}

// The promise, unless the process that it depends on ends first.
function whileAlive(child, promise) {
  const end = child.ended.then(({ code, signal }) => {
    throw new Error(`${child.title} ended (${signal ?? code}): ${child.logText().slice(-2000)}`);
  });
  return Promise.race([promise, end]);
}

export class Stage {
  constructor() {
    this.dir = join(buildDir, `demo-${process.pid}`);
    this.closers = [];
    this.secret = randomBytes(32).toString('hex');
    mkdirSync(this.dir, { recursive: true });
  }

  // Whatever is started is handed in here, so that a signal in the middle of the start leaves nothing behind either.
  keep(closer) {
    this.closers.push(closer);
    if (this.closing) throw new Error('stopped while starting');
  }

  open({ realKafka = false } = {}) {
    this.opening = (async () => {
      if (!existsSync(program)) throw new Error(`${program} is not there: ./dev demo builds it`);
      await this.openDatabase();
      await this.openKafka(realKafka);
      await this.openBridge();
    })();
    return this.opening;
  }

  async openDatabase() {
    this.databaseUrl = process.env.DATABASE_URL;
    if (!this.databaseUrl) {
      const server = await startPostgres({ dir: join(this.dir, 'postgres') });
      this.keep(() => server.stop());
      this.databaseUrl = server.url();
    }
    this.database = new pg.Client({ connectionString: this.databaseUrl, connectionTimeoutMillis: 10000 });
    this.database.on('error', () => {});
    await this.database.connect();
    this.keep(() => this.database.end().catch(() => {}));
    for (const { name, sql } of exampleSchema()) {
      await this.database.query(sql).catch((error) => {
        throw new Error(`schemas/sql/${name} could not be loaded: ${error.message}`);
      });
    }
  }

  async openKafka(real) {
    this.brokers = process.env.KAFKA_BROKERS;
    if (!this.brokers) {
      if (real) {
        const broker = await startKafka({ dir: join(this.dir, 'kafka') });
        this.keep(() => broker.stop());
        this.brokers = broker.brokers;
      } else {
        this.brokers = await this.openEmbeddedBroker();
      }
    }
    const side = await new KafkaSide(this.brokers).open();
    try {
      const known = await side.admin.listTopics();
      const missing = topicsOf().filter((topic) => !known.includes(topic));
      if (missing.length > 0) await side.createTopics(missing, PARTITIONS);
      const { topics } = await side.admin.fetchTopicMetadata({ topics: Object.values(TOPICS) });
      this.partitions = new Map(topics.map(({ name, partitions }) => [name, partitions.map((p) => p.partitionId)]));
    } finally {
      await side.close();
    }
  }

  async openEmbeddedBroker() {
    const args = topicsOf().flatMap((topic) => ['--topic', `${topic}:${PARTITIONS}`]);
    const child = start(program, ['broker', ...args], { log: join(this.dir, 'broker.log'), name: 'broker' });
    this.keep(() => stop(child));
    this.embedded = true;
    return whileAlive(child, until('the embedded broker', () => /^KAFKA_BROKERS=(\S+)$/m.exec(child.logText())?.[1]));
  }

  async openBridge() {
    const portFile = join(this.dir, 'port');
    rmSync(portFile, { force: true });
    const environment = {
      PORT: String(this.wantedPort ?? await portOrAny(3000)),
      HOST: '127.0.0.1',
      PORT_FILE: portFile,
      KAFKA_BROKERS: this.brokers,
      DATABASE_URL: this.databaseUrl,
      JWT_SECRET: this.secret,
      CATALOGUE: join(root, 'asyncapi/asyncapi.yaml'),
    };
    const log = join(this.dir, 'bridge.log');
    // The embedded broker cannot tell how its topics are set up; --dev makes a warning of it.
    this.bridge = start(program, this.embedded ? ['serve', '--dev'] : ['serve'], { log, name: 'bridge', cwd: this.dir, env: cleanEnvironment(environment) });
    const { bridge } = this;
    this.keep(() => stop(bridge, { timeout: 12000 }));
    this.port = await whileAlive(this.bridge, until('the bridge to listen',
      () => existsSync(portFile) && Number(readFileSync(portFile, 'utf8').trim())));
    await whileAlive(this.bridge, until('the bridge to be ready', async () => {
      const answer = await fetch(`http://127.0.0.1:${this.port}/readyz`);
      if (!answer.ok) throw new Error(await answer.text());
      return true;
    }, { timeout: 30000, every: 50 }));
    // Node 18 does not try a second address, and `localhost` may mean ::1 first.
    const { address } = await lookup('localhost').catch(() => ({}));
    this.host = `${address === '127.0.0.1' ? 'localhost' : '127.0.0.1'}:${this.port}`;
  }

  // As a crash would: nothing is flushed, nobody is told. openBridge starts it anew at the same address.
  async killBridge() {
    await stop(this.bridge, { signal: 'SIGKILL' });
    this.wantedPort = this.port;
  }

  openOrders() {
    const log = join(this.dir, 'orders.log');
    const child = start(process.execPath, [join(root, 'examples/orders/service.mjs')], {
      log, name: 'orders', env: cleanEnvironment({ KAFKA_BROKERS: this.brokers }),
    });
    this.keep(() => stop(child));
    return { log, child };
  }

  // All that is not about orders: the examples of the catalogue, as stories.
  openStories(domains) {
    const log = join(this.dir, 'stories.log');
    const child = start(process.execPath, [join(root, 'examples/service.mjs'), ...domains, '--every', String(EVERY_MS)], {
      log, name: 'stories', env: cleanEnvironment({ KAFKA_BROKERS: this.brokers }),
    });
    this.keep(() => stop(child));
    return { log, child };
  }

  token(user, seconds = 86400) {
    const made = spawnSync(program, ['token', '--user', String(user), '--ttl', String(seconds)], {
      cwd: this.dir, encoding: 'utf8', env: cleanEnvironment({ JWT_SECRET: this.secret }),
    });
    if (made.status !== 0) throw new Error(`no token for user ${user}: ${made.error?.message ?? made.stderr}`);
    return made.stdout.trim();
  }

  url(token, { host = this.host, path = '' } = {}) {
    return `ws://${host}${path}?token=${token}`;
  }

  close() {
    this.closing ??= this.takeDown();
    return this.closing;
  }

  async takeDown() {
    // A start that is under way notices at its next step; what it has not handed in by then dies with this process.
    await Promise.race([this.opening?.catch(() => {}), new Promise((done) => setTimeout(done, 3000).unref())]);
    while (this.closers.length > 0) {
      await this.closers.pop()().catch((error) => console.error(`while stopping: ${error.message}`));
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}
