// In doubt, hold: the database is lost, half-open, stopped, killed or failed over. Granted rights hold for the lease, then
// events wait in the log and /readyz says why; when it is back, every right in use is looked up again, once, and nothing is
// lost. On a PostgreSQL of this story's own, behind a line that can fail.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import pg from 'pg';
import { openWorld } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';
import { ADMIN, BUYER, MANAGER_OF_1, MANAGER_OF_2_AND_3, OTHER_BUYER } from './lib/orders.mjs';
import { exampleSchema, startPostgres } from './lib/postgres.mjs';
import { buildDir, until } from './lib/processes.mjs';
import { startProxy } from './lib/proxy.mjs';
import { TABLES, catalogue, publishers } from './lib/rights.mjs';

const runDir = process.env.CAUSEWAY_TEST_DIR ?? join(buildDir, 'test-run');
const LEASE = 3000;
const databases = await Promise.all([1, 2].map((n) => startPostgres({ dir: join(runDir, `hold-postgres-${n}`) })));
for (const database of databases) {
  for (const { sql } of exampleSchema()) await database.query(sql);
  await database.query(TABLES);
}
const [postgres, standby] = databases;
const proxy = await startProxy(postgres.port);
// The database of the shared PostgreSQL that openWorld makes stays unused: the story has two of its own.
const world = await openWorld('hold', { catalogue });
world.databaseUrl = postgres.url().replace(`:${postgres.port}/`, `:${proxy.port}/`);
const publish = publishers(world);
const bridge = await world.serve({ GRANTS_LEASE: '3', HOLD_TIMEOUT: '2' });

let last = 0;
const next = () => ++last;
const queries = () => bridge.metric('causeway_database_queries_total');
const held = () => bridge.metric('causeway_sessions_held');
const has = (client, n, timeout = 8000) => client.expect((m) => m.data?.n === n, timeout);
const numbersOf = (client) => client.messages.filter((m) => m.data?.n !== undefined).map((m) => m.data.n);
const rights = async () => (await bridge.readyz()).rights;

// Who is who in these stories, and their distinct lookups: three users, the tasks of each, the cities of two managers.
const people = () => Promise.all([ADMIN, MANAGER_OF_1, MANAGER_OF_2_AND_3, ADMIN].map((user) => connect(bridge, { user })));
const DISTINCT = 8;

// Listening has begun anew a moment ago: what was looked up before that is looked up once more.
async function calm() {
  let before = -1;
  await until('no more queries', async () => {
    const now = await queries();
    const same = now === before;
    before = now;
    return same;
  }, { every: 400 });
}

async function stopProcesses(server) {
  const children = execFileSync('ps', ['--ppid', String(server.child.pid), '-o', 'pid='], { encoding: 'utf8' }).trim().split(/\s+/).map(Number);
  const pids = [server.child.pid, ...children];
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  return () => {
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGCONT');
      } catch {
        // it ended meanwhile
      }
    }
  };
}

const OUTAGES = {
  'half-open': async () => {
    proxy.drop();
    return () => proxy.heal();
  },
  'stopped by SIGSTOP': () => stopProcesses(postgres),
  'killed by -9': async () => {
    await postgres.halt('SIGKILL');
    return () => postgres.start();
  },
  'lost, with the line cut': async () => {
    proxy.moveTo(1); // nobody listens there
    return () => proxy.moveTo(postgres.port);
  },
};

