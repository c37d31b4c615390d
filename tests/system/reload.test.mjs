// SIGHUP: another catalogue takes effect with clients connected and behind; a broken one changes nothing.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { Parser } from '@asyncapi/parser';
import { openWorld, projectCatalogue, runCauseway } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';
import { sleep, until } from './lib/processes.mjs';

const send = (channel, message, from, extra) => ({
  action: 'send',
  channel: { $ref: `#/channels/${channel}` },
  messages: [{ $ref: `#/channels/${channel}/messages/${message}` }],
  'x-causeway': { from: { $ref: from }, ...extra },
});
const messages = (...names) => Object.fromEntries(names.map((name) => [name, { name, payload: { type: 'object' } }]));
const kafkaChannel = (address, ...names) => ({ address, servers: [{ $ref: '#/servers/kafka' }], messages: messages(...names) });
const clientChannel = (address, ...names) => ({ address, servers: [{ $ref: '#/servers/ws' }], messages: messages(...names) });

// `secretTo`: the room of secrets; `more`: another topic with an event; `staff`: the roles of the room staff.
function catalogue({ secretTo = 'everybody', more = false, staff = ['boss'], channels = {}, first = {} } = {}) {
  const from = (name) => `#/channels/news/messages/${name}`;
  return {
    asyncapi: '3.0.0',
    info: { title: 'News', version: '1.0.0' },
    servers: { kafka: { host: 'localhost:9092', protocol: 'kafka' }, ws: { host: 'localhost:3000', protocol: 'ws' } },
    channels: {
      ...first, // so that other channels get other numbers
      news: kafkaChannel('news.v1', 'posted', 'secret', 'renamed'),
      ...(more ? { extra: kafkaChannel('extra.v1', 'bulletin') } : {}),
      clients: clientChannel('/', 'posted', 'secret', 'bulletin', 'renamed'),
      ...channels,
    },
    operations: {
      sendPosted: send('clients', 'posted', from('posted'), { to: ['everybody'] }),
      sendSecret: send('clients', 'secret', from('secret'), { to: [secretTo] }),
      ...(more ? {
        sendBulletin: send('clients', 'bulletin', '#/channels/extra/messages/bulletin', { to: ['everybody'] }),
        sendRenamed: send('clients', 'renamed', from('renamed'), { to: ['staff'] }),
      } : {}),
    },
    'x-causeway': {
      principal: { lookup: 'person' },
      lookups: { person: { sql: 'SELECT id, role FROM people WHERE id = $1', params: ['{token.user}'] } },
      rooms: {
        everybody: { join: 'automatic', allow: [{}] },
        staff: { join: 'automatic', allow: [{ when: { role: staff } }] },
        club: { join: 'request', allow: [{ when: { role: staff } }] },
      },
    },
  };
}

const world = await openWorld('reload', { catalogue: catalogue() });
await world.kafka.createTopics([world.topic('extra.v1')]);
await world.sql('CREATE TABLE people (id text PRIMARY KEY, role text NOT NULL)');
await world.sql("INSERT INTO people VALUES ('boss', 'boss'), ('worker', 'worker')");

const write = (document) => world.writeCatalogue({ 'asyncapi.yaml': JSON.stringify(document, null, 2) });
const reloads = (bridge, result) => bridge.metric('causeway_catalogue_reloads_total', { result });

async function reload(bridge, document, result = 'applied') {
  const before = await reloads(bridge, result);
  if (document) write(document);
  process.kill(bridge.pid, 'SIGHUP');
  await until(`the catalogue to be ${result}`, async () => (await reloads(bridge, result)) > before);
}

const publish = (type, data, topic = 'news.v1', options = {}) => world.publish(topic, type, data, options);
const numbers = (client, type = 'posted') => client.of(type).map((message) => message.data.n);
const upTo = (count) => Array.from({ length: count }, (_, i) => i + 1);

test('new events, topics, rooms and rules take effect for who is connected; a new topic begins at its tail', async () => {
  write(catalogue());
  const bridge = await world.serve();
  const [boss, worker] = [await connect(bridge, { user: 'boss' }), await connect(bridge, { user: 'worker' })];
  await publish('bulletin', { n: 1 }, 'extra.v1');
  await publish('renamed', { n: 1 });
  await publish('posted', { n: 1 });
  for (const client of [boss, worker]) await client.expect('posted');

  await reload(bridge, catalogue({ more: true, staff: ['worker'] }));
  assert.equal((await boss.expect('room-left')).data.reason, 'withdrawn');
  await bridge.ready(); // the new topic is being read
  await publish('bulletin', { n: 2 }, 'extra.v1');
  await publish('renamed', { n: 2 });
  await publish('posted', { n: 2 });
  for (const client of [boss, worker]) await until('all events', () => numbers(client, 'bulletin').length && numbers(client).length > 1);
  assert.equal((await worker.expect('renamed')).data.n, 2);
  assert.deepEqual([boss, worker].map((client) => numbers(client, 'bulletin')), [[2], [2]]);
  assert.deepEqual(numbers(boss, 'renamed'), []);
  assert.equal((await boss.ask({ type: 'join-room', data: { roomId: 'club' } }, 'error')).data.code, 'forbidden');
  await worker.ask({ type: 'join-room', data: { roomId: 'club' } }, 'room-joined');

  // And back: the topic is read no more, the room of the request is withdrawn.
  await reload(bridge, catalogue());
  assert.equal((await worker.expect((m) => m.type === 'room-left' && m.data.roomId === 'club')).data.reason, 'withdrawn');
  await publish('bulletin', { n: 3 }, 'extra.v1');
  await publish('posted', { n: 3 });
  await until('the third', () => numbers(worker).includes(3));
  assert.deepEqual(numbers(worker, 'bulletin'), [2]);
  assert.match((await bridge.readyz()).kafka.detail, /^1 topic,/);

  // A topic that comes back begins at its tail again.
  await reload(bridge, catalogue({ more: true }));
  await bridge.ready();
  await publish('bulletin', { n: 4 }, 'extra.v1');
  await until('the fourth', () => numbers(worker, 'bulletin').includes(4));
  assert.deepEqual(numbers(worker, 'bulletin'), [2, 4]);
  await bridge.terminate();
});

