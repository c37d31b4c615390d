// Friendship as a right, by the project's own catalogue and triggers: a friend's posts come while he is one, and not a moment
// longer; whoever becomes one gets what was posted shortly before.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';

const LENA = 'e4d2e6b0-cde2-42c5-aac3-0b8316f21e58';
const OMAR = '7c9e6679-7425-40de-944b-e07fc1f90ae7';
const BOUND = 2000;
const world = await openWorld('friends');
const bridge = await world.serve();
const room = `friends-of-${OMAR}`;

let last = 0;
async function post(visibility) {
  last += 1;
  const postId = `5b1c9f0e-2f8e-4f57-9a35-${String(last).padStart(12, '0')}`;
  await world.publish('posts.v1', 'post.published', { postId, postText: 'Hello', author_user_id: OMAR }, { key: postId, headers: { visibility } });
  return postId;
}
const come = (options = {}) => connect(bridge, { user: LENA, path: '/post/feed/posted', ...options });
const is = (postId) => (m) => m.payload?.postId === postId;
const got = (client) => client.messages.map((m) => m.payload?.postId).filter(Boolean);

test('a friendship that ends takes the posts for friends away, those for all stay', async () => {
  const client = await come();
  await client.expect(is(await post('friends')));
  const at = performance.now();
  await world.sql(`DELETE FROM friends WHERE user_id = '${LENA}'`);
  const left = await client.expect('room-left');
  assert.ok(left.at - at < BOUND, `${left.at - at} ms`);
  assert.equal(left.payload.roomId, room);
  const hidden = await post('friends');
  await client.expect(is(await post('public')));
  assert.ok(!got(client).includes(hidden));
  await client.close();
});

test('what was missed of a friendship that ended is not replayed, and one that begins brings what outran it', async () => {
  const first = await come();
  await first.expect(is(await post('public')));
  const { cursor } = first.messages.findLast((m) => m.cursor);
  await first.close();
  const hidden = await post('friends');
  const seen = await post('public');
  const client = await come({ query: { cursor } });
  await client.expect(is(seen));
  assert.ok(!got(client).includes(hidden));
  const at = performance.now();
  await world.sql(`INSERT INTO friends VALUES ('${LENA}', '${OMAR}')`);
  const joined = await client.expect('room-joined');
  assert.ok(joined.at - at < BOUND, `${joined.at - at} ms`);
  const early = client.messages.find(is(hidden));
  assert.equal(early.backfill, true);
  await client.close();
});

test('who was away when it began gets what outran it when he comes back, though his cursor is younger', async () => {
  await world.sql(`DELETE FROM friends WHERE user_id = '${LENA}'`);
  const before = await come();
  const early = await post('friends');
  await before.expect(is(await post('public')));
  const { cursor } = before.messages.findLast((m) => m.cursor);
  await before.close();
  await world.sql(`INSERT INTO friends VALUES ('${LENA}', '${OMAR}')`);
  const client = await come({ query: { cursor } });
  const event = await client.expect(is(early));
  assert.equal(event.backfill, true);
  await client.expect('resumed');
  await client.close();
});

test('the bridge ends in good health', () => world.finish());
