// Events that are to be acknowledged: who does it late, in one go, or never; who is cut; and who knows nothing of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import WebSocket from 'ws';
import { openWorld, projectCatalogue, token } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';
import { sleep, until } from './lib/processes.mjs';

const LENA = 'e4d2e6b0-cde2-42c5-aac3-0b8316f21e58';
const OMAR = '7c9e6679-7425-40de-944b-e07fc1f90ae7';
const ROUND = 1000; // and a look once a second: a repeat comes one to two seconds after
const SLACK = 1500;

// Posts are to be acknowledged, too.
const required = (text) => text.replace("friends-of-{author_user_id}', 'user:{author_user_id}']\n", (line) => `${line}      ack: required\n`);
const world = await openWorld('acks', { changes: { 'asyncapi.yaml': required } });
const settings = { ACK_TIMEOUT: String(ROUND / 1000), LOOPS: '1' };
const bridge = await world.serve(settings);

let last = 0;
async function post(visibility = 'public') {
  last += 1;
  const postId = `5b1c9f0e-2f8e-4f57-9a35-${String(last).padStart(12, '0')}`;
  await world.publish('posts.v1', 'post.published', { postId, postText: `Post ${last}`, author_user_id: OMAR }, { key: postId, headers: { visibility } });
  return postId;
}
const like = () => world.publish('posts.v1', 'post.liked', {
  postId: '1d535fd6-7521-4cb1-aa6d-031be7123c4d', author_user_id: LENA, liked_by_user_id: OMAR, likedAt: '2024-01-15T10:33:00.000Z',
});
const come = (options = {}) => connect(bridge, { user: LENA, path: '/post/feed/posted', ...options });
const copies = (client, postId) => client.messages.filter((m) => m.type === 'post' && m.payload.postId === postId);
const is = (postId, again = false) => (m) => m.payload?.postId === postId && Boolean(m.redelivered) === again;
const ack = (client, cursor) => client.send({ type: 'ack', payload: { cursor } });
const outcomes = (outcome) => bridge.metric('causeway_unacknowledged_total', { outcome });

// Nothing has come for two rounds.
async function quiet(client) {
  const before = client.messages.length;
  await sleep(2 * ROUND + SLACK);
  assert.deepEqual(client.messages.slice(before).filter((m) => m.type !== 'cursor'), []);
}

// --- the example of the posts' own documentation, unchanged; only where localhost:8080 leads is decided here

const SNIPPET = `
// JavaScript пример
const token = 'your_jwt_token_here';
const ws = new WebSocket('ws://localhost:8080/post/feed/posted');

// Добавляем заголовок авторизации
ws.onopen = function() {
    // Отправляем токен в заголовке (некоторые WebSocket клиенты поддерживают это)
    // В реальном приложении токен должен передаваться через URL параметры или другие способы
};

ws.onmessage = function(event) {
    const message = JSON.parse(event.data);
    console.log('Received message:', message);
    
    if (message.type === 'post') {
        const post = message.payload;
        console.log('New post:', post.postId, post.postText, post.author_user_id);
    }
};
`;

function runSnippet() {
  const lines = [];
  let opened;
  class SnippetSocket extends WebSocket {
    constructor(url) {
      super(bridge.url({ path: new URL(url).pathname }), { headers: { Authorization: `Bearer ${token({ sub: LENA })}` } });
      opened = this;
    }
  }
  new Function('WebSocket', 'console', SNIPPET)(SnippetSocket, { log: (...args) => lines.push(args) });
  return { socket: opened, lines };
}

test('the documented client, which knows nothing of it, stays connected, gets repeats for a while, and then each post once', async () => {
  const { socket, lines } = runSnippet();
  const posts = (postId) => lines.filter(([what, id]) => what === 'New post:' && id === postId);
  const messages = (postId) => lines.filter(([what, m]) => what === 'Received message:' && m.payload?.postId === postId).map(([, m]) => m);
  await until('connected', () => lines.some(([, m]) => m.type === 'connected'));
  const before = await outcomes('given_up');
  const first = await post();
  await until('the post', () => posts(first).length === 1);
  assert.deepEqual(posts(first)[0], ['New post:', first, 'Post 1', OMAR]);
  // After 1, 3 and 7 rounds; given up at 15.
  await until('three repeats', () => posts(first).length === 4, { timeout: 20 * ROUND });
  assert.deepEqual(messages(first).map((m) => [m.id, m.redelivered]), [undefined, true, true, true].map((again) => [messages(first)[0].id, again]));
  await until('to be given up', async () => (await outcomes('given_up')) === before + 1, { timeout: 20 * ROUND });
  const second = await post();
  await until('the second post', () => posts(second).length === 1);
  await sleep(2 * ROUND + SLACK);
  assert.equal(posts(second).length, 1);
  assert.equal(posts(first).length, 4);
  assert.equal(socket.readyState, WebSocket.OPEN);
  socket.close();
});