for (const [what, begin] of Object.entries(OUTAGES)) {
  test(`the database is ${what}: rights hold for the lease, then events wait, and afterwards nothing is lost`, async () => {
    const clients = await people();
    const first = next();
    await publish.city(1, first);
    await has(clients[1], first);
    const repair = await begin();
    const began = performance.now();
    try {
      await until('/readyz to notice', async () => !(await rights()).ok, { every: 20 });
      const noticed = performance.now() - began;
      assert.ok(noticed < 2800, `noticed after ${noticed} ms`); // 2 s of silence, and the polling of a laden machine
      const during = next();
      await publish.city(1, during);
      await has(clients[1], during, 1500);
      assert.match((await rights()).detail, /rights hold for another \d+ s/);

      await until('all to be held', async () => (await held()) === clients.length, { timeout: LEASE + 3000 });
      const heldAfter = performance.now() - began;
      assert.ok(heldAfter > LEASE - 700, `held after ${heldAfter} ms`);
      assert.match((await rights()).detail, /events wait/);
      assert.equal((await bridge.readyz()).status, 503);
      for (let i = 0; i < 20; i++) await publish.city(1 + (i % 3), next());
      for (const client of clients) assert.deepEqual(await client.ask({ type: 'ping' }, () => true), { type: 'pong' });
      assert.ok(!numbersOf(clients[1]).includes(during + 1));
    } finally {
      const before = await queries();
      await repair();
      await until('all to go on', async () => (await held()) === 0, { timeout: 15000 });
      assert.equal(await queries() - before, DISTINCT, 'one query per distinct right');
    }
    const end = next();
    await publish.city(1, end);
    await has(clients[1], end);
    const wanted = (fits) => Array.from({ length: end - first + 1 }, (_, i) => first + i).filter(fits);
    const city = (n) => (n < first + 2 || n === end ? 1 : 1 + ((n - first - 2) % 3));
    assert.deepEqual(numbersOf(clients[1]), wanted((n) => city(n) === 1));
    await has(clients[0], end);
    await has(clients[3], end);
    assert.deepEqual(numbersOf(clients[0]), wanted(() => true));
    assert.deepEqual(numbersOf(clients[3]), wanted(() => true));
    await until('the other manager', () => numbersOf(clients[2]).length >= wanted((n) => city(n) !== 1).length);
    assert.deepEqual(numbersOf(clients[2]), wanted((n) => city(n) !== 1));
    await Promise.all(clients.map((client) => client.close()));
    await until('/readyz to be content', async () => (await bridge.readyz()).status === 200);
  });
}

test('rights that change while nobody hears of it: what was withdrawn is not delivered afterwards, what was granted is backfilled', async () => {
  const [loser, winner] = await Promise.all([MANAGER_OF_1, MANAGER_OF_2_AND_3].map((user) => connect(bridge, { user })));
  const first = next();
  await publish.city(1, first);
  await has(loser, first);
  proxy.drop();
  await until('both to be held', async () => (await held()) === 2, { timeout: LEASE + 3000 });
  await postgres.query('DELETE FROM manager_cities WHERE user_id = $$3$$ AND city_id = $$1$$');
  await postgres.query('INSERT INTO manager_cities VALUES (4, 1)');
  const waiting = [next(), next(), next()];
  for (const n of waiting) await publish.city(1, n);
  proxy.heal();
  await loser.expect((m) => m.type === 'room-left' && m.data.roomId === 'city-1-orders', 15000);
  await winner.expect((m) => m.type === 'room-joined' && m.data.roomId === 'city-1-orders', 15000);
  const more = next();
  await publish.city(1, more);
  await has(winner, more);
  // The event before the silence is within the margin of the grant, and may come too.
  assert.deepEqual(numbersOf(winner).filter((n) => n !== first), [...waiting, more]);
  assert.deepEqual(numbersOf(loser), [first]);
  await postgres.query('INSERT INTO manager_cities VALUES (3, 1)');
  await postgres.query('DELETE FROM manager_cities WHERE user_id = $$4$$ AND city_id = $$1$$');
  await Promise.all([loser.close(), winner.close()]);
});

