// Kafka or PostgreSQL away, at start or later: /readyz says which, nobody is cut or wrongly let in, and service comes
// back without a restart. On a Kafka and a PostgreSQL of this story's own, so that they can be taken away.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { openWorld } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';
import { KafkaSide, startKafka } from './lib/kafka.mjs';
import { ADMIN, BUYER, placeOrder } from './lib/orders.mjs';
import { exampleSchema, startPostgres } from './lib/postgres.mjs';
import { buildDir, until } from './lib/processes.mjs';

const runDir = process.env.CAUSEWAY_TEST_DIR ?? join(buildDir, 'test-run');
const [kafka, postgres] = await Promise.all([
  startKafka({ dir: join(runDir, 'outage-kafka'), run: false }),
  startPostgres({ dir: join(runDir, 'outage-postgres'), run: false }),
]);
const world = await openWorld('outage', { kafka, postgres });
world.databaseUrl = postgres.url();
const QUICK = { HOLD_TIMEOUT: '2', 'kafka.reconnect.backoff.max.ms': '500', 'kafka.topic.metadata.refresh.interval.ms': '1000' };
const ORIGIN = 'https://shop.example';
let bridge;

const state = async () => {
  const answer = await bridge.readyz();
  return { status: answer.status, ready: answer.ready, kafka: answer.kafka.ok, database: answer.database.ok };
};
const becomes = (wanted, timeout = 20000) => until(`/readyz to say ${JSON.stringify(wanted)}`, async () => {
  const now = await state();
  try {
    assert.deepEqual(now, wanted);
    return true;
  } catch {
    throw new Error(JSON.stringify(now));
  }
}, { timeout, every: 50 });

const NOTHING = { status: 503, ready: false, kafka: false, database: false };
const NO_KAFKA = { status: 503, ready: false, kafka: false, database: true };
const NO_DATABASE = { status: 503, ready: false, kafka: true, database: false };
const ALL = { status: 200, ready: true, kafka: true, database: true };

test('with neither at start the bridge lives and says what it misses', async () => {
  bridge = await world.serve(QUICK, { ready: false });
  await becomes(NOTHING);
  assert.equal((await bridge.get('/healthz')).status, 200);
  const answer = await bridge.readyz();
  assert.ok(answer.kafka.detail.length > 0 && answer.database.detail.length > 0, JSON.stringify(answer));
});

test('before Kafka was ever seen there is no "now" to connect to: try again later', async () => {
  const client = await connect(bridge, { user: BUYER, welcome: false, origin: ORIGIN });
  const end = await client.closing(6000);
  assert.equal(end.code, 1013);
  assert.deepEqual(client.messages, []);
});

test('Kafka that comes later is read, without a restart', async () => {
  await kafka.start();
  world.kafka = await new KafkaSide(kafka.brokers).open();
  await world.kafka.createTopics(world.topics);
  await becomes(NO_DATABASE, 30000);
});

test('without PostgreSQL a connection is held, then told to try again later', async () => {
  const began = performance.now();
  const clients = await Promise.all([1, 2].map(() => connect(bridge, { user: BUYER, welcome: false, origin: ORIGIN })));
  for (const client of clients) {
    const end = await client.closing(6000);
    assert.equal(end.code, 1013);
    assert.deepEqual(client.messages, []);
  }
  const took = performance.now() - began;
  assert.ok(took > 1800 && took < 4500, `${took} ms`);
});

test('a connection that is held is served when PostgreSQL comes in time, without a restart', async () => {
  const patient = await world.serve({ ...QUICK, HOLD_TIMEOUT: '15' }, { ready: false });
  const at = async () => (await patient.readyz()).kafka.ok;
  await until('Kafka to be read', at, { timeout: 20000 });
  const waiting = connect(patient, { user: BUYER, welcome: false, origin: ORIGIN });
  await until('the connection', async () => (await patient.metric('causeway_connections')) === 1);
  await postgres.start();
  for (const { sql } of exampleSchema()) await postgres.query(sql);
  const client = await waiting;
  assert.deepEqual((await client.expect('connected', 15000)).data, { userId: BUYER, role: 'buyer' });
  await client.close();
  await patient.terminate();
  await becomes(ALL);
});

test('then all is well', async () => {
  const client = await connect(bridge, { user: ADMIN });
  await placeOrder(world, { id: 1 });
  assert.equal((await client.expect('new-order')).data.id, 1);
  await client.close();
});

test('Kafka goes and comes back: sessions stay, and events flow again without a hole', async () => {
  const client = await connect(bridge, { user: ADMIN });
  await placeOrder(world, { id: 2 });
  await client.expect((m) => m.data?.id === 2);
  await kafka.halt();
  await becomes(NO_KAFKA);
  assert.deepEqual(await client.ask({ type: 'ping' }, () => true), { type: 'pong' });
  const late = await connect(bridge, { user: BUYER });
  await kafka.start();
  for (let id = 3; id <= 12; id++) await placeOrder(world, { id });
  await becomes(ALL, 30000);
  await client.expect((m) => m.data?.id === 12, 20000);
  assert.deepEqual(client.of('new-order').map((m) => m.data.id), [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  await late.expect((m) => m.type === 'order-created' && m.data.id === 12);
  await Promise.all([client.close(), late.close()]);
});

test('Kafka that is killed loses nobody either', async () => {
  const client = await connect(bridge, { user: ADMIN });
  await kafka.halt('SIGKILL');
  await becomes(NO_KAFKA);
  await kafka.start();
  await placeOrder(world, { id: 20 });
  assert.equal((await client.expect('new-order', 30000)).data.id, 20);
  await becomes(ALL, 30000);
  await client.close();
});

test('PostgreSQL goes and comes back: who is in stays served, who comes is held, and rights are not guessed', async () => {
  const client = await connect(bridge, { user: ADMIN });
  await postgres.halt('SIGQUIT');
  await becomes(NO_DATABASE);
  await placeOrder(world, { id: 30 });
  assert.equal((await client.expect('new-order')).data.id, 30);
  const held = await connect(bridge, { user: BUYER, welcome: false, origin: ORIGIN });
  const end = await held.closing(6000);
  assert.equal(end.code, 1013);
  const answer = await client.ask({ type: 'join-room', data: { roomId: 'city-1-orders' } }, 'error');
  assert.ok(['forbidden', 'unavailable'].includes(answer.data.code), JSON.stringify(answer));
  await postgres.start();
  await becomes(ALL);
  const again = await connect(bridge, { user: BUYER });
  await placeOrder(world, { id: 31 });
  await again.expect('order-created');
  await Promise.all([again.close(), client.close()]);
});

test('a PostgreSQL that hangs instead of failing is noticed too', async () => {
  process.kill(postgres.child.pid, 'SIGSTOP');
  const children = execFileSync('ps', ['--ppid', String(postgres.child.pid), '-o', 'pid='], { encoding: 'utf8' })
    .trim().split(/\s+/).map(Number);
  try {
    for (const pid of children) process.kill(pid, 'SIGSTOP');
    await becomes(NO_DATABASE, 10000);
    const held = await connect(bridge, { user: BUYER, welcome: false, origin: ORIGIN });
    assert.equal((await held.closing(6000)).code, 1013);
  } finally {
    for (const pid of children) process.kill(pid, 'SIGCONT');
    process.kill(postgres.child.pid, 'SIGCONT');
  }
  await becomes(ALL);
  await (await connect(bridge, { user: BUYER })).close();
});

test('the bridges end in good health', async () => {
  await world.finish();
  await Promise.all([kafka.stop(), postgres.stop()]);
});
