// An example service for any domain, or several: tells the examples of the document again and again, in their order, as a
// service of that domain would publish them. Only ids and times are fresh.
//
//   KAFKA_BROKERS=localhost:9092 node examples/service.mjs DOMAIN... [--every MILLISECONDS] [--rounds N]
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Kafka, Partitioners, logLevel } from 'kafkajs';
import { readCatalogue } from '../tools/catalogue.mjs';

/* The domains that there are, by the names of their files. */
export const domains = (catalogue = readCatalogue()) => [
  ...new Set(catalogue.channels.filter(({ kafka }) => kafka).map(({ file }) => basename(file, '.yaml')))];

/* One round of a domain: {topic, key, headers, value} per example, earliest first. */
export function story(domain, catalogue = readCatalogue()) {
  const channels = catalogue.channels.filter(({ kafka, file }) => kafka && basename(file, '.yaml') === domain);
  const told = channels.flatMap(({ address, messages }) => messages
    .flatMap(({ message }) => message.examples.map((example) => ({ topic: address, example }))));
  const time = ({ example }) => example.headers.ce_time ?? '';
  return told.sort((a, b) => time(a).localeCompare(time(b))).map(({ topic, example: { headers, payload } }) => ({
    topic,
    key: headers.ce_partitionkey,
    headers: { ...headers, ce_id: randomUUID(), ce_time: new Date().toISOString() },
    value: JSON.stringify(payload),
  }));
}

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

async function tell(producer, domain, { every, rounds }) {
  for (let round = 0; round < rounds; round += 1) {
    for (const { topic, ...message } of story(domain)) {
      await producer.send({ topic, acks: -1, messages: [message] });
      console.log(`${topic} ${message.headers.ce_type} ${message.key}`);
      if (process.env.ALIVE_FILE) writeFileSync(process.env.ALIVE_FILE, message.headers.ce_time);
      await pause(every);
    }
  }
}

async function main(args) {
  const known = domains();
  const options = args.findIndex((arg) => arg.startsWith('--'));
  const told = options < 0 ? args : args.slice(0, options);
  if (told.length === 0 || told.some((domain) => !known.includes(domain))) {
    console.error(`usage: node examples/service.mjs ${known.join('|')}... [--every MILLISECONDS] [--rounds N]`);
    return 2;
  }
  const option = (name, fallback) => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : fallback);
  const [every, rounds] = [option('--every', 2000), option('--rounds', Infinity)];
  const kafka = new Kafka({
    clientId: `example-${told.join('-')}`, brokers: (process.env.KAFKA_BROKERS ?? 'localhost:9092').split(','), logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 100, maxRetryTime: 2000, retries: 20 },
  });
  const producer = kafka.producer({ allowAutoTopicCreation: false, createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => producer.disconnect().then(() => process.exit(0)));
  // Each tells its own story; they take turns, so that there is always something to see.
  await Promise.all(told.map(async (domain, i) => {
    await pause((every * i) / told.length);
    await tell(producer, domain, { every, rounds });
  }));
  await producer.disconnect();
  return 0;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.exitCode = await main(process.argv.slice(2));
}