test('/asyncapi.json and /docs are what is loaded, as one file, before and after a reload', async () => {
  write(catalogue());
  const bridge = await world.serve();
  const loaded = async () => JSON.parse((await bridge.get('/asyncapi.json')).body);
  assert.deepEqual(await loaded(), JSON.parse(readFileSync(world.catalogue, 'utf8')));
  assert.ok(!(await bridge.get('/docs')).body.includes('sendBulletin'));
  await reload(bridge, catalogue({ more: true }));
  assert.deepEqual(await loaded(), JSON.parse(readFileSync(world.catalogue, 'utf8')));
  assert.match((await bridge.get('/docs')).body, /sendBulletin/);

  world.writeCatalogue(projectCatalogue()); // of several files
  await reload(bridge);
  const document = await loaded();
  assert.ok(!JSON.stringify(document).includes('.yaml#') && !JSON.stringify(document).includes('.json"'), 'a reference to another file');
  assert.deepEqual(document.channels.orders.servers, [{ $ref: '#/servers/kafka' }]);
  const { diagnostics } = await new Parser().parse(JSON.stringify(document));
  assert.deepEqual(diagnostics.filter((d) => d.severity === 0), []);
  const again = world.catalogue.replace('asyncapi.yaml', 'again.json');
  writeFileSync(again, JSON.stringify(document));
  const [split, whole] = await Promise.all([world.catalogue, again].map((file) => runCauseway(['check', '--catalogue', file])));
  assert.equal(whole.code, 0, whole.stderr);
  assert.equal(whole.stdout.replace(again, ''), split.stdout.replace(world.catalogue, ''));
  const page = (await bridge.get('/docs')).body;
  for (const name of ['new-order', 'sendNewOrder', 'friends-of-{author_user_id}', '/post/feed/posted']) assert.ok(page.includes(name), name);
  assert.ok(!/(src|href)="(?!\/asyncapi.json")/.test(page), 'a resource from elsewhere');
  await bridge.terminate();
});

test('a broken document changes nothing and is told as by `causeway check`', async () => {
  write(catalogue());
  const bridge = await world.serve();
  const client = await connect(bridge, { user: 'worker' });
  const broken = catalogue();
  broken.operations.sendSecret['x-causeway'].to = ['nobody-knows-this-room'];
  delete broken['x-causeway'].principal;
  await reload(bridge, broken, 'refused');
  const said = (await runCauseway(['check', '--catalogue', world.catalogue])).stderr.split('\n');
  const logged = bridge.logLines('#/').map((line) => line.replace(/^.*? reload /, ''));
  assert.equal(logged.length, 2, bridge.log());
  for (const line of logged) assert.ok(said.includes(line), `check does not say: ${line}`);
  assert.ok(bridge.log().includes('the catalogue stays as it was'));

  writeFileSync(world.catalogue, readFileSync(world.catalogue, 'utf8').slice(0, 300)); // cut in the middle
  await reload(bridge, null, 'refused');
  await publish('secret', { n: 1 });
  assert.equal((await client.expect('secret')).data.n, 1);
  await reload(bridge, catalogue(), 'unchanged');
  await bridge.terminate();
});

