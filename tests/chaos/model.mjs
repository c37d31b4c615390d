// A small correct server, its topics and its clients, all made up: histories for the checker's own test. Rows are objects
// here, so that a test can spoil one of them; pack() makes a history of them.
import { Events, FLAG, KIND, NONE, Rows, STATE, TICKS, Truth } from './history.mjs';
import { random } from './random.mjs';

const { REDELIVERED, BACKFILL, CURSOR } = FLAG;
export const PARTITIONS = 3;
const GROUPS = [0, 1, 2];
const BOARDS = [3, 4];
const ROOM_NAMES = ['group-0', 'group-1', 'group-2', 'board:3', 'board:4'];
const EVERY = 10; // ms between events

/* options: count, hop (clients change instances), kill (instance 0 starts anew half way), recreate (topic deleted and
   made again at a third), trim (records deleted at two thirds), cold (what Kafka does not hold any more nobody else holds),
   quiet (nobody is cut), bare (replayed events are not marked when the cursor is exact), sharp (cursors are exact everywhere),
   born (a partition begins with the run). */
export function makeRun(seed, options = {}) {
  return new Model(seed, { count: 300, hop: true, ...options }).run();
}

class Model {
  constructor(seed, options) {
    this.options = options;
    this.rng = random(seed);
    this.end = options.count * EVERY;
    this.records = [];
    this.events = [];
    this.lives = new Map();
    this.removals = [];
  }

  run() {
    this.produce();
    this.makeServers();
    const clients = [0, 1, 2, 3].map((number) => this.client(number));
    const heals = [{ time: this.end * TICKS, until: NONE, strict: true }];
    return { events: this.events, records: this.records, lives: this.lives, removals: this.removals, heals, clients, born: this.options.born && [{ part: PARTITIONS - 1, time: 0 }] };
  }

  produce() {
    const { rng, options, events, records } = this;
    const next = Array(PARTITIONS).fill(0);
    const seqs = new Map();
    const recreateAt = options.recreate ? Math.floor(options.count / 3) : -1;
    const trimAt = options.trim ? Math.floor((options.count * 2) / 3) : -1;
    let life = 0;
    for (let n = 0; n < options.count; n++) {
      const time = n * EVERY;
      if (n === recreateAt) {
        for (let part = 0; part < PARTITIONS; part++) {
          this.lives.set(part, [(time - 5) * TICKS]);
          this.removals.push({ part, life, before: NONE, time: (time - 5) * TICKS });
          next[part] = 0;
        }
        life++;
      }
      if (n === trimAt) this.removals.push({ part: 0, life, before: next[0], time: (time - 5) * TICKS });
      const key = rng.below(12);
      const seq = seqs.get(key) ?? 0;
      seqs.set(key, seq + 1);
      const part = key % PARTITIONS;
      const rooms = rng.chance(0.3) ? [rng.pick(BOARDS)] : [rng.pick(GROUPS)];
      if (rng.chance(0.2)) rooms.push(rng.pick(GROUPS));
      const event = { n, key, seq, part, life, rooms: [...new Set(rooms)], time, state: STATE.OK };
      events.push(event);
      if (rng.chance(0.03)) {
        event.state = rng.chance(0.5) ? STATE.FAIL : STATE.UNKNOWN;
        if (event.state === STATE.FAIL || rng.chance(0.5)) continue;
      }
      if (rng.chance(0.1)) next[part] += 1 + rng.below(3);
      event.offset = next[part]++;
      records.push({ n, part, life, offset: event.offset, hash: 1000 + n, id: 500000 + n * 7, at: time + 2, rooms: event.rooms });
    }
    for (const record of records) {
      const removal = this.removals.find((r) => r.part === record.part && r.life === record.life && record.offset < r.before);
      record.removed = removal ? removal.time / TICKS : Infinity;
    }
  }