test('who acknowledges late gets it again, marked, with its own id, and then no more', async () => {
  const client = await come();
  const postId = await post();
  const event = await client.expect(is(postId));
  assert.equal(event.redelivered, undefined);
  await like(); // asks for no answer, and does not come again
  await client.expect('like');
  const again = await client.expect(is(postId, true));
  assert.ok(again.at - event.at >= ROUND, `${again.at - event.at} ms`);
  assert.ok(again.at - event.at < 2 * ROUND + SLACK, `${again.at - event.at} ms`);
  assert.deepEqual([again.id, again.backfill, again.cursor, again.payload], [event.id, true, undefined, event.payload]);
  const { cursor } = await client.expect('cursor');
  ack(client, cursor);
  await quiet(client);
  assert.equal(copies(client, postId).length, 2);
  assert.equal(client.of('like').length, 1);
  await client.close();
});

test('one acknowledgement holds for all before it, and only what came after it comes again', async () => {
  const client = await come();
  const ids = [];
  for (let i = 0; i < 4; i++) ids.push(await post());
  const events = [];
  for (const id of ids) events.push(await client.expect(is(id)));
  ack(client, events[2].cursor);
  await client.expect(is(ids[3], true));
  assert.deepEqual(ids.map((id) => copies(client, id).length), [1, 1, 1, 2]);
  ack(client, events[0].cursor); // an old one takes nothing back
  ack(client, events[3].cursor);
  await quiet(client);
  assert.deepEqual(ids.map((id) => copies(client, id).length), [1, 1, 1, 2]);
  await client.close();
});

test('who acknowledges in time hears nothing twice under a steady stream', async () => {
  const client = await come();
  const repeated = await outcomes('repeated');
  client.onMessage = (m) => { if (m.type === 'post') setTimeout(() => ack(client, m.cursor), 300); };
  const ids = [];
  for (const end = Date.now() + 4 * ROUND; Date.now() < end;) {
    ids.push(await post());
    await sleep(100);
  }
  await client.expect(is(ids.at(-1)));
  await quiet(client);
  for (const id of ids) assert.equal(copies(client, id).length, 1);
  assert.equal(await outcomes('repeated'), repeated);
  await client.close();
});

test('a cursor that is none is answered politely and acknowledges nothing', async () => {
  const client = await come();
  const postId = await post();
  const event = await client.expect(is(postId));
  for (const payload of [undefined, {}, { cursor: 7 }, { cursor: 'forged' }, { cursor: `${event.cursor.slice(0, -1)}${event.cursor.endsWith('A') ? 'B' : 'A'}` }]) {
    const error = await client.ask({ type: 'ack', payload }, 'error');
    assert.equal(error.payload.code, 'bad_cursor', JSON.stringify(payload));
  }
  assert.ok(await client.expect(is(postId, true)));
  ack(client, event.cursor);
  await client.close();
});

test('nothing comes again to who has lost the right to it', async () => {
  const client = await come();
  const hidden = await post('friends');
  await client.expect(is(hidden));
  const shown = await post();
  await client.expect(is(shown));
  await world.sql(`DELETE FROM friends WHERE user_id = '${LENA}'`);
  await client.expect('room-left');
  await client.expect(is(shown, true));
  assert.equal(copies(client, hidden).length, 1);
  await world.sql('INSERT INTO friends VALUES ($1, $2)', [LENA, OMAR]);
  await client.close();
});

test('who is cut resumes from what it acknowledged, on another instance, and acknowledges there', async () => {
  const first = await come();
  const ids = [await post(), await post()];
  const event = await first.expect(is(ids[0]));
  await first.expect(is(ids[1]));
  ack(first, event.cursor);
  first.terminate();
  const second = await world.serve(settings);
  const client = await connect(second, { user: LENA, path: '/post/feed/posted', query: { cursor: event.cursor } });
  const again = await client.expect(is(ids[1]));
  assert.deepEqual(copies(client, ids[0]), []);
  await client.expect('resumed');
  await client.expect(is(ids[1], true)); // not acknowledged here either
  ack(client, again.cursor);
  await quiet(client);
  assert.equal(copies(client, ids[1]).length, 2);
  await client.close();
});

test('a reload in between changes nothing: it is read again from Kafka', async () => {
  const client = await come();
  const postId = await post();
  const event = await client.expect(is(postId));
  world.writeCatalogue(projectCatalogue({ 'asyncapi.yaml': (text) => required(text).replace('title: The post feed', 'title: Posts') }));
  process.kill(bridge.pid, 'SIGHUP');
  await until('the reload', async () => (await bridge.metric('causeway_catalogue_reloads_total', { result: 'applied' })) > 0);
  const again = await client.expect(is(postId, true), 20000);
  assert.equal(again.id, event.id);
  ack(client, (await client.expect('cursor')).cursor);
  await quiet(client);
  assert.equal(copies(client, postId).length, 2);
  await client.close();
});

test('the bridge ends in good health', () => world.finish());
