// Rights that change while people are connected: withdrawn ones stop delivery within 2 s, also of what is still to be
// delivered; granted ones bring the event that outran its grant; and a change costs a query of its own key, no other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';
import { ADMIN, BUYER, MANAGER_OF_1, MANAGER_OF_2_AND_3, OTHER_BUYER } from './lib/orders.mjs';
import { sleep, until } from './lib/processes.mjs';
import { TABLES, catalogue, publishers } from './lib/rights.mjs';

const BOUND = 2000;
const world = await openWorld('rights', { catalogue });
await world.sql(TABLES);
const publish = publishers(world);
const bridge = await world.serve();

const queries = () => bridge.metric('causeway_database_queries_total');
const changes = () => bridge.metric('causeway_rights_changes_total');
const eventsOf = (client) => client.messages.filter((m) => /^(task|city|user)-/.test(m.type));
const numbersOf = (client) => eventsOf(client).map((m) => m.data.n);
const roomOf = (m) => m.data?.roomId;

let last = 0;
const next = () => ++last;

// Runs statements, and returns when they were committed.
async function commit(...statements) {
  const before = performance.now();
  await world.sql(`BEGIN; ${statements.join('; ')}; COMMIT`);
  return before;
}

// The queries and the changes that `step` costs, once `done` has happened.
async function costs(step, done) {
  const before = await queries();
  const heard = await changes();
  await step();
  await done();
  return { queries: await queries() - before, changes: await changes() - heard };
}

test('a city that is taken away is left within 2 s, and the other one stays', async () => {
  const client = await connect(bridge, { user: MANAGER_OF_2_AND_3 });
  await publish.city(2, next());
  await client.expect('city-ordered');
  let at;
  const cost = await costs(async () => {
    at = await commit('DELETE FROM manager_cities WHERE user_id = $$4$$ AND city_id = $$2$$');
  }, () => client.expect('room-left'));
  const left = client.of('room-left')[0];
  assert.deepEqual(left.data, { roomId: 'city-2-orders', reason: 'withdrawn' });
  assert.ok(left.at - at < BOUND, `${left.at - at} ms`);
  assert.deepEqual(cost, { queries: 1, changes: 1 });
  await publish.city(2, next());
  await publish.city(3, next());
  assert.equal((await client.expect('city-ordered')).data.city_id, 3);
  await client.close();
});

test('a city that is given is joined within 2 s, with what was published shortly before', async () => {
  const client = await connect(bridge, { user: MANAGER_OF_2_AND_3 });
  const early = next();
  await publish.city(2, early);
  await publish.city(3, next());
  await client.expect('city-ordered');
  const at = await commit('INSERT INTO manager_cities VALUES (4, 2)');
  const joined = await client.expect('room-joined');
  assert.ok(joined.at - at < BOUND, `${joined.at - at} ms`);
  assert.deepEqual(joined.data, { roomId: 'city-2-orders' });
  const event = client.messages.find((m) => m.data?.n === early);
  assert.equal(event.backfill, true);
  assert.equal(event.redelivered, true);
  assert.equal(event.cursor, undefined);
  assert.ok(client.messages.indexOf(event) < client.messages.indexOf(joined));
  await publish.city(2, next());
  const live = await client.expect('city-ordered');
  assert.equal(live.backfill, undefined);
  assert.ok(live.cursor);
  await client.close();
});

test('what was published before the connection began is not brought by a grant', async () => {
  const early = next();
  const witness = await connect(bridge, { user: ADMIN });
  await witness.ask({ type: 'join-room', data: { roomId: 'task:70' } }, 'room-joined');
  await publish.task(70, early);
  await witness.expect((m) => m.data?.n === early);
  const client = await connect(bridge, { user: BUYER });
  await commit('INSERT INTO task_members VALUES (70, 123, true)');
  await client.expect('room-joined');
  assert.deepEqual(numbersOf(client), []);
  await Promise.all([client.close(), witness.close()]);
});

test('the assignee gets the event that assigned him, though it outran the grant', async () => {
  const client = await connect(bridge, { user: OTHER_BUYER });
  const witness = await connect(bridge, { user: ADMIN });
  await witness.ask({ type: 'join-room', data: { roomId: 'task:7' } }, 'room-joined');
  // The service publishes before it commits.
  const assigned = next();
  await publish.task(7, assigned);
  await witness.expect((m) => m.data?.n === assigned);
  await commit('INSERT INTO task_members VALUES (7, 124, true)');
  await client.expect('room-joined');
  assert.deepEqual(numbersOf(client), [assigned]);
  const more = next();
  await publish.task(7, more);
  assert.equal((await client.expect('task-assigned')).data.n, more);
  await Promise.all([client.close(), witness.close()]);
});