test('a failover to another server: what that one says counts', async () => {
  await standby.query('DELETE FROM manager_cities WHERE user_id = $$3$$ AND city_id = $$1$$');
  const [manager, admin] = await Promise.all([MANAGER_OF_1, ADMIN].map((user) => connect(bridge, { user })));
  await postgres.halt('SIGKILL');
  proxy.moveTo(standby.port);
  await manager.expect((m) => m.type === 'room-left' && m.data.roomId === 'city-1-orders', 15000);
  const n = next();
  await publish.city(1, n);
  await has(admin, n);
  assert.deepEqual(numbersOf(manager), []);
  // And changes there are heard of.
  await standby.query('INSERT INTO manager_cities VALUES (3, 1)');
  await manager.expect((m) => m.type === 'room-joined' && m.data.roomId === 'city-1-orders');
  await postgres.start();
  proxy.moveTo(postgres.port);
  await until('to listen there', async () => (await bridge.readyz()).status === 200);
  await Promise.all([manager.close(), admin.close()]);
});

test('a changed right that cannot be looked up is over after HOLD_TIMEOUT, and comes back by itself', async () => {
  await postgres.query('DELETE FROM task_members');
  await postgres.query('INSERT INTO task_members VALUES (5, 123, true), (6, 123, true), (5, 124, true)');
  const [one, two] = await Promise.all([BUYER, OTHER_BUYER].map((user) => connect(bridge, { user })));
  await calm();
  const first = next();
  await publish.task(5, first);
  for (const client of [one, two]) await has(client, first);
  // Whoever asks for this table now waits, longer than a query may take.
  const lock = new pg.Client({ connectionString: postgres.url() });
  await lock.connect();
  await lock.query('BEGIN; LOCK TABLE task_members IN ACCESS EXCLUSIVE MODE');
  const began = performance.now();
  await postgres.query("SELECT pg_notify('causeway_grants', 'tasks-of-user:123')");
  await until('one to be held', async () => (await held()) === 1);
  const waits = next();
  await publish.task(5, waits);
  await has(two, waits);
  const left = await one.expect((m) => m.type === 'room-left', 10000);
  assert.equal(left.data.reason, 'unavailable');
  const took = performance.now() - began;
  assert.ok(took > 1800 && took < 6000, `${took} ms`);
  await one.expect((m) => m.type === 'room-left');
  assert.equal(await held(), 0);
  const told = next();
  await publish.user(BUYER, told); // his other rooms go on
  await has(one, told);
  await lock.query('ROLLBACK');
  await lock.end();
  await one.expect((m) => m.type === 'room-joined' && m.data.roomId === 'task:5', 10000);
  assert.ok(numbersOf(one).includes(waits), 'what it had meanwhile comes with it');
  await Promise.all([one.close(), two.close()]);
});

test('a changed user who cannot be looked up is told to come back later', async () => {
  const client = await connect(bridge, { user: BUYER });
  const lock = new pg.Client({ connectionString: postgres.url() });
  await lock.connect();
  await lock.query('BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE');
  await postgres.query("SELECT pg_notify('causeway_grants', 'user:123')");
  const end = await client.closing(10000);
  assert.equal(end.code, 1013);
  await lock.query('ROLLBACK');
  await lock.end();
  await (await connect(bridge, { user: BUYER })).close();
});

test('many sessions of few people come back at the cost of one query per right', async () => {
  const USERS = [ADMIN, MANAGER_OF_1, MANAGER_OF_2_AND_3, BUYER, OTHER_BUYER];
  const all = () => Promise.all(Array.from({ length: 200 }, (_, i) => connect(bridge, { user: USERS[i % USERS.length] })));
  await calm();
  const first = await queries();
  const clients = await all();
  const distinct = 5 + 5 + 2; // users, their tasks, and the cities of the managers
  const cost = await queries() - first;
  assert.ok(cost <= distinct + 3, `${cost} queries for 200 sessions`);
  for (const client of clients) client.terminate();
  await until('all to be gone', async () => (await bridge.metric('causeway_lookups_live')) === 0);
  const again = await queries();
  const back = await all();
  assert.ok(await queries() - again <= distinct + 3);
  for (const client of back) client.terminate();
});

test('the bridge ends in good health', async () => {
  await world.finish();
  await proxy.stop();
  await Promise.all(databases.map((database) => database.stop()));
});
