// The other commands: token, publish, tail and the development broker, used as a developer would.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SECRET, openWorld, runCauseway } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';
import { ADMIN, BUYER, order } from './lib/orders.mjs';
import { cleanEnvironment, freePorts, until } from './lib/processes.mjs';

const world = await openWorld('commands');
const bridge = await world.serve();
const env = { JWT_SECRET: SECRET, KAFKA_BROKERS: world.brokers, CATALOGUE: world.catalogue };

const makeToken = async (...args) => {
  const end = await runCauseway(['token', ...args], { env });
  assert.equal(end.code, 0, end.stderr);
  return end.stdout.trim();
};

test('token makes a token that the bridge accepts, with the claims asked for', async () => {
  const made = await makeToken('--user', String(BUYER), '--ttl', '60', '--claims', '{"note":"hi","n":[1]}');
  const claims = JSON.parse(Buffer.from(made.split('.')[1], 'base64url'));
  assert.equal(claims.note, 'hi');
  assert.deepEqual(claims.n, [1]);
  assert.ok(Math.abs(claims.exp - Date.now() / 1000 - 60) < 5);
  const client = await connect(bridge, { token: made });
  assert.equal(client.welcome.data.role, 'buyer');
  await client.close();
});

test('token refuses a missing user and claims that are no object', async () => {
  for (const args of [[], ['--user', '1', '--claims', 'nonsense'], ['--user', '1', '--claims', '[]'], ['--user', '1', '--ttl', 'soon']]) {
    const end = await runCauseway(['token', ...args], { env });
    assert.ok(end.code > 0 && end.code !== 99, `${args}: ${end.code}`);
    assert.ok(end.stderr.length > 0);
    assert.equal(end.stdout, '');
  }
});

test('what publish sends, tail shows', async () => {
  const tail = runCauseway(['tail', '--url', bridge.url().replace(/\/$/, ''), '--token', await makeToken('--user', String(ADMIN)), '--count', '2', '--json'], { env });
  await until('tail to be connected', async () => (await bridge.metric('causeway_connections')) === 1);
  const topic = world.topic('orders.v1');
  const fromStdin = await runCauseway(['publish', '--type', 'order.created', '--topic', topic, '--key', '7', '-'], { env, input: JSON.stringify(order({ id: 7 })) });
  assert.equal(fromStdin.code, 0, fromStdin.stderr);
  // Without a topic: the catalogue knows where this type belongs. With headers that name the audience.
  const byType = await runCauseway(['publish', '--type', 'sync.failed', '--key', 'order:7', '--header', 'city_id=1', '-'],
    { env, input: '{"entity":"order","entityId":7,"error":"x","timestamp":"2024-01-15T10:30:00.000Z"}' });
  assert.equal(byType.code, 0, byType.stderr);
  const end = await tail;
  assert.equal(end.code, 0, end.stderr);
  const lines = end.stdout.trim().split('\n').map((line) => JSON.parse(line)).filter((m) => m.id);
  assert.deepEqual(lines.map((m) => m.type).sort(), ['new-order', 'sync-error']);
  assert.deepEqual(lines.find((m) => m.type === 'new-order').data, order({ id: 7 }));
});

test('publish refuses what is no JSON, and a type that the catalogue does not know', async () => {
  const garbage = await runCauseway(['publish', '--type', 'order.created', '-'], { env, input: 'garbage' });
  assert.ok(garbage.code > 0 && garbage.code !== 99, garbage.stderr);
  const unknown = await runCauseway(['publish', '--type', 'order.exploded', '-'], { env, input: '{}' });
  assert.ok(unknown.code > 0 && unknown.code !== 99, unknown.stderr);
  assert.ok(unknown.stderr.includes('order.exploded'), unknown.stderr);
});

const follow = async (url, ...more) => runCauseway(['tail', '--url', url.replace(/\/$/, ''), '--token',
  await makeToken('--user', String(ADMIN)), '--json', ...more], { env });
