// The whole language of audiences on a catalogue of its own: payload, key, headers, fields beside the data, arrays,
// optional fields, except, several names for one record, tombstones; rooms that are automatic or joined on request.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld, token } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';

const message = (name) => ({ name, payload: { type: 'object' } });
const send = (name, from, extra) => ({
  action: 'send',
  channel: { $ref: '#/channels/clients' },
  messages: [{ $ref: `#/channels/clients/messages/${name}` }],
  'x-causeway': { from: { $ref: `#/channels/tasks/messages/${from}` }, ...extra },
});

const KAFKA = ['assigned', 'commented', 'shared', 'moved', 'removed', 'whispered', 'paid', 'announced'];
const CLIENT = ['taskAssigned', 'taskCommented', 'taskShared', 'taskMoved', 'taskRemoved', 'whisper', 'forPayer', 'forPayee', 'announcement'];
const wireName = (name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const catalogue = {
  asyncapi: '3.0.0',
  info: { title: 'Tasks', version: '1.0.0' },
  servers: {
    kafka: { host: 'localhost:9092', protocol: 'kafka' },
    ws: { host: 'localhost:3000', protocol: 'ws' },
  },
  channels: {
    tasks: {
      address: 'tasks.v1',
      servers: [{ $ref: '#/servers/kafka' }],
      messages: Object.fromEntries(KAFKA.map((name) => [name, message(`task.${name}`)])),
      'x-causeway': { tombstone: 'task.removed' },
    },
    clients: {
      address: '/',
      servers: [{ $ref: '#/servers/ws' }],
      messages: Object.fromEntries(CLIENT.map((name) => [name, message(wireName(name))])),
    },
  },
  operations: {
    sendAssigned: send('taskAssigned', 'assigned', { to: ['person-{assignee.id}', 'person-{watchers[]}'] }),
    sendCommented: send('taskCommented', 'commented', { to: ['task:{taskId}'], except: ['person-{$record.actor?}'] }),
    sendShared: send('taskShared', 'shared', { to: ['person-{people[].id}', 'team-{team?}'] }),
    sendMoved: send('taskMoved', 'moved', { to: ['team-{$headers.team}', 'staff'] }),
    sendRemoved: send('taskRemoved', 'removed', { to: ['task:{$key}'] }),
    sendWhispered: send('whisper', 'whispered', { to: ['person-{$key}'] }),
    sendPayer: send('forPayer', 'paid', { to: ['person-{payer}'] }),
    sendPayee: send('forPayee', 'paid', { to: ['person-{payee}'] }),
    sendAnnounced: send('announcement', 'announced', { to: ['everybody'] }),
  },
  'x-causeway': {
    principal: { lookup: 'person' },
    lookups: {
      person: { sql: 'SELECT id, role, team FROM people WHERE id::text = $1', params: ['{token.user}'] },
      teams: { sql: 'SELECT team FROM people_teams WHERE person = $1', params: ['{user.id}'] },
      member: { sql: 'SELECT 1 FROM task_members WHERE task = $1 AND person = $2', params: ['{room.taskId}', '{user.id}'] },
    },
    rooms: {
      'person-{id}': { join: 'automatic', allow: [{ with: { id: '{user.id}' } }] },
      everybody: { join: 'automatic', allow: [{ when: { role: ['boss', 'worker', 'guest'] } }] },
      staff: { join: 'automatic', allow: [{ when: { role: ['boss', 'worker'], team: ['red', 'blue'] } }] },
      'team-{team}': { join: 'automatic', allow: [{ when: { role: 'worker' }, lookup: 'teams' }, { when: { role: 'boss' }, join: 'request' }] },
      'task:{taskId}': { join: 'request', allow: [{ when: { role: 'boss' } }, { lookup: 'member' }] },
    },
  },
};

const world = await openWorld('audience', { catalogue });
await world.sql(`
  CREATE TABLE people (id text PRIMARY KEY, role text, team text);
  CREATE TABLE people_teams (person text, team text);
  CREATE TABLE task_members (task text, person text);
  INSERT INTO people VALUES ('ann', 'boss', 'red'), ('bob', 'worker', 'red'), ('cid', 'worker', 'green'), ('dee', 'guest', 'red');
  INSERT INTO people_teams VALUES ('bob', 'red'), ('bob', 'blue'), ('cid', 'green'), ('dee', 'red');
  INSERT INTO task_members VALUES ('t-1', 'bob'), ('t-1', 'cid');`);
const bridge = await world.serve();
const NAMES = ['ann', 'bob', 'cid', 'dee'];
const people = {};
for (const name of NAMES) people[name] = await connect(bridge, { token: token({ sub: name }) });

const publish = (type, data, options) => world.publish('tasks.v1', `task.${type}`, data, options);

// Who received which event since the last call: an announcement, which everybody gets, ends the scene.
let scenes = 0;
async function received() {
  const number = ++scenes;
  await publish('announced', { number });
  const result = {};
  for (const name of NAMES) {
    const from = people[name].seen ?? 0;
    await people[name].expect((m) => m.type === 'announcement' && m.data.number === number);
    const events = people[name].messages.slice(from, people[name].read - 1).filter((m) => m.id !== undefined);
    people[name].seen = people[name].read;
    if (events.length > 0) result[name] = events.map((m) => m.type);
  }
  return result;
}

test('a path and an array of the payload name the rooms; who stands in several gets it once', async () => {
  await publish('assigned', { assignee: { id: 'bob' }, watchers: ['ann', 'bob', 'bob'] });
  assert.deepEqual(await received(), { ann: ['task-assigned'], bob: ['task-assigned'] });
  await publish('assigned', { assignee: { id: 'dee' }, watchers: [] });
  assert.deepEqual(await received(), { dee: ['task-assigned'] });
});

test('an array of objects names rooms, and an optional field may be missing', async () => {
  await publish('shared', { people: [{ id: 'ann' }, { id: 'dee' }], team: 'green' });
  assert.deepEqual(await received(), { ann: ['task-shared'], cid: ['task-shared'], dee: ['task-shared'] });
  await publish('shared', { people: [{ id: 'ann' }] });
  await publish('shared', { people: [{ id: 'ann' }], team: null });
  assert.deepEqual(await received(), { ann: ['task-shared', 'task-shared'] });
});

test('the key and the headers name rooms', async () => {
  await publish('whispered', { text: 'psst' }, { key: 'cid' });
  await publish('moved', { to: 'done' }, { headers: { team: 'green' } });
  assert.deepEqual(await received(), { ann: ['task-moved'], bob: ['task-moved'], cid: ['whisper', 'task-moved'] });
});

test('one record under two names reaches two people, each under the right one', async () => {
  await publish('paid', { payer: 'ann', payee: 'bob' });
  assert.deepEqual(await received(), { ann: ['for-payer'], bob: ['for-payee'] });
  await publish('paid', { payer: 'dee', payee: 'dee' });
  assert.deepEqual(await received(), { dee: ['for-payer', 'for-payee'] });
});

test('a rule needs all the columns that it names', async () => {
  // staff: boss or worker, of team red or blue. Cid is green, Dee a guest.
  await publish('moved', {}, { headers: { team: 'nobody' } });
  assert.deepEqual(await received(), { ann: ['task-moved'], bob: ['task-moved'] });
});

test('a room on request is joined only by those whom a rule allows', async () => {
  const join = (name, roomId) => people[name].ask({ type: 'join-room', data: { roomId } }, (m) => ['error', 'room-joined'].includes(m.type));
  await publish('commented', { taskId: 't-1' });
  assert.deepEqual(await received(), {}, 'nobody joined yet');
  const foreign = await join('dee', 'task:t-1');
  assert.equal(foreign.data.code, 'forbidden');
  const missing = await join('dee', 'task:no-such');
  assert.deepEqual({ ...missing.data, roomId: '' }, { ...foreign.data, roomId: '' });
  for (const name of ['ann', 'bob', 'cid']) assert.deepEqual(await join(name, 'task:t-1'), { type: 'room-joined', data: { roomId: 'task:t-1' } });
  for (const name of NAMES) people[name].seen = people[name].messages.length;
  await publish('commented', { taskId: 't-1' });
  await publish('commented', { taskId: 't-2' });
  assert.deepEqual(await received(), { ann: ['task-commented'], bob: ['task-commented'], cid: ['task-commented'] });
});

test('except leaves out the one who did it, named beside the data', async () => {
  await world.kafka.produce(world.topic('tasks.v1'), { partition: 0, value: { type: 'task.commented', actor: 'bob', data: { taskId: 't-1' } } });
  assert.deepEqual(await received(), { ann: ['task-commented'], cid: ['task-commented'] });
});

test('a tombstone is the message that the catalogue says, with null as its data', async () => {
  await world.kafka.produce(world.topic('tasks.v1'), { partition: 0, key: 't-1', value: null });
  assert.deepEqual(await received(), { ann: ['task-removed'], bob: ['task-removed'], cid: ['task-removed'] });
  assert.equal(people.bob.of('task-removed')[0].data, null);
});

test('a rule may make an automatic room one on request', async () => {
  await publish('shared', { people: [], team: 'blue' });
  assert.deepEqual(await received(), { bob: ['task-shared'] }, 'the boss stands in no team by himself');
  assert.equal((await people.ann.ask({ type: 'join-room', data: { roomId: 'team-blue' } }, 'room-joined')).data.roomId, 'team-blue');
  people.ann.seen = people.ann.messages.length;
  await publish('shared', { people: [], team: 'blue' });
  assert.deepEqual(await received(), { ann: ['task-shared'], bob: ['task-shared'] });
});

test('more automatic rooms than allowed are refused with a reason, never cut short', async () => {
  await world.sql(`INSERT INTO people_teams SELECT 'cid', 'team' || n FROM generate_series(1, 50) n; NOTIFY causeway_grants, 'teams:cid'`);
  const small = await world.serve({ ROOMS_MAX: '20' });
  const client = await connect(small, { token: token({ sub: 'cid' }), welcome: false, origin: 'https://tasks.example' });
  const end = await client.closing();
  assert.equal(end.code, 4403);
  assert.match(end.reason, /rooms/);
  assert.deepEqual(client.messages.filter((m) => m.type !== 'error'), []);
  const fine = await connect(bridge, { token: token({ sub: 'cid' }) });
  await publish('shared', { people: [], team: 'team50' });
  await fine.expect('task-shared');
  await fine.close();
});

test('the bridges end in good health', async () => {
  await Promise.all(NAMES.map((name) => people[name].close()));
  await world.finish();
});
