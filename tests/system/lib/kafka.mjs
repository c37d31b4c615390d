// A real Apache Kafka (KRaft, one node) run from the jars that tests/kafka/pom.xml names, and a small client of it.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { buildDir, cleanEnvironment, freePorts, hopeless, root, start, stop, until } from './processes.mjs';

process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1';

const LIBS = process.env.CAUSEWAY_TEST_KAFKA_LIBS ?? join(buildDir, 'kafka/libs');
const CLUSTER = '4L6g3nShT-eMCtK--X86sw';

const properties = (dir, port, controller) => `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controller}
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}
advertised.listeners=PLAINTEXT://127.0.0.1:${port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=${dir}/data
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=10485760
log.retention.check.interval.ms=1000
# What a killed program leaves behind, as a member of a group or as an open transaction, is soon cleared away.
group.min.session.timeout.ms=500
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
# A broker that was killed is let back in after seconds instead of a quarter of a minute.
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=300
`;

const JAVA = ['-Xms64m', '-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:+PerfDisableSharedMem',
  '-Djava.awt.headless=true', `-Dlog4j2.configurationFile=${join(root, 'tests/kafka/log4j2.properties')}`];

class Broker {
  constructor({ dir, port, controller, log }) {
    Object.assign(this, { dir, port, log, child: null, brokers: `127.0.0.1:${port}` });
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, 'server.properties'), properties(dir, port, controller));
  }

  java(...args) {
    return ['-cp', `${LIBS}/*`, ...args];
  }

  format() {
    const made = spawnSync('java', [...JAVA, ...this.java('kafka.tools.StorageTool', 'format', '-t', CLUSTER,
      '-c', join(this.dir, 'server.properties'), '--ignore-formatted')], { env: cleanEnvironment(), encoding: 'utf8' });
    if (made.status !== 0) {
      throw new Error(`Kafka's storage was not formatted: ${made.error?.message ?? ''}${made.stdout}${made.stderr}`);
    }
  }

  async start() {
    this.child = start('java', [...JAVA, ...this.java('kafka.Kafka', join(this.dir, 'server.properties'))],
      { log: this.log, name: 'kafka' });
    const client = kafkaClient(this.brokers, { retries: 0 });
    await until('Kafka to answer', async () => {
      if (this.child.end) throw hopeless('it ended');
      const admin = client.admin();
      try {
        await admin.connect();
        return (await admin.describeCluster()).brokers.length === 1;
      } finally {
        await admin.disconnect();
      }
    }, { timeout: 120000, every: 100 }).catch((error) => {
      throw new Error(`${error.message}\n${this.child.logText()}`);
    });
    return this;
  }

  // Ends the broker but keeps what it stored, so that start() brings it back.
  async halt(signal = 'SIGTERM') {
    if (this.child) await stop(this.child, { signal, timeout: 10000 });
  }

  // Nothing of a throw-away broker is worth an orderly end.
  async stop() {
    await this.halt('SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/* Prepares a broker in `dir` and, unless `run` is false, starts it. */
export async function startKafka({ dir, log = `${dir}.log`, run = true }) {
  if (!existsSync(LIBS) || readdirSync(LIBS).length === 0) {
    throw new Error(`Kafka's jars are not in ${LIBS}: ./dev test fetches them`);
  }
  rmSync(dir, { recursive: true, force: true });
  const [port, controller] = await freePorts(2);
  const broker = new Broker({ dir, port, controller, log });
  broker.format();
  try {
    return run ? await broker.start() : broker;
  } catch (error) {
    await broker.stop();
    throw error;
  }
}

export function kafkaClient(brokers, { retries = 20 } = {}) {
  return new Kafka({
    clientId: 'causeway-tests',
    brokers: brokers.split(','),
    logLevel: logLevel.NOTHING,
    connectionTimeout: 2000,
    retry: { initialRetryTime: 50, maxRetryTime: 500, retries },
  });
}

/* One connection for the needs of a story: topics and records. */
export class KafkaSide {
  constructor(brokers) {
    this.client = kafkaClient(brokers);
    this.admin = this.client.admin();
    this.producer = this.client.producer({ allowAutoTopicCreation: false });
  }

  async open() {
    await Promise.all([this.admin.connect(), this.producer.connect()]);
    return this;
  }

  async createTopics(topics, partitions = 3) {
    await this.admin.createTopics({
      topics: topics.map((topic) => ({ topic, numPartitions: partitions, replicationFactor: 1 })),
      waitForLeaders: false,
    });
    await until('the topics to have leaders', async () => {
      const { topics: found } = await this.admin.fetchTopicMetadata({ topics });
      return found.length === topics.length
        && found.every((topic) => topic.partitions.length === partitions && topic.partitions.every((p) => p.leader >= 0));
    });
  }

  // A record: {key, value (object, string, Buffer or null), headers, partition}.
  produce(topic, ...records) {
    return this.#send(this.producer, topic, records);
  }

  // ... each of which is in the topic once: an answer that does not come makes the other producer send it again. One call at a time.
  async produceOnce(topic, ...records) {
    if (!this.careful) {
      this.careful = this.client.producer({ allowAutoTopicCreation: false, idempotent: true, maxInFlightRequests: 1 });
      await this.careful.connect();
    }
    return this.#send(this.careful, topic, records);
  }

  async #send(producer, topic, records) {
    const messages = records.map(({ value, ...rest }) => ({
      ...rest,
      value: value === null || typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value),
    }));
    const acknowledged = await producer.send({ topic, messages, acks: -1 });
    // A partition that kafkajs has not heard of yet is left out without an error.
    if (acknowledged.length === 0) throw new Error(`nothing was produced to ${topic}`);
    return acknowledged;
  }

  async close() {
    await Promise.allSettled([this.producer.disconnect(), this.careful?.disconnect(), this.admin.disconnect()]);
  }
}