test('a room that was joined on request is left when the membership ends, and its key alone is asked for', async () => {
  await commit('INSERT INTO task_members VALUES (8, 123), (8, 124), (9, 123)');
  const [one, two] = await Promise.all([BUYER, OTHER_BUYER].map((user) => connect(bridge, { user })));
  for (const client of [one, two]) await client.ask({ type: 'join-room', data: { roomId: 'task:8' } }, 'room-joined');
  await one.ask({ type: 'join-room', data: { roomId: 'task:9' } }, 'room-joined');
  const cost = await costs(() => commit('DELETE FROM task_members WHERE task_id = 8 AND user_id = $$123$$'), () => one.expect('room-left'));
  assert.deepEqual(cost, { queries: 2, changes: 2 }); // of task-member and of tasks-of-user, one key each
  await publish.task(8, next());
  await two.expect('task-assigned');
  await publish.task(9, next());
  assert.equal((await one.expect('task-assigned')).data.taskId, 9);
  const answer = await one.ask({ type: 'join-room', data: { roomId: 'task:8' } }, 'error');
  assert.equal(answer.data.code, 'forbidden');
  await Promise.all([one.close(), two.close()]);
});

test('another role means other rooms, and a change that concerns nobody costs nothing', async () => {
  const client = await connect(bridge, { user: MANAGER_OF_1 });
  await commit("UPDATE users SET role = 'admin' WHERE id = $$3$$");
  const said = [await client.expect((m) => roomOf(m)), await client.expect((m) => roomOf(m))];
  assert.deepEqual(said.map((m) => [m.type, roomOf(m)]).sort(), [['room-joined', 'admin-orders'], ['room-left', 'city-1-orders']]);
  const nothing = await costs(() => commit('INSERT INTO manager_cities VALUES (3, 2)'), async () => {
    await until('the change', async () => (await bridge.metric('causeway_rights_changes_total')) > 0);
    await client.ask({ type: 'ping' }, 'pong');
  });
  assert.equal(nothing.queries, 0);
  await commit("UPDATE users SET role = 'manager' WHERE id = $$3$$");
  await client.expect((m) => m.type === 'room-joined' && roomOf(m) === 'city-2-orders');
  await commit('DELETE FROM manager_cities WHERE user_id = $$3$$ AND city_id = $$2$$', "UPDATE users SET name = 'M' WHERE id = $$3$$");
  await client.expect((m) => m.type === 'room-left' && roomOf(m) === 'city-2-orders');
  await client.close();
});

test('operators see what was decided, by which rule, and how long lookups take', async () => {
  const decided = (rule, result) => bridge.metric('causeway_rights_decisions_total', { rule, result });
  const before = await decided('task:{taskId}', 'forbidden');
  const granted = await decided('user-{user_id}', 'allowed');
  const client = await connect(bridge, { user: BUYER });
  await client.ask({ type: 'join-room', data: { roomId: 'task:4711' } }, 'error');
  await client.ask({ type: 'join-room', data: { roomId: 'nonsense' } }, (m) => m.type === 'error' && m.data.roomId === 'nonsense');
  assert.equal(await decided('task:{taskId}', 'forbidden'), before + 1);
  assert.equal(await decided('user-{user_id}', 'allowed'), granted + 1);
  assert.equal(await decided('none', 'forbidden'), 1);
  assert.ok(await decided('city-{city_id}-orders', 'withdrawn') >= 2);
  const answers = await bridge.metric('causeway_lookup_seconds_count');
  assert.ok(answers > 5 && answers >= await queries());
  assert.ok(await bridge.metric('causeway_lookup_seconds_sum') / answers < 1);
  await client.close();
});

test('a user who is deleted is disconnected', async () => {
  await commit("INSERT INTO users VALUES (900, 'Gone', 'buyer')");
  const client = await connect(bridge, { user: 900 });
  const at = await commit('DELETE FROM users WHERE id = $$900$$');
  const end = await client.closing();
  assert.deepEqual([end.code, end.reason], [4401, 'User not found']);
  assert.ok(end.at - at < BOUND, `${end.at - at} ms`);
});

