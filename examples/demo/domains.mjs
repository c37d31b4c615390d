// Every example of the other domains, once, through Kafka: who got it, beside who should. That is worked out from the
// document's rooms and the database, as the contract tests do it.
import WebSocket from 'ws';
import { Rights, roomsOfRecord } from '../../tests/contract/lib/audience.mjs';
import { KafkaSide } from '../../tests/system/lib/kafka.mjs';
import { until } from '../../tests/system/lib/processes.mjs';
import { messageOf, readCatalogue } from '../../tools/catalogue.mjs';
import { domains, story } from '../service.mjs';

const COLUMNS = 6;
const PLAIN = ['clients', 'posts']; // the channels that the demo's people connect to

// `asked`: the rooms on request that the channel's events go to.
async function stand(stage, rights, person, channel, asked) {
  const { host } = stage;
  const socket = new WebSocket(`ws://${host}${channel.address}?token=${stage.token(person.id)}`);
  const place = { person, channel: channel.key, socket, messages: [] };
  socket.on('message', (bytes) => place.messages.push(JSON.parse(bytes.toString())));
  socket.on('error', () => {});
  await until('connected', () => place.messages.some((message) => message.type === 'connected'));
  const known = await rights.person(String(person.id));
  place.rooms = new Set(await rights.automatic(known, channel.key));
  const joined = [];
  for (const room of asked) if (!place.rooms.has(room) && await rights.mayJoin(known, channel.key, room)) joined.push(room);
  const payload = channel.channel['x-causeway']?.payload ?? 'data';
  for (const room of joined) {
    socket.send(JSON.stringify({ type: 'join-room', [payload]: { roomId: room } }));
    place.rooms.add(room);
  }
  await until('the rooms to be joined', () => joined.every((room) => place.messages
    .some((message) => message.type === 'room-joined' && message[payload].roomId === room)));
  return place;
}

/* What leaves for clients of one published example: {type, channel, rooms, except}. */
function leaves(catalogue, record) {
  return catalogue.operations.filter(({ route, channel }) => route && PLAIN.includes(channel)
    && route.from.some((from) => from.channel === record.channel && from.message === record.message))
    .map((operation) => ({
      type: messageOf(catalogue, operation.messages[0]).name,
      channel: operation.channel,
      rooms: roomsOfRecord(operation.route.to, record),
      except: roomsOfRecord(operation.route.except, record),
    }));
}

function placeOf(catalogue, { topic, headers }) {
  const channel = catalogue.channels.find(({ kafka, address }) => kafka && address === topic);
  const found = channel.messages.find(({ message }) => (message.name ?? '') === headers.ce_type);
  return { channel: channel.key, message: found.key };
}

const entitled = (place, event) => place.channel === event.channel
  && event.rooms.some((room) => place.rooms.has(room)) && !event.except.some((room) => place.rooms.has(room));
const received = (place, event) => place.messages.filter((m) => m.type === event.type && m.id?.startsWith(event.id)).length;

const recordOf = (catalogue, { topic, key, headers, value }) => ({ ...placeOf(catalogue, { topic, headers }), key, headers, payload: JSON.parse(value) });

async function publish(kafka, catalogue, domain) {
  const events = [];
  for (const { topic, ...message } of story(domain, catalogue)) {
    const record = recordOf(catalogue, { topic, ...message });
    const [{ partition, baseOffset }] = await kafka.produce(topic, message);
    events.push(...leaves(catalogue, record).map((event) => ({ ...event, id: `${topic}:${partition}:${baseOffset}:` })));
  }
  return events;
}

async function settle(places, events) {
  const missing = () => events.some((event) => places.some((place) => entitled(place, event) && !received(place, event)));
  await until('everybody to have theirs', () => !missing(), { timeout: 10000 }).catch(() => {});
  // One loop delivers to everybody in one turn, so an answer that comes later comes behind all that was delivered.
  for (const { socket } of places) socket.send('{"type":"ping"}');
  await until('the answers', () => places.every(({ messages }) => messages.some(({ type }) => type === 'pong')));
  for (const place of places) place.messages = place.messages.filter(({ type }) => type !== 'pong');
}

function rowsOf(people, places, events) {
  return [...new Set(events.map(({ type }) => type))].map((type) => ({
    title: type,
    about: '',
    cells: people.map((person) => {
      const theirs = events.filter((event) => event.type === type)
        .flatMap((event) => places.filter((place) => place.person === person).map((place) => ({ wanted: Number(entitled(place, event)), got: received(place, event) })));
      const [wanted, got] = ['wanted', 'got'].map((which) => theirs.reduce((sum, each) => sum + each[which], 0));
      const ok = theirs.every((each) => each.wanted === each.got);
      return { ok, text: !ok ? `${got} OF ${wanted}` : got ? `${got}` : '-' };
    }),
  }));
}

// Of all people those whom the domain concerns most.
function mostConcerned(people, places, events) {
  const share = (person) => places.filter((place) => place.person === person)
    .reduce((sum, place) => sum + events.filter((event) => entitled(place, event)).length, 0);
  const shares = new Map(people.map((person) => [person, share(person)]));
  return [...people].sort((a, b) => shares.get(b) - shares.get(a)).slice(0, COLUMNS);
}

/* Of all domains but those in `without`: {domain, people (some), rows (theirs), cells (of everybody)}. */
export async function tellDomains(stage, without) {
  const { rows: people } = await stage.database.query('SELECT id, role FROM users ORDER BY id LIMIT 40');
  const catalogue = readCatalogue();
  let asking = Promise.resolve(); // one question to the database at a time
  const rights = new Rights(catalogue.rights, (sql, params) => {
    asking = asking.then(async () => (await stage.database.query(sql, params)).rows);
    return asking;
  });
  const channels = catalogue.channels.filter(({ kafka, key }) => !kafka && PLAIN.includes(key));
  const told = domains(catalogue).filter((name) => !without.includes(name));
  const coming = told.flatMap((domain) => story(domain, catalogue).flatMap((message) => leaves(catalogue, recordOf(catalogue, message))));
  const roomsOn = ({ key }) => new Set(coming.filter(({ channel }) => channel === key).flatMap(({ rooms }) => rooms));
  const places = await Promise.all(people.flatMap((person) => channels.map((channel) => stand(stage, rights, person, channel, roomsOn(channel)))));
  const kafka = await new KafkaSide(stage.brokers).open();
  try {
    const tables = [];
    for (const domain of told) {
      const events = await publish(kafka, catalogue, domain);
      await settle(places, events);
      const shown = mostConcerned(people, places, events);
      const cells = rowsOf(people, places, events).flatMap((row) => row.cells);
      tables.push({ domain, people: shown, rows: rowsOf(shown, places, events), cells });
    }
    return tables;
  } finally {
    await kafka.close();
    for (const { socket } of places) socket.terminate();
  }
}
