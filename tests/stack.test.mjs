// docker-compose.yml and Dockerfile without an engine: held against the catalogue, the settings and the packages of ./dev.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { domains, story } from '../examples/service.mjs';
import { readCatalogue, root, validator } from '../tools/catalogue.mjs';

const yaml = createRequire(createRequire(import.meta.url).resolve('@asyncapi/parser'))('js-yaml');
const read = (path) => readFileSync(join(root, path), 'utf8');
const { services } = yaml.load(read('docker-compose.yml'));
const entries = Object.entries(services);
const dockerfile = read('Dockerfile');
const catalogue = readCatalogue();
const topics = catalogue.channels.filter(({ kafka }) => kafka);

const compose = spawnSync('docker-compose', ['version'], { encoding: 'utf8' });
test('docker-compose accepts the file', { skip: compose.error && 'docker-compose is not installed' }, () => {
  const run = spawnSync('docker-compose', ['-f', join(root, 'docker-compose.yml'), 'config', '-q'], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
});

test('every image is pinned', () => {
  const built = entries.filter(([, { build }]) => build).map(([, { image }]) => image);
  const images = [...entries.map(([, { image }]) => image).filter((image) => !built.includes(image)),
    ...[...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image)];
  assert.ok(images.length > 3);
  for (const image of images) assert.match(image, /^[\w./-]+:\d+\.\d+/, image);
});

test('every service that stays has a health check, and waits for those that it needs', () => {
  const ends = entries.filter(([, { depends_on: needs }]) => needs)
    .flatMap(([, { depends_on: needs }]) => Object.entries(needs).filter(([, { condition }]) => condition === 'service_completed_successfully').map(([name]) => name));
  for (const [name, { healthcheck, depends_on: needs = {} }] of entries) {
    assert.ok(healthcheck || ends.includes(name), `${name} has a health check`);
    for (const [needed, { condition }] of Object.entries(needs)) {
      assert.ok(services[needed], `${name} needs ${needed}`);
      assert.equal(condition, ends.includes(needed) ? 'service_completed_successfully' : 'service_healthy', `${name} needs ${needed}`);
    }
  }
});

test('ports are on loopback, and Kafka names them to those who come in there', () => {
  for (const [name, { ports = [] }] of entries) for (const port of ports) assert.match(port, /^127\.0\.0\.1:(\d+):\1$/, name);
  const { environment: kafka, ports } = services.kafka;
  const listeners = (text) => Object.fromEntries(text.split(',').map((one) => one.split('://')));
  const [own, advertised] = [listeners(kafka.KAFKA_LISTENERS), listeners(kafka.KAFKA_ADVERTISED_LISTENERS)];
  assert.equal(advertised.HOST, `localhost:${ports[0].split(':').at(-1)}`);
  assert.equal(advertised.CONTAINERS, `kafka${own.CONTAINERS}`);
  for (const [name, { environment = {} }] of entries) {
    if (environment.KAFKA_BROKERS) assert.equal(environment.KAFKA_BROKERS, advertised.CONTAINERS, name);
  }
});

test('the topics are those of the catalogue', () => {
  const made = [...services.topics.command[0].matchAll(/\b[a-z]+\.v\d+\b/g)].map(([topic]) => topic);
  assert.deepEqual(made.sort(), topics.map(({ address }) => address).sort());
});

test('the proxy sends each client to one of all bridges, and is the way in', () => {
  const [, list] = /upstream \w+ \{([^}]*)\}/.exec(read('examples/proxy/nginx.conf'));
  assert.match(list, /\bhash \$remote_addr/);
  const bridges = entries.filter(([, { image }]) => image === 'causeway:local').map(([name]) => name);
  assert.ok(bridges.length > 1);
  assert.deepEqual([...list.matchAll(/server ([\w-]+):3000;/g)].map(([, name]) => name), bridges);
  assert.deepEqual(Object.keys(services.proxy.depends_on), bridges);
  for (const name of bridges) assert.equal(services[name].ports, undefined);
});

test('the bridge gets settings that it has', () => {
  const table = read('include/causeway/config.h');
  for (const name of Object.keys(services.bridge.environment)) assert.match(table, new RegExp(`"${name}"`), name);
  assert.ok(services.bridge.environment.JWT_SECRET.replace(/^.*:-|\}$/g, '').length >= 32);
});

test('the image is built from the packages that ./dev installs', () => {
  const [, list] = /^PACKAGES=\(([\s\S]*?)\)/m.exec(read('dev'));
  const libraries = list.split(/\s+/).filter((name) => /^lib[\w-]+-dev$/.test(name));
  assert.ok(libraries.length > 3);
  const installed = [...dockerfile.matchAll(/\blib[\w-]+-dev\b/g)].map(([name]) => name);
  assert.deepEqual([...new Set(installed)].sort(), libraries.sort());
  assert.match(dockerfile, /^USER 65532/m);
  assert.match(dockerfile, /^ENTRYPOINT \["causeway"\]$/m);
});

test('there is an example service for each domain', () => {
  const served = entries.filter(([, { image }]) => image === 'causeway-examples:local').map(([name, { command }]) => {
    assert.deepEqual(command, [name]);
    return name;
  });
  assert.deepEqual(served.sort(), domains(catalogue).sort());
});

test('the example services publish every message of the catalogue, as it is described', () => {
  const told = domains(catalogue).flatMap((domain) => story(domain, catalogue));
  for (const { address, messages } of topics) {
    for (const { name, message } of messages) {
      const records = told.filter(({ topic, headers }) => topic === address && headers.ce_type === name);
      assert.ok(records.length > 0, `${address} ${name}`);
      for (const { key, headers, value } of records) {
        assert.deepEqual(validator(message.headers)(headers), []);
        assert.deepEqual(validator(message.payload)(JSON.parse(value)), []);
        assert.deepEqual(validator(message.bindings.kafka.key)(key), []);
      }
    }
  }
});