test('an event whose audience is narrowed reaches none of 200 who are behind with it, and they miss nothing else', async () => {
  write(catalogue());
  const bridge = await world.serve({ LIFE_TIMEOUT: '600', SOCKET_SEND_BUFFER: '16KiB' });
  const crowd = [];
  for (let i = 0; i < 200; i += 50) crowd.push(...await Promise.all(upTo(50).map(() => connect(bridge, { user: 'worker' }))));
  const boss = await connect(bridge, { user: 'boss' });
  const text = 'x'.repeat(8192);
  await publish('posted', { n: 1 });
  for (const client of crowd) await until('the first', () => numbers(client).length === 1);
  for (const client of crowd) client.pause();
  for (let n = 2; n <= 600; n += 50) {
    await world.kafka.produce(world.topic('news.v1'), ...upTo(50).map((i) => ({
      partition: 0, headers: { ce_type: 'posted' }, value: { n: n + i - 1, text },
    })));
  }
  await publish('secret', { n: 1 });
  await publish('posted', { n: 602 });
  await until('the boss to have them all', () => numbers(boss).includes(602), { timeout: 20000 });
  assert.deepEqual(numbers(boss, 'secret'), [1]);
  assert.ok(crowd.every((client) => numbers(client).length < 500), 'the stopped did stop');

  await reload(bridge, catalogue({ secretTo: 'staff' }));
  await publish('secret', { n: 2 });
  for (const client of crowd) client.resume();
  await publish('posted', { n: 603 });
  for (const client of crowd) await until('the last', () => numbers(client).includes(603), { timeout: 30000 });
  for (const client of crowd) {
    assert.deepEqual(client.of('secret'), []);
    assert.deepEqual(client.of('gap'), []);
    assert.deepEqual(numbers(client), upTo(603), 'each once, in order');
  }
  await boss.expect((m) => m.type === 'secret' && m.data.n === 2);
  assert.deepEqual(numbers(boss), upTo(603));
  for (const client of [...crowd, boss]) client.terminate();
  await bridge.terminate();
});

// Each client's ids ascend; what comes a second time is marked; nothing is missing.
function complete(name, client, last) {
  const seen = new Set();
  const all = client.of('posted');
  const near = (at) => all.slice(Math.max(0, at - 5), at + 5)
    .map(({ data, redelivered, backfill, cursor }) => `${data.n}${redelivered ? 'r' : ''}${backfill ? 'b' : ''}${cursor ? '' : '-'}`).join(' ');
  for (const [at, { data, redelivered }] of all.entries()) {
    assert.ok(!seen.has(data.n) || redelivered, `${name}: ${data.n} came again without a mark: ${near(at)}`);
    assert.ok(seen.has(data.n) || data.n === seen.size + 1, `${name}: ${data.n} after ${seen.size}: ${near(at)}`);
    seen.add(data.n);
  }
  assert.equal(seen.size, last);
}

test('twenty reloads under traffic, channels being renumbered: nothing is lost, for live, slow and returning clients', async (t) => {
  write(catalogue());
  const settings = { LIFE_TIMEOUT: '600', SOCKET_SEND_BUFFER: '16KiB', LOOPS: '2' };
  const bridge = await world.serve(settings);
  const live = await Promise.all(upTo(40).map(() => connect(bridge, { user: 'worker' })));
  const slow = await Promise.all(upTo(10).map(() => connect(bridge, { user: 'worker' })));
  const returning = await Promise.all(upTo(5).map(() => connect(bridge, { user: 'worker' })));
  const text = 'x'.repeat(2000);
  let n = 0;
  const traffic = { on: true };
  const flowing = (async () => {
    while (traffic.on) {
      await publish('posted', { n: ++n, text });
      await sleep(2);
    }
  })();
  const stopAndGo = (async () => {
    while (traffic.on) {
      for (const client of slow) client.pause();
      await sleep(700);
      for (const client of slow) client.resume();
      await sleep(100);
    }
  })();
  const comeBack = async (index) => {
    while (traffic.on) {
      const before = returning[index];
      before.terminate();
      const cursor = before.messages.findLast((message) => message.cursor).cursor;
      const after = await connect(bridge, { user: 'worker', query: { cursor } });
      after.messages.unshift(...before.messages);
      returning[index] = after;
      await sleep(150 + 40 * index);
    }
  };
  const coming = returning.map((client, index) => comeBack(index));

  const other = { other: clientChannel('/other', 'posted') };
  const documents = [
    catalogue({ first: other, more: true, staff: ['worker'] }), catalogue(), catalogue({ more: true, channels: other }), catalogue({ secretTo: 'staff' }),
  ];
  for (let i = 0; i < 20; i++) {
    await reload(bridge, documents[i % documents.length]);
    await sleep(150);
  }
  traffic.on = false;
  await Promise.all([flowing, stopAndGo, ...coming]);
  const all = [...live, ...slow, ...returning];
  for (const client of all) await until(`event ${n}`, () => numbers(client).includes(n), { timeout: 30000 });
  for (const [name, clients] of Object.entries({ live, slow, returning })) {
    for (const client of clients) {
      complete(name, client, n);
      assert.deepEqual(client.of('gap'), []);
    }
  }
  const marked = live.reduce((sum, client) => sum + client.of('posted').filter((message) => message.redelivered).length, 0);
  assert.ok(marked < live.length * n / 50, `${marked} marked events at the live ones, who noticed next to nothing`);
  const [count, sum] = await Promise.all(['count', 'sum'].map((what) => bridge.metric(`causeway_reload_pause_seconds_${what}`)));
  t.diagnostic(`figures: a reload kept the Kafka thread from its records for ${(1000 * sum / count).toFixed(1)} ms, 20 of them under traffic`);
  assert.equal(count, 20);
  assert.ok(sum > 0 && sum / count < 1, `${sum} s in all`); // a program with sanitizers, on a busy machine
  for (const client of all) client.terminate();
  await bridge.terminate();
});

test('the bridges end in good health', () => world.finish());
