// Sends every event of the orders system through Kafka and shows who got it. What each person should get is worked
// out here from the database alone, by the rules as people would say them; the bridge's catalogue is not consulted.
import WebSocket from 'ws';
import { until } from '../../tests/system/lib/processes.mjs';
import { comeBack } from './comeback.mjs';
import { tellDomains } from './domains.mjs';
import {
  OrderService, TOPICS, bonusUpdated, inventOrder, orderCreated, orderStatusUpdated, syncFailed, syncSucceeded,
} from '../orders/service.mjs';

// --- who is there, and what they may see -----------------------------------------------------------------------------

// The roles of the orders system; two of each are enough, should somebody's own database have more.
const USERS = `SELECT id, role FROM (
  SELECT id::integer, role, row_number() OVER (PARTITION BY role ORDER BY id) AS place FROM users
  WHERE role IN ('admin', 'ceo', 'manager', 'buyer') AND id ~ '^[0-9]+$') AS ranked
  WHERE place <= 2 ORDER BY id`;

async function readPeople(database) {
  const { rows: users } = await database.query(USERS);
  const { rows: rights } = await database.query(
    "SELECT user_id::integer, city_id FROM manager_cities WHERE user_id ~ '^[0-9]+$' ORDER BY city_id");
  return users.map(({ id, role }) => ({
    id, role, cities: rights.filter((right) => right.user_id === id).map((right) => right.city_id),
  }));
}

const runsTheShop = (person) => person.role === 'admin' || person.role === 'ceo';
const managesCity = (person, city) => person.role === 'manager' && person.cities.includes(city);

const staffOf = (city) => (person) => runsTheShop(person) || managesCity(person, city);
const only = (user) => (person) => person.id === user;
const either = (...rules) => (person) => rules.some((rule) => rule(person));

// What leaves for clients: {type, subject (an order's or entity's id), about, may (rule), record}.
function eventsOf(order) {
  const { id, city_id: city, user_id: buyer } = order;
  const about = `order of ${buyer} in city ${city}`;
  const created = orderCreated(order);
  const bonus = bonusUpdated(buyer, 150.5, { type: 'earned', amount: 75, orderId: id });
  const staff = staffOf(city);
  return [
    { type: 'new-order', subject: id, about, may: staff, record: created },
    { type: 'order-created', subject: id, about, may: only(buyer), record: created },
    {
      type: 'order-status-updated', subject: id, about, may: either(only(buyer), staff),
      record: orderStatusUpdated(order, 'confirmed'),
    },
    { type: 'bonus-updated', subject: id, about: `balance of ${buyer}`, may: only(buyer), record: bonus },
    { type: 'sync-success', subject: id, about, may: staff, record: syncSucceeded('order', id, city) },
    { type: 'sync-error', subject: id, about, may: staff, record: syncFailed('order', id, 'Connection timeout', city) },
  ];
}

function eventsOfProduct(id) {
  const common = { subject: id, about: 'a product, of no city', may: runsTheShop };
  return [
    { ...common, type: 'sync-success', record: syncSucceeded('product', id) },
    { ...common, type: 'sync-error', record: syncFailed('product', id, 'Connection timeout') },
  ];
}

// Later on every partition of every topic, something for everyone who gets anything from that topic: who has it, has
// passed all that came before. Who gets nothing from a topic has its sentinels on the others, published when the event
// in question was known to have been received by somebody.
function sentinelsOn(partitions, buyers, cities, firstId) {
  const sentinels = [];
  const add = (topic, type, may, build) => {
    for (const partition of partitions.get(topic)) {
      const id = firstId + sentinels.length;
      sentinels.push({ type, subject: id, partition, may, record: build(id) });
    }
  };
  for (let i = 0; i < Math.max(buyers.length, cities.length); i += 1) {
    const buyer = buyers[i % buyers.length];
    const city = cities[i % cities.length];
    add(TOPICS.orders, 'order-status-updated', either(only(buyer), staffOf(city)),
      (id) => orderStatusUpdated({ id, status: 'confirmed', user_id: buyer, city_id: city }, 'preparing'));
    add(TOPICS.sync, 'sync-success', staffOf(city), (id) => syncSucceeded('order', id, city));
    add(TOPICS.bonuses, 'bonus-updated', only(buyer),
      (id) => bonusUpdated(buyer, 160.5, { type: 'earned', amount: 10, orderId: id }));
  }
  return sentinels;
}