test('an automatic room that was left stays left when its right is given again', async () => {
  const client = await connect(bridge, { user: MANAGER_OF_2_AND_3 });
  await client.ask({ type: 'leave-room', data: { roomId: 'city-3-orders' } }, 'room-left');
  await commit('DELETE FROM manager_cities WHERE user_id = $$4$$');
  await client.expect((m) => m.type === 'room-left' && roomOf(m) === 'city-2-orders');
  await commit('INSERT INTO manager_cities VALUES (4, 2), (4, 3)');
  await client.expect((m) => m.type === 'room-joined' && roomOf(m) === 'city-2-orders');
  await publish.city(3, next());
  const seen = next();
  await publish.city(2, seen);
  await client.expect((m) => m.data?.n === seen);
  assert.deepEqual(eventsOf(client).filter((m) => m.data.city_id === 3), []);
  await client.ask({ type: 'join-room', data: { roomId: 'city-3-orders' } }, 'room-joined');
  await publish.city(3, next());
  assert.equal((await client.expect('city-ordered')).data.city_id, 3);
  await client.close();
});

test('what a slow reader has not read of a room is not delivered after the right has gone', async () => {
  await commit('INSERT INTO task_members VALUES (30, 123), (31, 123)');
  const slow = await world.serve({ SOCKET_SEND_BUFFER: '4KiB' });
  const client = await connect(slow, { user: BUYER });
  for (const roomId of ['task:30', 'task:31']) await client.ask({ type: 'join-room', data: { roomId } }, 'room-joined');
  client.pause();
  const filler = 'x'.repeat(8192);
  for (let i = 0; i < 2000; i += 100) {
    await world.kafka.produce(world.topic('tasks.v1'), ...Array.from({ length: 100 }, (_, j) => ({
      partition: 0, headers: { ce_type: 'task.assigned' }, value: { taskId: 30 + (j % 2), n: i + j, filler },
    })));
  }
  await until('the log to have it all', async () => (await slow.metric('causeway_hotlog_entries_total')) >= 2000);
  // The loops' metrics are counted every now and then.
  await until('the reader to be seen behind', async () => (await slow.metric('causeway_sessions_behind')) === 1);
  const before = await slow.metric('causeway_rights_withdrawn_total');
  await commit('DELETE FROM task_members WHERE task_id = 30 AND user_id = $$123$$');
  await until('the right to be withdrawn', async () => (await slow.metric('causeway_rights_withdrawn_total')) > before);
  const handed = await slow.metric('causeway_deliveries_total');
  client.resume();
  await client.expect((m) => m.data?.n === 1999, 20000);
  const of = (task) => eventsOf(client).filter((m) => m.data.taskId === task).length;
  assert.equal(of(31), 1000);
  // What the kernels on both sides held, and the one frame that was cut: no more.
  assert.ok(of(30) <= handed + 1 && of(30) < 900, `${of(30)} of task 30, ${handed} were handed over`);
  await slow.terminate();
});

test('a change of all keys of a lookup is heard of too', async () => {
  await commit('INSERT INTO task_members VALUES (40, 123), (40, 124)');
  const clients = await Promise.all([BUYER, OTHER_BUYER].map((user) => connect(bridge, { user })));
  for (const client of clients) await client.ask({ type: 'join-room', data: { roomId: 'task:40' } }, 'room-joined');
  await commit('ALTER TABLE task_members DISABLE TRIGGER USER', 'TRUNCATE task_members', 'ALTER TABLE task_members ENABLE TRIGGER USER');
  await commit("SELECT pg_notify('causeway_grants', 'task-member')");
  for (const client of clients) await client.expect((m) => m.type === 'room-left' && roomOf(m) === 'task:40');
  await Promise.all(clients.map((client) => client.close()));
});

test('a notification that names nothing is told in the log and changes nothing', async () => {
  const client = await connect(bridge, { user: BUYER });
  const heard = await changes();
  const cost = await costs(() => commit("SELECT pg_notify('causeway_grants', 'nonsense:1')", "SELECT pg_notify('causeway_grants', '')"),
    () => until('both to be heard of', async () => (await changes()) === heard + 2));
  assert.deepEqual(cost, { queries: 0, changes: 2 });
  await client.ask({ type: 'ping' }, 'pong');
  await client.close();
});

test('two loops look the same key up, and each session is served', async () => {
  const two = await world.serve({ LOOPS: '2' });
  const clients = await Promise.all([1, 2, 3, 4].map(() => connect(two, { user: MANAGER_OF_1 })));
  await commit('INSERT INTO manager_cities VALUES (3, 3)');
  for (const client of clients) await client.expect((m) => m.type === 'room-joined' && roomOf(m) === 'city-3-orders');
  await commit('DELETE FROM manager_cities WHERE user_id = $$3$$ AND city_id = $$3$$');
  for (const client of clients) await client.expect((m) => m.type === 'room-left' && roomOf(m) === 'city-3-orders');
  await Promise.all(clients.map((client) => client.close()));
  await two.terminate();
});

test('the bridges end in good health', async () => {
  await sleep(0);
  await world.finish();
});