const ordersOf = (end) => end.stdout.trim().split('\n').map((line) => JSON.parse(line)).filter((m) => m.type === 'new-order').map((m) => m.data.id);
const publishOrder = async (id) => {
  const end = await runCauseway(['publish', '--type', 'order.created', '--key', String(id), '-'], { env, input: JSON.stringify(order({ id })) });
  assert.equal(end.code, 0, end.stderr);
};

test('tail keeps its cursor in a file and goes on there', async () => {
  const file = join(world.dir, 'tail.cursor');
  const first = follow(bridge.url(), '--cursor-file', file, '--count', '1');
  await until('tail to be connected', async () => (await bridge.metric('causeway_connections')) === 1);
  await publishOrder(21);
  assert.deepEqual(ordersOf(await first), [21]);
  assert.match(readFileSync(file, 'utf8'), /^[\w-]{8,64}\n$/);
  for (const id of [22, 23]) await publishOrder(id); // nobody is there
  const second = await follow(bridge.url(), '--cursor-file', file, '--count', '2');
  assert.equal(second.code, 0, second.stderr);
  assert.deepEqual(ordersOf(second).sort(), [22, 23]);
  writeFileSync(file, 'something else\n');
  const refused = await follow(bridge.url(), '--cursor-file', file, '--count', '1');
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /holds no cursor/);
  assert.equal(readFileSync(file, 'utf8'), 'something else\n');
});

test('tail comes back after kill -9 of the bridge and misses nothing', async () => {
  const [port] = await freePorts(1);
  const killed = await world.serve({ PORT: String(port) });
  const tail = follow(`ws://127.0.0.1:${port}`, '--count', '2');
  await until('tail to be connected', async () => (await killed.metric('causeway_connections')) === 1);
  await publishOrder(31);
  await until('the first order to have gone out', async () => (await killed.metric('causeway_deliveries_total')) >= 1);
  await killed.kill();
  await publishOrder(32);
  const next = await world.serve({ PORT: String(port) });
  const end = await tail;
  assert.equal(end.code, 0, end.stderr);
  assert.deepEqual([...new Set(ordersOf(end))], [31, 32]);
  assert.match(end.stderr, /coming back with the last cursor/);
  await next.terminate();
});

test('tail ends with an error when its token is refused', async () => {
  const end = await runCauseway(['tail', '--url', bridge.url().replace(/\/$/, ''), '--token', 'nonsense', '--count', '1'], { env });
  assert.ok(end.code > 0 && end.code !== 99, String(end.code));
  assert.ok(end.stderr.length > 0);
});

test('the development broker carries events as Kafka does', async () => {
  const binary = process.env.CAUSEWAY_TEST_BINARY;
  const topics = world.topics.flatMap((topic) => ['--topic', `${topic}:2`]);
  const broker = spawn(binary, ['broker', ...topics], { env: cleanEnvironment(), stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((done) => broker.once('exit', (code, signal) => done({ code, signal })));
  try {
    let output = '';
    broker.stdout.on('data', (chunk) => { output += chunk; });
    const line = await until('the broker\'s address', () => /^KAFKA_BROKERS=(127\.0\.0\.1:\d+)\n/.exec(output));
    const embedded = await world.serve({ KAFKA_BROKERS: line[1] }, { args: ['--dev'] });
    const client = await connect(embedded, { user: ADMIN });
    const sent = await runCauseway(['publish', '--type', 'order.created', '--key', '8', '-'], { env: { ...env, KAFKA_BROKERS: line[1] }, input: JSON.stringify(order({ id: 8 })) });
    assert.equal(sent.code, 0, sent.stderr);
    assert.equal((await client.expect('new-order')).data.id, 8);
    await client.close();
    await embedded.terminate();
  } finally {
    broker.kill('SIGTERM');
  }
  assert.deepEqual(await ended, { code: 0, signal: null });
});

test('the bridges end in good health', () => world.finish());