  // Each instance sees the partitions interleaved in its own way.
  makeServers() {
    const half = this.end / 2;
    const starts = this.options.kill ? [[0, 0, 0, half], [0, 1, half + 200, Infinity], [1, 0, 0, Infinity]] : [[0, 0, 0, Infinity], [1, 0, 0, Infinity]];
    this.servers = starts.map(([instance, incarnation, from, to]) => {
      const order = [...this.records];
      for (let i = 1; i < order.length; i++) {
        const [a, b] = [order[i - 1], order[i]];
        if (a.part !== b.part && a.life === b.life && this.rng.chance(0.4)) [order[i - 1], order[i]] = [b, a];
      }
      let seen = 0;
      const visible = order.map((record) => (seen = Math.max(seen + 0.1, record.at + 2)));
      return { instance, incarnation, from, to, order, visible };
    });
  }

  head(server, time) {
    const i = server.visible.findIndex((at) => at > time);
    return i < 0 ? server.order.length : i;
  }

  // Where `server` enters for a cursor, and up to where its events may be repeats.
  enter(server, cursor) {
    if (cursor.server === server && !cursor.had) return { from: cursor.position, doubtful: cursor.position };
    const had = new Set([...cursor.server.order.slice(0, cursor.position), ...(cursor.had ?? [])]);
    let from = 0;
    while (from < server.order.length && had.has(server.order[from])) from++;
    if (this.options.sharp) return { from, doubtful: from, had };
    let doubtful = from;
    server.order.forEach((record, i) => { if (had.has(record)) doubtful = Math.max(doubtful, i + 1); });
    return { from: Math.max(0, from - this.rng.below(9)), doubtful };
  }

  client(number) {
    const automatic = [GROUPS[number % 3], ...(number === 3 ? [1] : [])];
    const requested = number < 3 ? [BOARDS[number % 2]] : BOARDS;
    const client = { name: `client ${number}`, automatic, requested, rows: [], notes: [], cursorRow: null, pending: null, joined: new Set(), retry: new Map() };
    let time = 20 + this.rng.below(60);
    while (time < this.end) {
      const stay = this.options.quiet ? Infinity : 30 + this.rng.below(600);
      time = this.connection(client, time, Math.min(time + stay, this.end + 500)) + 5 + this.rng.below(80);
    }
    if (!this.complete(client)) this.connection(client, this.end + 600, this.end + 1200);
    return client;
  }

  complete(client) {
    const last = client.rows.findLast((row) => row.kind === KIND.CONNECT);
    return last.until > this.end + 400 && last.whole;
  }

  // What the client will say when it connects next depends on what it has seen when it is cut.
  connection(client, time, wantedEnd) {
    const { rng } = this;
    const possible = this.servers.filter((s) => s.from <= time && time < s.to);
    const server = this.options.hop ? rng.pick(possible) : possible[0];
    const until = Math.min(wantedEnd, server.to);
    const visit = new Visit(this, client, server, time);
    visit.play(until);
    const whole = until > this.end;
    let rows = visit.rows.filter((row) => row.time <= until);
    if (!whole && rng.chance(0.3)) rows = rows.slice(0, 1 + rng.below(rows.length));
    rows[0].until = until;
    rows[0].whole = rows.length === visit.rows.length;
    client.rows.push(...rows);
    const saw = (kind, room) => rows.some((row) => row.kind === kind && (room === undefined || row.a === room));
    const carried = rows.findLast((row) => row.flags & CURSOR);
    for (const room of client.requested) {
      if (saw(KIND.JOINED, room)) {
        client.joined.add(room);
        client.retry.delete(room);
      } else if (visit.rejoined.has(room)) {
        client.retry.set(room, visit.rejoined.get(room));
      }
    }
    if (visit.pending && !saw(KIND.RESUMED)) client.pending = visit.pending;
    else if (saw(KIND.RESUMED)) client.pending = null;
    if (carried) client.cursorRow = carried;
    if (!whole) client.rows.push({ kind: KIND.CLOSE, time: rows.at(-1).time + 0.1, a: 1006 });
    return rows.at(-1).time;
  }
}

