// causeway explain: who would get an event, by which rule, or why not; asked of the database as it is now.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld, runCauseway } from './lib/bridge.mjs';
import { ADMIN, BUYER, MANAGER_OF_1, MANAGER_OF_2_AND_3 } from './lib/orders.mjs';
import { TABLES, catalogue } from './lib/rights.mjs';

const muted = { ...catalogue.operations.sendTold['x-causeway'], except: ['task:{taskId}'] };
const world = await openWorld('explain', {
  catalogue: { ...catalogue, operations: { ...catalogue.operations, sendTold: { ...catalogue.operations.sendTold, 'x-causeway': muted } } },
});
await world.sql(TABLES);
await world.sql("INSERT INTO task_members VALUES (7, '123', false), (8, '123', true)");

async function explain(user, type, value, { env = {}, args = [] } = {}) {
  const record = { topic: world.topic('tasks.v1'), headers: { ce_type: type }, value };
  const { CATALOGUE, DATABASE_URL, KAFKA_BROKERS } = world.settings();
  const run = await runCauseway(['explain', '--user', String(user), ...args, '-'],
    { input: JSON.stringify(record), env: { CATALOGUE, DATABASE_URL, KAFKA_BROKERS, ...env } });
  return { code: run.code, text: run.stdout, stderr: run.stderr };
}

// The answer has these lines, in this order, among others.
function assertTells({ text, stderr }, ...lines) {
  const told = text.split('\n').map((line) => line.trim());
  let at = -1;
  for (const line of lines) {
    const found = told.indexOf(line, at + 1);
    assert.ok(found > at, `"${line}" is not told, or too early:\n${text}${stderr}`);
    at = found;
  }
}

test('a rule that holds is named with what it rests on', async () => {
  const told = await explain(MANAGER_OF_2_AND_3, 'city.ordered', { city_id: 3 });
  assertTells(told, 'user 4: id=4 role=manager', 'city.ordered leaves as',
    '"city-ordered" on WebSocket / (sendOrdered): yes',
    'to city-3-orders: yes',
    'rule 1 of city-{city_id}-orders: yes (role is manager; lookup cities-of-manager has 2 rows, one for this room)',
    'to admin-orders: no',
    'rule 1 of admin-orders: no (role is manager, not admin or ceo)');
  assert.equal(told.code, 0);
});

test('what is missing is named, too', async () => {
  const city = await explain(MANAGER_OF_1, 'city.ordered', { city_id: 2 });
  assertTells(city, 'to city-2-orders: no',
    'rule 1 of city-{city_id}-orders: no (role is manager; lookup cities-of-manager has 1 row, none for this room)');
  assert.equal(city.code, 1);
  const told = await explain(BUYER, 'user.told', { user_id: 124, taskId: 1 });
  assertTells(told, 'to user-124: no', 'rule 1 of user-{user_id}: no (user_id is 123 for this user)');
  assert.equal(told.code, 1);
});

test('a room that is joined on request, one that leaves somebody out, and one that is automatic', async () => {
  const onRequest = await explain(BUYER, 'task.assigned', { taskId: 7 });
  assertTells(onRequest, '"task-assigned" on WebSocket / (sendAssigned): when he has joined it',
    'to task:7: when he has joined it',
    'rule 1 of task:{taskId}: no (role is buyer, not admin)',
    'rule 2 of task:{taskId}: when he has joined it (lookup task-member has 1 row, one for this room)',
    'rule 3 of task:{taskId}: no (lookup tasks-of-user has 1 row, none for this room)');
  assert.equal(onRequest.code, 0);
  const leftOut = await explain(BUYER, 'user.told', { user_id: 123, taskId: 8 });
  assertTells(leftOut, '"user-told" on WebSocket / (sendTold): no', 'to user-123: yes', 'but not to task:8: yes');
  assert.equal(leftOut.code, 1);
  assert.equal((await explain(BUYER, 'user.told', { user_id: 123, taskId: 7 })).code, 0, 'he need not have joined task:7');
  assert.equal((await explain(BUYER, 'task.assigned', { taskId: 8 })).code, 0);
});

test('the database is asked as it is now', async () => {
  await world.sql('DELETE FROM manager_cities WHERE user_id = $$3$$ AND city_id = $$1$$');
  assert.equal((await explain(MANAGER_OF_1, 'city.ordered', { city_id: 1 })).code, 1);
  await world.sql('INSERT INTO manager_cities VALUES (3, 1)');
  assert.equal((await explain(MANAGER_OF_1, 'city.ordered', { city_id: 1 })).code, 0);
});

test('nobody of that name, nobody at all, and nothing that can be said have exit codes of their own', async () => {
  const nobody = await explain(4711, 'city.ordered', { city_id: 1 });
  assertTells(nobody, 'user 4711: not found, so he cannot connect');
  assert.equal(nobody.code, 1);
  const rejected = await explain(ADMIN, 'city.ordered', {});
  assert.match(rejected.text, /^nobody gets it: missing_field: .*city_id/);
  assert.equal(rejected.code, 1);
  const away = await explain(ADMIN, 'city.ordered', { city_id: 1 }, { env: { DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/x' } });
  assert.match(away.text, /^lookup user cannot be run: /);
  assert.equal(away.code, 3);
  assert.equal((await runCauseway(['explain', '-'])).code, 2);
  assert.equal((await explain(ADMIN, 'city.ordered', {}, { env: { CATALOGUE: '/no/such.yaml' } })).code, 78);
  const help = await runCauseway(['explain', '--help']);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /by which rule, or why not/);
});

test('the story ends', () => world.finish());
