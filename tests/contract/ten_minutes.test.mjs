// docs/ADD_AN_EVENT.md, followed step by step: its files are written, its texts inserted, its SQL and its commands run.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openWorld, runCauseway } from '../system/lib/bridge.mjs';
import { connect } from '../system/lib/client.mjs';
import { root } from '../system/lib/processes.mjs';

const world = await openWorld('ten-minutes');
const page = readFileSync(join(root, 'docs/ADD_AN_EVENT.md'), 'utf8');

// Each code block with the last words before it.
const steps = [...page.matchAll(/((?:.*\n)*?) {3}```(\w+)\n([\s\S]*?)\n {3}```/g)].map(([, before, language, body]) => ({
  before: before.replaceAll(/\s+/g, ' ').trim(), language, text: body.replaceAll(/^ {3}/gm, ''),
}));

const inWorld = (path) => join(world.dir, path);
const ours = (text) => text.replaceAll('tickets.v1', world.topic('tickets.v1'));

// The line behind which something is inserted: that of the last key, each below the one before.
function insert(path, keys, text) {
  const lines = readFileSync(inWorld(path), 'utf8').split('\n');
  let at = -1;
  keys.forEach((key, depth) => { at = lines.findIndex((line, i) => i > at && line === `${'  '.repeat(depth)}${key}:`); });
  assert.ok(at >= 0, `${path} has ${keys.join('.')}`);
  lines.splice(at + 1, 0, ours(text));
  writeFileSync(inWorld(path), lines.join('\n'));
}

const commands = [];
test('the page is followed to the letter', async () => {
  rmSync(inWorld('schemas')); // a link to the project's own
  mkdirSync(inWorld('schemas'));
  for (const name of readdirSync(join(root, 'schemas'))) symlinkSync(join(root, 'schemas', name), inWorld(`schemas/${name}`));
  for (const { before, language, text } of steps) {
    const file = /New file `([^`]+)`:$/.exec(before);
    const place = /In `([^`]+)`, under `([^`]+)`:$/.exec(before);
    if (file) writeFileSync(inWorld(file[1]), ours(text));
    else if (place) insert(place[1], place[2].split('.'), text);
    else if (language === 'sql') await world.sql(text);
    else if (language === 'sh') commands.push(text.replaceAll('\\\n', ' '));
    else assert.fail(`what to do with the block behind "${before.slice(-80)}"`);
  }
  assert.equal(commands.length, 2);
  await world.kafka.createTopics([world.topic('tickets.v1')], 1);
});

test('the document is fine, and so is its SQL', async () => {
  const [, ...args] = commands[0].replace('"$DATABASE_URL"', world.databaseUrl).replace('asyncapi/asyncapi.yaml', world.catalogue).split(' ');
  const { code, stdout, stderr } = await runCauseway(args, { env: world.settings() });
  assert.equal(code, 0, stdout + stderr);
});

test('the event reaches the customer and who follows the ticket, and nobody else', async () => {
  const bridge = await world.serve();
  const [customer, agent, other] = await Promise.all(['123', 'user1', 'user2'].map((user) => connect(bridge, { user })));
  const join = { type: 'join-room', data: { roomId: 'ticket:ticket-7' } };
  await agent.ask(join, 'room-joined');
  assert.equal((await other.ask(join, 'error')).data.code, 'forbidden');
  const [, value, command] = /echo '([^']+)' \|\s*causeway (.*)$/s.exec(commands[1]);
  const { code, stderr } = await runCauseway(command.trim().split(/\s+/), { env: world.settings(), input: `${value}\n` });
  assert.equal(code, 0, stderr);
  for (const client of [customer, agent]) assert.deepEqual((await client.expect('ticket.opened')).data, JSON.parse(value));
  await other.ask({ type: 'ping' }, 'pong');
  assert.deepEqual(other.of('ticket.opened'), []);
});

test('the bridge ends in good health', () => world.finish());