// One connection, played to its end; the model cuts it afterwards.
class Visit {
  constructor(model, client, server, time) {
    Object.assign(this, { model, client, server, time, rows: [], rejoined: new Map(), pending: client.pending, walkGaps: new Map() });
    const { rng } = model;
    const had = client.cursorRow;
    if (!had) this.mode = 'now';
    else if (client.pending || rng.chance(0.2)) this.mode = 'message';
    else if (client.retry.size > 0 || rng.chance(0.25)) this.mode = 'rejoin';
    else this.mode = 'query';
    this.cursorRow = had;
    if (this.mode === 'message') this.pending ??= had;
    this.lives = this.livesAt(this.mode === 'message' ? null : had);
  }

  push(kind, fields = {}) {
    const row = { kind, flags: 0, part: 0, time: this.time, ...fields };
    this.rows.push(row);
    return row;
  }

  // Which life of each partition the position stands in.
  livesAt(row) {
    const lives = Array(PARTITIONS).fill(0);
    const order = row ? row.cursor.server.order.slice(0, row.cursor.position) : this.server.order.slice(0, this.model.head(this.server, this.time));
    for (const record of order) lives[record.part] = Math.max(lives[record.part], record.life);
    return lives;
  }

  play(until) {
    const { model, server, mode, client } = this;
    const sends = mode === 'query' || mode === 'rejoin';
    this.push(KIND.CONNECT, { a: server.instance, b: server.incarnation, cursorRow: sends ? this.cursorRow : null });
    this.time += 3;
    const head = model.head(server, this.time);
    const main = new Set([...client.automatic, ...(mode === 'query' ? client.joined : [])]);
    const entry = sends ? model.enter(server, this.cursorRow.cursor) : { from: head, doubtful: head };
    this.push(KIND.CONNECTED, { flags: CURSOR, cursor: sends ? this.cursorRow.cursor : { server, position: head } });
    this.replay(main, entry, head, sends);
    if (mode === 'message') this.resumeByMessage(head);
    for (const room of client.requested) this.join(room, main, head);
    this.live(main, head, until);
  }

  replay(main, { from, doubtful, had }, head, sends) {
    this.had = had;
    for (let i = from; i < head; i++) {
      this.deliver(i, main, i < doubtful || !this.model.options.bare ? REDELIVERED : 0);
      if (i % 5 === 0 && i >= doubtful) this.push(KIND.CURSOR, { flags: CURSOR, cursor: this.cursorAt(i + 1) });
    }
    // A cursor of its own only where it covers what the one that was sent covered.
    const cursor = head >= doubtful ? { flags: CURSOR, cursor: this.cursorAt(head) } : {};
    if (sends) this.push(KIND.RESUMED, cursor);
    this.doubtful = doubtful;
  }

  // `had`: what this client had elsewhere already.
  cursorAt(position) {
    return { server: this.server, position, had: this.had };
  }

  resumeByMessage(head) {
    this.push(KIND.RESUME, { cursorRow: this.pending });
    const { client } = this;
    const rooms = new Set([...client.automatic, ...[...client.joined].filter((room) => !client.retry.has(room))]);
    const lives = this.lives;
    this.lives = this.livesAt(this.pending);
    this.walk(this.pending, rooms, head);
    this.lives = lives;
    this.push(KIND.RESUMED);
  }

  walk(cursorRow, rooms, to) {
    const own = this.walkGaps;
    this.walkGaps = new Map();
    for (let i = this.model.enter(this.server, cursorRow.cursor).from; i < to; i++) this.deliver(i, rooms, BACKFILL);
    this.walkGaps = own;
  }

  join(room, main, head) {
    const { client, mode } = this;
    if (mode === 'query' && client.joined.has(room)) return;
    const cursorRow = client.retry.get(room) ?? (client.joined.has(room) && mode === 'rejoin' ? this.cursorRow : null);
    // After a resume by message, the room was walked already.
    if (cursorRow) this.rejoined.set(room, cursorRow);
    this.push(KIND.JOIN, { a: room, cursorRow });
    this.time += 1;
    if (cursorRow) {
      const lives = this.lives;
      this.lives = this.livesAt(cursorRow);
      this.walk(cursorRow, new Set([room]), head);
      this.lives = lives;
    }
    this.push(KIND.JOINED, { a: room });
    main.add(room);
  }