// --- clients ---------------------------------------------------------------------------------------------------------

const subjectOf = (data) => data?.orderId ?? data?.operation?.orderId ?? data?.entityId ?? data?.id;

class Client {
  constructor(person, url) {
    this.person = person;
    this.messages = [];
    this.socket = new WebSocket(url);
    this.socket.on('message', (bytes) => {
      const text = bytes.toString();
      this.messages.push({ text, ...JSON.parse(text) });
    });
    this.socket.on('close', (code, reason) => { this.closed = `closed ${code} ${reason}`; });
    this.socket.on('error', (error) => { this.closed ??= error.message; });
  }

  say(type, data) {
    this.socket.send(JSON.stringify({ type, data }));
  }

  of(type) {
    return this.messages.filter((message) => message.type === type);
  }

  got(event) {
    return this.of(event.type).filter((message) => subjectOf(message.data) === event.subject);
  }

  // Resolves to false when it did not happen; the table says so then.
  async has(condition, timeout = 10000) {
    return until('a message', () => {
      if (this.closed) throw new Error(this.closed);
      return condition();
    }, { timeout, every: 5 }).then(() => true, () => false);
  }
}

// --- the verdicts ----------------------------------------------------------------------------------------------------

const right = (text) => ({ ok: true, text });
const wrong = (text) => ({ ok: false, text });

function judgeEvent(client, event) {
  const got = client.got(event);
  if (!event.may(client.person)) return got.length === 0 ? right('-') : wrong('LEAKED');
  if (got.length !== 1) return got.length === 0 ? wrong('MISSING') : wrong(`${got.length} TIMES`);
  return got[0].text.includes(`"data":${event.record.value}`) ? right('got it') : wrong('ALTERED');
}

function judgeConnected(client) {
  const [first] = client.messages;
  if (first?.type !== 'connected') return wrong(client.closed ?? 'MISSING');
  const { userId, role } = first.data;
  return userId === client.person.id && role === client.person.role ? right(role) : wrong(first.text);
}

async function judgeCommand(client, type, data, answerTypes, expected) {
  const before = client.messages.length;
  client.say(type, data);
  const answer = () => client.messages.slice(before).find((message) => answerTypes.includes(message.type));
  if (!(await client.has(answer, 5000))) return wrong('NO ANSWER');
  const { type: got, data: detail } = answer();
  const text = got === 'error' ? detail.code : got;
  return text === expected ? right(text) : wrong(text);
}

const judgePing = (client) => judgeCommand(client, 'ping', undefined, ['pong'], 'pong');

function judgeJoin(client, room, may) {
  const expected = may ? 'room-joined' : 'forbidden';
  return judgeCommand(client, 'join-room', { roomId: room }, ['room-joined', 'error'], expected);
}

function judgeLeave(client) {
  const data = { roomId: `user-${client.person.id}` };
  return judgeCommand(client, 'leave-room', data, ['room-left', 'error'], 'room-left');
}

// --- the run ---------------------------------------------------------------------------------------------------------

async function send(service, events) {
  const records = new Set(events.map((event) => event.record)); // two events may come from one record
  for (const record of records) {
    const { partition } = events.find((event) => event.record === record);
    await service.publish(record, { partition });
  }
}

const haveTheirs = (clients, events) => Promise.all(clients.flatMap((client) => events
  .filter((event) => event.may(client.person))
  .map((event) => client.has(() => client.got(event).length > 0))));

async function sendAndJudge(service, clients, events, sentinels) {
  await send(service, events);
  // Published only when the events are known to be in the bridge's log, so these come behind them there too.
  await haveTheirs(clients, events);
  await send(service, sentinels);
  const passed = await haveTheirs(clients, sentinels);
  passed.push(...clients.map(({ person }) => sentinels.some((sentinel) => sentinel.may(person))));
  const rows = events.map((event) => ({
    title: event.type, about: event.about, cells: clients.map((client) => judgeEvent(client, event)),
  }));
  return { rows, passed: passed.every(Boolean) };
}

