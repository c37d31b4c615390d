// Rights for teams whose database sends no notifications: a Kafka topic says which have changed, or every right in use is
// looked up again now and then.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';
import { BUYER, MANAGER_OF_1, MANAGER_OF_2_AND_3, OTHER_BUYER } from './lib/orders.mjs';
import { until } from './lib/processes.mjs';
import { TABLES, catalogue, publishers } from './lib/rights.mjs';

const BOUND = 2000;
const world = await openWorld('invalidations', { catalogue });
await world.sql(TABLES);
for (const table of ['users', 'manager_cities', 'task_members']) await world.sql(`ALTER TABLE ${table} DISABLE TRIGGER USER`);
const topic = world.topic('rights');
await world.kafka.createTopics([topic], 2);
const publish = publishers(world);
const bridge = await world.serve({ GRANTS_TOPIC: topic, LOOPS: '2' });

let last = 0;
const next = () => ++last;
const say = (value, partition = 0) => world.kafka.produce(topic, { partition, value: value === null ? null : JSON.stringify(value) });
const left = (roomId) => (m) => m.type === 'room-left' && m.data.roomId === roomId;
const joined = (roomId) => (m) => m.type === 'room-joined' && m.data.roomId === roomId;
const changes = () => bridge.metric('causeway_rights_changes_total', { source: 'kafka' });
const unread = () => bridge.metric('causeway_rights_changes_unread_total');
const queries = () => bridge.metric('causeway_database_queries_total');

test('a right that is withdrawn takes effect within 2 s, on every loop, and costs queries of its key alone', async () => {
  const clients = await Promise.all([1, 2, 3, 4].map(() => connect(bridge, { user: MANAGER_OF_2_AND_3 })));
  await world.sql('DELETE FROM manager_cities WHERE user_id = $$4$$ AND city_id = $$2$$');
  const before = await queries();
  const at = performance.now();
  await say({ lookup: 'cities-of-manager', key: '4' });
  const told = await Promise.all(clients.map((client) => client.expect(left('city-2-orders'))));
  for (const m of told) assert.ok(m.at - at < BOUND, `${m.at - at} ms`);
  assert.ok(await queries() - before <= 2, 'one query per loop');
  await publish.city(2, next());
  const n = next();
  await publish.city(3, n);
  for (const client of clients) {
    await client.expect((m) => m.data?.n === n);
    assert.deepEqual(client.of('city-ordered').map((m) => m.data.city_id), [3]);
  }
  await Promise.all(clients.map((client) => client.close()));
});

test('a right that is granted brings what outran it; numbers and keys of several parameters do, too', async () => {
  const manager = await connect(bridge, { user: MANAGER_OF_1 });
  const member = await connect(bridge, { user: BUYER });
  const early = next();
  await publish.city(3, early);
  await world.sql('INSERT INTO manager_cities VALUES (3, 3)');
  await say({ lookup: 'cities-of-manager', key: 3 }, 1);
  await manager.expect(joined('city-3-orders'));
  assert.equal(manager.messages.find((m) => m.data?.n === early)?.backfill, true);
  await world.sql('INSERT INTO task_members VALUES (8, 123)');
  await member.ask({ type: 'join-room', data: { roomId: 'task:8' } }, 'room-joined');
  await world.sql('DELETE FROM task_members');
  await say({ lookup: 'task-member', key: ['8', '123'] }, 1);
  await member.expect(left('task:8'));
  await Promise.all([manager.close(), member.close()]);
});

test('a deleted user is disconnected, and a change of all keys is heard of', async () => {
  await world.sql("INSERT INTO users VALUES (900, 'Gone', 'buyer'); INSERT INTO task_members VALUES (9, 123, true), (9, 124, true)");
  const gone = await connect(bridge, { user: 900 });
  await world.sql('DELETE FROM users WHERE id = $$900$$');
  await say('user:900');
  assert.deepEqual((({ code, reason }) => [code, reason])(await gone.closing()), [4401, 'User not found']);
  const members = await Promise.all([BUYER, OTHER_BUYER].map((user) => connect(bridge, { user })));
  await world.sql('DELETE FROM task_members');
  await say({ lookup: 'tasks-of-user' });
  await Promise.all(members.map((client) => client.expect(left('task:9'))));
  await Promise.all(members.map((client) => client.close()));
});

test('a record that names nothing is told in the log, counted, and changes nothing', async () => {
  const client = await connect(bridge, { user: BUYER });
  const [heard, before, refused] = [await changes(), await queries(), await unread()];
  await say('');
  await world.kafka.produce(topic, { partition: 0, value: 'cities-of-manager:3' });
  await say({ lookup: 7 });
  await say([1]);
  await say(null);
  await say({ lookup: 'nonsense', key: '1' });
  await until('all to be read', async () => (await unread()) === refused + 5 && (await changes()) === heard + 1);
  assert.equal(await queries(), before);
  assert.equal(bridge.logLines('a record names no changed right').length, 5);
  assert.equal(bridge.logLines('a change names no lookup and key: nonsense').length, 2, 'one per loop');
  await client.ask({ type: 'ping' }, 'pong');
  await client.close();
});

test('a topic that is not there is said by /readyz, and read when it comes', async () => {
  const missing = world.topic('rights-later');
  const waiting = await world.serve({ GRANTS_TOPIC: missing }, { ready: false });
  await until('/readyz to say so', async () => /topic of changes is not read: .*rights-later/.test((await waiting.readyz()).rights?.detail ?? ''));
  assert.equal((await waiting.readyz()).rights.ok, false);
  await world.kafka.createTopics([missing], 1);
  await waiting.ready();
  const client = await connect(waiting, { user: MANAGER_OF_1 });
  await world.sql('DELETE FROM manager_cities WHERE user_id = $$3$$ AND city_id = $$3$$');
  await world.kafka.produce(missing, { partition: 0, value: '"cities-of-manager:3"' });
  await client.expect(left('city-3-orders'));
  await client.close();
  await waiting.terminate();
});

test('GRANTS_POLL finds changes that nobody tells of, one query per key and interval', async () => {
  const polling = await world.serve({ GRANTS_POLL: '1' });
  const client = await connect(polling, { user: MANAGER_OF_2_AND_3 });
  const early = next();
  await publish.city(1, early);
  await world.sql('INSERT INTO manager_cities VALUES (4, 1)');
  await client.expect(joined('city-1-orders'), 4000);
  assert.equal(client.messages.find((m) => m.data?.n === early)?.backfill, true);
  await world.sql('DELETE FROM manager_cities WHERE user_id = $$4$$ AND city_id = $$1$$');
  const at = performance.now();
  const m = await client.expect(left('city-1-orders'), 4000);
  assert.ok(m.at - at < 1000 + BOUND, `${m.at - at} ms`);
  await client.close();
  await polling.terminate();
});

test('the bridges end in good health', () => world.finish());