  live(main, head, until) {
    const { server } = this;
    for (let i = head; i < server.order.length; i++) {
      if (server.visible[i] > until) break;
      this.time = Math.max(this.time, server.visible[i]);
      this.deliver(i, main, i < this.doubtful ? REDELIVERED : CURSOR);
    }
  }

  deliver(i, rooms, flags) {
    const { server, client } = this;
    const record = server.order[i];
    if (record.life > this.lives[record.part]) {
      this.gap(record.part, this.nextOffset(record.part, this.lives[record.part], i), NONE, 'recreated');
      this.lives[record.part] = record.life;
    }
    if (record.removed <= this.time && record.removed <= server.from && record.life === this.lives[record.part]) return this.trimmed(record);
    if (record.removed <= this.time && !(flags & CURSOR) && this.model.options.cold) return this.trimmed(record);
    if (!record.rooms.some((room) => rooms.has(room)) || (this.had?.has(record) && !(flags & BACKFILL))) return undefined;
    this.time += 0.1;
    const fields = { flags, part: record.part, a: record.n, b: record.offset, c: record.id, d: record.hash, record };
    if (flags & CURSOR) fields.cursor = this.cursorAt(i + 1);
    client.got ??= true;
    return this.push(KIND.EVENT, fields);
  }

  nextOffset(part, life, end) {
    let next = 0;
    for (const record of this.server.order.slice(0, end)) if (record.part === part && record.life === life && record.removed > this.time) next = record.offset + 1;
    return next;
  }

  // Records that are gone: one gap for the range, as often as it is met.
  trimmed(record) {
    const removal = this.model.removals.find((r) => r.part === record.part && r.life === record.life);
    if (removal.before === NONE) {
      const row = this.gap(record.part, record.offset, NONE, 'recreated');
      this.lives[record.part] = Math.max(this.lives[record.part], record.life + 1);
      return row;
    }
    return this.gap(record.part, record.offset, removal.before, 'retention');
  }

  gap(part, from, to, reason) {
    this.time += 0.1;
    const last = this.walkGaps.get(part);
    if (last && last.reason === reason && last.to === to) return last; // one hole is told once, however many records were in it
    const row = this.push(KIND.GAP, { part, a: from, b: to, to, reason });
    this.walkGaps.set(part, row);
    return row;
  }
}

/* A run as the checker takes it. */
export function pack(run) {
  const events = new Events();
  for (const event of run.events) {
    events.invoke({ ...event, time: event.time * TICKS });
    events.end(event.n, event.state, (event.time + 3) * TICKS, event.state === STATE.OK ? event.offset : NONE);
  }
  const truth = new Truth();
  for (const { part, life, offset, n, hash } of run.records) truth.add(part, life, offset, n, hash);
  for (const { part, life, before, time } of run.removals) truth.remove(part, life, before, time);
  truth.finish();
  return { topics: ['notes'], rooms: ROOM_NAMES, events, truth, lives: run.lives, heals: run.heals, born: run.born, clients: run.clients.map(packClient) };
}

function packClient(client) {
  const notes = [];
  const note = (text) => notes.push(text ?? '') - 1;
  const rows = new Rows();
  const indexes = new Map(client.rows.map((row, i) => [row, i]));
  for (const row of client.rows) {
    const c = row.kind === KIND.GAP ? note(row.reason) : [KIND.ERROR, KIND.CLOSE].includes(row.kind) ? note(row.text) : row.kind === KIND.EVENT ? row.c : indexes.get(row.cursorRow) ?? NONE;
    rows.push(row.kind, row.flags ?? 0, row.part ?? 0, Math.round(row.time * TICKS), row.a ?? 0, row.b ?? 0, c, row.d ?? 0);
  }
  return { name: client.name, anonymous: client.anonymous, automatic: client.automatic, requested: client.requested, rows: () => rows.all(), notes: () => notes };
}