const headOf = ({ person }) => `${person.role} ${String(person.id).slice(0, 8)}`;
const noteOf = ({ person }) => (person.cities?.length > 0 ? `city ${person.cities.join(', ')}` : '');

function printTable(clients, rows) {
  const lines = [
    ['', '', ...clients.map(headOf)],
    ['', '', ...clients.map(noteOf)],
    ...rows.map(({ title, about, cells }) => [title, about, ...cells.map((cell) => cell.text)]),
  ];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  for (const line of lines) {
    console.log(`  ${line.map((text, column) => text.padEnd(widths[column])).join('  ')}`.trimEnd());
  }
}

async function run(stage, service, clients, people) {
  await Promise.all(clients.map((client) => client.has(() => client.messages.length > 0)));
  const rows = [{ title: 'connected', about: 'role from the database', cells: clients.map(judgeConnected) }];

  const cities = [...new Set(people.flatMap((person) => person.cities))];
  const buyers = people.filter((person) => person.role === 'buyer').map((person) => person.id);
  const base = Math.floor(Date.now() / 1000);
  const orders = buyers.map((buyer, i) => inventOrder({
    id: base + i, userId: buyer, cityId: cities[i === 0 ? 0 : cities.length - i],
  }));
  const events = [...orders.flatMap(eventsOf), ...eventsOfProduct(base + orders.length)];
  const sentinels = sentinelsOn(stage.partitions, buyers, cities, base + 1000);
  const sent = await sendAndJudge(service, clients, events, sentinels);
  rows.push(...sent.rows);

  const ask = (judge) => Promise.all(clients.map(judge));
  rows.push({ title: 'ping', about: '', cells: await ask(judgePing) });
  const rooms = [
    ['admin-orders', runsTheShop],
    [`city-${cities[0]}-orders`, (person) => managesCity(person, cities[0])],
    [`user-${buyers[0]}`, only(buyers[0])],
    ['no-such-room', () => false],
  ];
  for (const [room, may] of rooms) {
    rows.push({ title: 'join-room', about: room, cells: await ask((c) => judgeJoin(c, room, may(c.person))) });
  }
  rows.push({ title: 'leave-room', about: 'user-<own id>', cells: await ask(judgeLeave) });
  return { rows, passed: sent.passed };
}

/* Resolves to the number of failures. */
export async function once(stage) {
  const people = await readPeople(stage.database);
  const service = await new OrderService({ brokers: stage.brokers }).open();
  const clients = people.map((person) => new Client(person, stage.url(stage.token(person.id))));
  try {
    const { rows, passed } = await run(stage, service, clients, people);
    console.log('\nWho received what ("-": rightly did not)\n');
    printTable(clients, rows);
    const tables = await tellDomains(stage, ['orders']);
    console.log('\nEvery example of the other domains, to everybody: how many of each event came, by whom it concerns most');
    for (const { domain, people: some, rows: lines } of tables) {
      console.log(`\n${domain}`);
      printTable(some.map((person) => ({ person })), lines);
    }
    const cells = [...rows, ...tables].flatMap((each) => each.cells);
    const comebacks = await comeBack(stage, service, { user: people.find(runsTheShop).id, firstId: Math.floor(Date.now() / 1000) + 100000 });
    // Without the sentinels an empty cell proves nothing.
    const verdicts = [...cells.map((cell) => cell.ok), passed, ...comebacks.map((each) => each.ok)];
    console.log(`\n${passed ? 'Everybody' : 'NOT everybody'} got the later events that prove the "-" cells.`);
    console.log('\nNothing is missed: a client with nothing but its last cursor and the ids it has seen\n');
    for (const { ok, text } of comebacks) console.log(`  ${ok ? 'ok' : 'FAILED'}  ${text}`);
    const failed = verdicts.filter((ok) => !ok).length;
    console.log(`\n${verdicts.length - failed} passed, ${failed} failed`);
    return failed;
  } finally {
    for (const client of clients) client.socket.terminate();
    await service.close();
  }
}
