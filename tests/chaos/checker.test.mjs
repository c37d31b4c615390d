// The checker checked: histories of a small correct server are not accused, and one spoiled in a single place is, by the
// rule made for it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check, report } from './checker.mjs';
import { Events, FLAG, KIND, NONE, STATE, Truth } from './history.mjs';
import { makeRun, pack, PARTITIONS } from './model.mjs';

const { REDELIVERED, BACKFILL, CURSOR } = FLAG;
const COLD = { recreate: true, trim: true, cold: true, kill: true };

// --- finding a place to spoil

const events = (client) => client.rows.filter((row) => row.kind === KIND.EVENT);
const referred = (client) => new Set(client.rows.map((row) => row.cursorRow).filter(Boolean));
const times = (client, record) => events(client).filter((row) => row.record === record).length;

function connections(client) {
  const found = [];
  for (const row of client.rows) {
    if (row.kind === KIND.CONNECT) found.push([]);
    found.at(-1).push(row);
  }
  return found;
}

// Events that came once, are nobody's last cursor, and have one room.
const single = (client) => {
  const kept = referred(client);
  return events(client).filter((row) => row.record.rooms.length === 1 && times(client, row.record) === 1 && !kept.has(row));
};

const sameLine = (a, b) => a.record.part === b.record.part && a.record.life === b.record.life && a.record.rooms[0] === b.record.rooms[0];

function remove(client, rows) {
  const gone = new Set(rows);
  client.rows = client.rows.filter((row) => !gone.has(row));
}

const insertAfter = (client, row, ...added) => client.rows.splice(client.rows.indexOf(row) + 1, 0, ...added);

function swap(a, b) {
  for (const name of ['a', 'b', 'c', 'd', 'record', 'part']) [a[name], b[name]] = [b[name], a[name]];
  a.time = Math.max(a.time, b.time);
  b.time = a.time;
}

// The first of `list` for which `probe` gives something.
function first(list, probe) {
  for (const item of list) {
    const found = probe(item);
    if (found) return found;
  }
  return null;
}

const forClient = (run, probe) => first(run.clients, (client) => probe(client, run));

// Two rows of one connection with the same partition and room, the wanted flags, and nothing of that line between them.
function neighbours(client, { flags, sameKey = false }, run) {
  const kept = referred(client);
  return first(connections(client), (rows) => {
    const line = rows.filter((row) => row.kind === KIND.EVENT && row.record.rooms.length === 1 && times(client, row.record) === 1 && (row.flags & (CURSOR | BACKFILL)) === flags && !kept.has(row));
    return first(line, (row) => {
      const next = line[line.indexOf(row) + 1];
      if (!next || !sameLine(row, next)) return null;
      return !sameKey || run.events[row.a].key === run.events[next.a].key ? [row, next] : null;
    });
  });
}

const declaredLost = (run) => check(pack(run)).summary.declaredLost;

// The event that brought the cursor comes again, marked: where it was minted, or `elsewhere`.
const leadBack = (elsewhere) => (run) => forClient(run, (client) => first(connections(client).slice(1), (rows) => {
  if (!rows[0].cursorRow || client.rows.some((row) => row.kind === KIND.RESUME) || rows.length < 3) return null;
  const carrier = connections(client).find((list) => list.includes(rows[0].cursorRow));
  if (elsewhere !== (carrier[0].a !== rows[0].a)) return null;
  const before = client.rows.slice(0, client.rows.indexOf(rows[0].cursorRow) + 1).filter((row) => row.kind === KIND.EVENT && !(row.flags & BACKFILL));
  const covered = before.at(-1);
  if (!covered || covered !== rows[0].cursorRow || times(client, covered.record) > 1) return null;
  insertAfter(client, rows[1], { ...covered, flags: REDELIVERED, time: rows[1].time });
  return true;
}));

function onSocketIo(run) {
  for (const client of run.clients) client.anonymous = true;
  return run;
}

// --- the faults: each spoils a run and returns true, or finds no place for it and returns nothing

const FAULTS = [
  ['an event in the midst of a connection is left out', ['loss'], {}, (run) => forClient(run, (client) => first(connections(client), (rows) => {
    const live = rows.filter((row) => single(client).includes(row) && row.flags & CURSOR);
    const middle = live.find((row) => {
      const line = live.filter((other) => sameLine(row, other));
      return line.indexOf(row) > 0 && line.indexOf(row) < line.length - 1;
    });
    if (!middle) return null;
    remove(client, [middle]);
    return true;
  }))],
  ['a resume starts too late', ['resume-skips'], {}, (run) => forClient(run, (client) => first(connections(client).slice(1), (rows) => {
    if (!rows[0].cursorRow) return null;
    const own = single(client);
    const row = rows.find((candidate) => own.includes(candidate) && !(candidate.flags & BACKFILL));
    if (!row) return null;
    const line = events(client).filter((other) => sameLine(row, other) && other.record.rooms.length === 1);
    const at = line.indexOf(row);
    if (at < 1 || at > line.length - 2 || rows.includes(line[at - 1]) || client.automatic.indexOf(row.record.rooms[0]) < 0) return null;
    if (line[at - 1].record.offset > row.record.offset || line[at + 1].record.offset < row.record.offset) return null;
    remove(client, [row]);
    return true;
  }))],
  ['the last event never comes', ['loss'], {}, (run) => forClient(run, (client) => {
    const last = events(client).at(-1);
    if (!single(client).includes(last)) return null;
    remove(client, [last]);
    return true;
  })],
  ['a partition is never read', ['loss', 'resume-skips'], { quiet: true }, (run) => {
    const [client] = run.clients;
    remove(client, events(client).filter((row) => row.part === 2));
    return true;
  }],
  ['an event is missing from a backfill', ['loss', 'resume-skips'], {}, (run) => forClient(run, (client) => {
    const row = single(client).find((candidate) => candidate.flags & BACKFILL && candidate.record.offset > 3);
    if (!row) return null;
    remove(client, [row]);
    return true;
  })],
  ['two live events change places', ['order', 'key-order'], {}, (run) => forClient(run, (client) => {
    const pair = neighbours(client, { flags: CURSOR });
    if (pair) swap(...pair);
    return pair;
  }), ['order']],
  ['two events of a key change places', ['order', 'key-order'], {}, (run) => forClient(run, (client) => {
    const pair = neighbours(client, { flags: CURSOR, sameKey: true }, run);
    if (pair) swap(...pair);
    return pair;
  }), ['key-order']],
  ['two events of a backfill change places', ['order', 'key-order'], {}, (run) => forClient(run, (client) => {
    const pair = neighbours(client, { flags: BACKFILL });
    if (pair) swap(...pair);
    return pair;
  }), ['order']],
  ['a marked repeat goes back within a connection', ['order-in-connection'], { quiet: true }, (run) => forClient(run, (client) => {
    const [early, ...later] = events(client).filter((row) => row.part === 1 && row.flags & CURSOR);
    if (later.length < 3) return null;
    insertAfter(client, later[2], { ...early, time: later[2].time, flags: REDELIVERED });
    return true;
  })],
  ['an event comes that nobody produced', ['phantom'], {}, (run) => forClient(run, (client) => {
    const row = events(client)[5];
    insertAfter(client, row, { ...row, a: 99999, b: 77777, flags: 0 });
    return true;
  })],
  ['an event comes whose production failed', ['phantom'], {}, (run) => forClient(run, (client) => {
    const failed = run.events.find((event) => event.state === STATE.FAIL);
    if (!failed) return null;
    const row = events(client).at(-1);
    insertAfter(client, row, { ...row, a: failed.n, b: 5000, flags: CURSOR });
    return true;
  })],
  ['an event comes before it is produced', ['phantom'], { quiet: true }, (run) => forClient(run, (client) => {
    const rows = events(client);
    rows[6].time = rows[6].record.at - 30;
    return true;
  })],
  ['a byte of a payload changes', ['payload'], {}, (run) => forClient(run, (client) => {
    events(client)[3].d ^= 1;
    return true;
  })],
  ['two events have each other\'s ids', ['id-payload'], { quiet: true }, (run) => forClient(run, (client) => {
    const [a, b] = events(client).filter((row) => row.part === 0).slice(4, 6);
    [a.b, b.b] = [b.b, a.b];
    return true;
  }), ['id-payload'], ['loss', 'order']],
  ['an event has another id on another connection', ['id-unstable'], {}, (run) => forClient(run, (client) => {
    const repeat = events(client).find((row) => times(client, row.record) > 1);
    if (repeat) repeat.c ^= 0xff;
    return repeat;
  })],
  ['the same id for the same offset of a topic that was made again', ['id-ambiguous'], { recreate: true }, (run) => {
    const received = new Set(run.clients.flatMap(events).map((row) => row.record));
    const later = run.records.find((r) => r.life === 1 && received.has(r) && run.records.some((o) => o.life === 0 && o.part === r.part && o.offset === r.offset && received.has(o)));
    if (!later) return null;
    const earlier = run.records.find((r) => r.life === 0 && r.part === later.part && r.offset === later.offset);
    for (const row of run.clients.flatMap(events)) if (row.record === later) row.c = earlier.id;
    return true;
  }],
  ['an event comes to somebody whom it does not concern', ['foreign'], {}, (run) => forClient(run, (client) => {
    const mine = [...client.automatic, ...client.requested];
    const record = run.records.find((r) => r.at > 1000 && !r.rooms.some((room) => mine.includes(room)));
    const row = events(client).find((candidate) => candidate.time > record.at + 100);
    insertAfter(client, row, { kind: KIND.EVENT, flags: BACKFILL, time: row.time, part: record.part, a: record.n, b: record.offset, c: record.id, d: record.hash, record });
    return true;
  })],
  ['a repeat on another instance is not marked', ['repeat-unmarked'], {}, (run) => forClient(run, (client) => first(connections(client).slice(1), (rows) => {
    if (!rows[0].cursorRow) return null;
    const before = client.rows.slice(0, client.rows.indexOf(rows[0].cursorRow) + 1);
    const repeat = rows.find((row) => row.flags === REDELIVERED && before.some((other) => other.record === row.record));
    const fresh = client.rows.some((row) => row.kind === KIND.RESUME);
    if (!repeat || fresh) return null;
    repeat.flags = 0;
    return true;
  }))],
  ['an event comes twice in a row', ['repeat-unmarked'], {}, (run) => forClient(run, (client) => {
    const row = events(client).find((candidate) => candidate.flags === CURSOR);
    insertAfter(client, row, { ...row });
    return true;
  })],
  ['what came after the last cursor comes again unmarked', ['repeat-unmarked-tail'], { bare: true, hop: false }, () => true],
  ['a cursor leads back on its own instance', ['not-exact'], { hop: false }, leadBack(false)],
  ['a cursor leads a client of Socket.IO back on its own instance', ['not-exact'], { hop: false }, (run) => leadBack(false)(onSocketIo(run))],
  ['a cursor leads back on another instance', ['not-exact'], { sharp: true, exactParts: PARTITIONS }, leadBack(true)],
  ['what an instance handed out long ago comes to who connects anew', ['repeat-unmarked'], { hop: false, news: 100 }, (run) => forClient(run, (client) => first(connections(client).slice(1), (rows) => {
    const old = single(client).find((row) => row.flags & CURSOR && row.time < rows[0].time - 200);
    if (rows[0].cursorRow || rows.length < 3 || !old) return null;
    insertAfter(client, rows[1], { ...old, time: rows[1].time });
    return true;
  }))],
  ['a gap is not declared', ['loss', 'resume-skips', 'recreation-undeclared'], COLD, (run) => {
    if (declaredLost(run) === 0) return null;
    for (const client of run.clients) remove(client, client.rows.filter((row) => row.kind === KIND.GAP && row.reason === 'recreated'));
    return true;
  }, ['recreation-undeclared']],
  ['what retention took is not declared', ['loss', 'resume-skips'], { trim: true, cold: true }, (run) => {
    if (declaredLost(run) === 0) return null;
    for (const client of run.clients) remove(client, client.rows.filter((row) => row.kind === KIND.GAP));
    return true;
  }],
  ['a gap is one event too narrow', ['loss', 'resume-skips'], { trim: true, cold: true }, (run) => forClient(run, (client) => {
    const mine = [...client.automatic];
    const had = new Set(events(client).map((row) => row.record));
    const gaps = client.rows.filter((row) => row.kind === KIND.GAP);
    const lost = run.records.filter((r) => !had.has(r) && r.rooms.some((room) => mine.includes(room)) && gaps.some((g) => g.part === r.part && g.a <= r.offset && r.offset < g.b) && r.at > 200);
    if (lost.length === 0) return null;
    for (const gap of gaps) if (gap.part === lost[0].part && gap.a <= lost[0].offset) gap.a = lost[0].offset + 1;
    return true;
  })],
  ['a gap declares what is there', ['gap-unjustified'], {}, (run) => forClient(run, (client) => {
    const row = single(client).find((candidate) => candidate.flags & CURSOR);
    if (!row) return null;
    insertAfter(client, row, { kind: KIND.GAP, flags: 0, part: row.part, time: row.time, a: row.b, b: row.b + 1, reason: 'evicted' });
    remove(client, [row]);
    return true;
  })],
  ['a gap is told twice', ['gap-twice'], COLD, (run) => forClient(run, (client) => {
    const gap = client.rows.find((row) => row.kind === KIND.GAP && row.reason === 'recreated');
    const rows = gap && connections(client).find((list) => list.includes(gap));
    if (!rows || rows.some((row) => row.kind === KIND.RESUME || (row.kind === KIND.JOIN && row.cursorRow))) return null;
    insertAfter(client, gap, { ...gap });
    return true;
  })],
  ['what retention took is told twice, in parts', ['gap-twice'], { trim: true, cold: true }, (run) => forClient(run, (client) => {
    const gap = client.rows.find((row) => row.kind === KIND.GAP && row.b > row.a + 1);
    const rows = gap && connections(client).find((list) => list.includes(gap));
    if (!rows || rows.some((row) => row.kind === KIND.RESUME || (row.kind === KIND.JOIN && row.cursorRow))) return null;
    insertAfter(client, gap, { ...gap, a: gap.b - 1, to: undefined });
    return true;
  })],
  ['a gap comes again although the cursor is from behind it', ['gap-twice'], { trim: true, cold: true, hop: false }, (run) => forClient(run, (client) => first(connections(client).slice(1), (rows) => {
    if (!rows[0].cursorRow || rows.some((row) => [KIND.RESUME, KIND.GAP].includes(row.kind) || (row.kind === KIND.JOIN && row.cursorRow))) return null;
    const before = connections(client)[connections(client).findIndex((list) => list.includes(rows[0])) - 1];
    const gap = before.find((row) => row.kind === KIND.GAP);
    if (!gap || before.indexOf(rows[0].cursorRow) < before.indexOf(gap) || rows[0].cursorRow.kind !== KIND.EVENT) return null;
    insertAfter(client, rows[1], { ...gap, time: rows[1].time });
    return true;
  }))],
  ['a gap has no end', ['gap-malformed'], { trim: true, cold: true }, (run) => forClient(run, (client) => {
    insertAfter(client, events(client)[3], { kind: KIND.GAP, flags: 0, part: 0, time: events(client)[3].time, a: 3, b: NONE, reason: 'retention' });
    return true;
  })],
  ['a gap has a reason that nobody knows', ['gap-malformed'], {}, (run) => forClient(run, (client) => {
    insertAfter(client, events(client)[3], { kind: KIND.GAP, flags: 0, part: 0, time: events(client)[3].time, a: 0, b: 0, reason: 'weather' });
    return true;
  })],
  ['a topic is made again and nobody says so, though nothing is lost', ['recreation-undeclared'], { recreate: true, quiet: true }, (run) => {
    for (const client of run.clients) remove(client, client.rows.filter((row) => row.kind === KIND.GAP));
    return true;
  }],
  ['somebody catches up after half a minute', ['late'], {}, (run) => forClient(run, (client) => {
    const last = events(client).at(-1);
    for (const row of client.rows.slice(client.rows.indexOf(last))) row.time += 31_000;
    return true;
  })],
  ['a resume is never said to be complete', ['resumed-missing'], {}, (run) => forClient(run, (client) => {
    const rows = connections(client).at(-1);
    const asked = rows[0].cursorRow || rows.some((row) => row.kind === KIND.RESUME);
    if (!asked) return null;
    remove(client, rows.filter((row) => row.kind === KIND.RESUMED && !referred(client).has(row)));
    return true;
  })],
  ['connected has no cursor', ['cursor-missing'], {}, (run) => forClient(run, (client) => {
    const row = client.rows.find((candidate) => candidate.kind === KIND.CONNECTED && !referred(client).has(candidate));
    if (row) row.flags = 0;
    return row;
  })],
  ['a cursor is too long', ['cursor-long'], {}, (run) => forClient(run, (client) => {
    client.rows.find((row) => row.flags & CURSOR).flags |= FLAG.LONG_CURSOR;
    return true;
  })],
  ['events come for a second and carry no cursor', ['cursor-stale'], { quiet: true, silence: 1000 }, (run) => forClient(run, (client) => {
    for (const row of events(client)) row.flags &= ~CURSOR;
    return true;
  })],
  ['a resume is answered with an error', ['error-answer'], {}, (run) => forClient(run, (client) => {
    insertAfter(client, events(client)[2], { kind: KIND.ERROR, flags: 0, time: events(client)[2].time, text: 'unknown_type resume' });
    return true;
  })],
  ['an upgrade is answered with something else', ['upgrade-broken'], {}, (run) => forClient(run, (client) => {
    const cut = client.rows.find((row) => row.kind === KIND.CLOSE);
    insertAfter(client, cut, { kind: KIND.CONNECT, flags: 0, time: cut.time, a: 0, b: 0 }, { kind: KIND.CLOSE, flags: 0, time: cut.time, a: 0, text: 'upgrade: no HTTP' });
    return true;
  })],
  ['a client is never let in', ['never-connected'], {}, (run) => {
    run.clients[0].rows = [{ kind: KIND.CONNECT, flags: 0, time: 5, a: 0, b: 0 }, { kind: KIND.CLOSE, flags: 0, time: 6, a: 1013 }];
    return true;
  }],
  ['a new partition is seen after ten seconds', ['late-partition'], { count: 1500 }, (run) => {
    run.born = [{ part: 2, time: 0 }];
    for (const client of run.clients) remove(client, events(client).filter((row) => row.part === 2 && row.time < 11_000));
    return true;
  }, [], ['loss', 'resume-skips']],
  ['two dumps of the topic differ', ['truth'], {}, (run) => {
    run.records.push({ ...run.records[7], hash: 5 });
    return true;
  }],
  ['the topic holds what nobody produced', ['truth'], {}, (run) => {
    run.records.push({ ...run.records.at(-1), n: 99999, offset: run.records.at(-1).offset + 1 });
    return true;
  }],
  ['Kafka loses what it acknowledged', ['truth'], {}, (run) => {
    const received = new Set(run.clients.flatMap(events).map((row) => row.record));
    const lost = run.records.find((r) => !received.has(r) && run.events[r.n].state === STATE.OK);
    run.records = run.records.filter((r) => r !== lost);
    return lost;
  }],
];

const judge = (run, options) => check(pack(run), { cursorSilence: options.silence ?? 5000, exactParts: options.exactParts ?? 0, newsMs: options.news ?? 20_000 });

for (const [name, rules, options, spoil, needed = [], also = []] of FAULTS) {
  test(`caught: ${name}`, () => {
    let spoiled = 0;
    for (let seed = 1; seed <= 60 && spoiled < 3; seed++) {
      const run = makeRun(seed, options);
      if (!spoil(run)) continue;
      const verdict = judge(run, options);
      const found = Object.keys(verdict.counts);
      if (options.bare && found.length === 0) continue;
      spoiled++;
      assert.ok(found.some((rule) => rules.includes(rule)), `seed ${seed} was not accused of ${rules}:\n${report(verdict)}`);
      for (const rule of needed) assert.ok(found.includes(rule), `seed ${seed} was not accused of ${rule}:\n${report(verdict)}`);
      const astray = found.filter((rule) => !rules.includes(rule) && !also.includes(rule));
      assert.deepEqual(astray, [], `seed ${seed} was accused of too much:\n${report(verdict)}`);
    }
    assert.ok(spoiled > 0, 'no history had a place for this fault');
  });
}

const GOOD = {
  'one instance, nobody is cut': { hop: false, quiet: true },
  'one instance, cuts': { hop: false },
  'two instances, cuts': {},
  'an instance is killed': { kill: true },
  'the topic is made again': { recreate: true },
  'the topic is made again while clients are away': { recreate: true, cold: true },
  'records are deleted while clients are away': { trim: true, cold: true },
  'all of it': COLD,
  'two instances, exact everywhere': { sharp: true, exactParts: PARTITIONS },
  'an instance is killed, exact everywhere': { sharp: true, kill: true, exactParts: PARTITIONS },
  'two instances, a partition that is new': { born: true, exactParts: PARTITIONS },
  'two instances, more partitions than a cursor surely has room for': { exactParts: PARTITIONS - 1 },
};

for (const [name, options] of Object.entries(GOOD)) {
  test(`not accused: ${name}, five histories`, () => {
    for (let seed = 101; seed <= 105; seed++) {
      const verdict = judge(makeRun(seed, options), options);
      assert.ok(verdict.ok, `seed ${seed}:\n${report(verdict)}`);
    }
  });
}

test('not accused: what a client of Socket.IO gets twice on another instance', () => {
  const options = { sharp: true, exactParts: PARTITIONS };
  const runs = Array.from({ length: 20 }, (_, seed) => onSocketIo(makeRun(seed, options))).filter(leadBack(true));
  assert.ok(runs.length > 0);
  for (const run of runs) assert.ok(judge(run, options).ok, report(judge(run, options)));
});

test('the good histories hold what could be mistaken for a fault', () => {
  const sum = {};
  for (let seed = 101; seed <= 105; seed++) {
    for (const [name, value] of Object.entries(judge(makeRun(seed, COLD), COLD).summary)) {
      if (typeof value === 'number') sum[name] = (sum[name] ?? 0) + value;
    }
  }
  for (const name of ['repeatsRedelivered', 'repeatsBackfill', 'markedButFirst', 'declaredLost', 'exactResumes', 'resumeMessages', 'joinsWithCursor']) {
    assert.ok(sum[name] > 0, `${name} is ${sum[name]}`);
  }
});

test('every rule is shown to work', () => {
  const shown = new Set(FAULTS.flatMap(([, rules]) => rules));
  assert.ok(FAULTS.length >= 20);
  return import('./checker.mjs').then(({ RULES }) => assert.deepEqual(Object.keys(RULES).filter((rule) => !shown.has(rule)), []));
});

// --- a gap leads from the life of the cursor that its walk began at

/* A partition lives three lives. The client has the first record of the first life, and the cursor of it; by a resume that is
   cut it gets the first record of the second. Life 2 it gets by what `rows` says. Three records stand in each life. */
function threeLives(rows) {
  const events = new Events();
  const truth = new Truth();
  const made = [NONE, 1000, 2000];
  for (let life = 0; life < 3; life++) {
    for (let offset = 0; offset < 3; offset++) {
      const n = events.invoke({ key: 0, seq: life * 3 + offset, part: 0, life, rooms: [0], time: 100 + life * 1000 + offset });
      events.end(n, STATE.OK, 100 + life * 1000 + offset, offset);
      truth.add(0, life, offset, n, 7);
    }
    if (life < 2) truth.remove(0, life, NONE, made[life + 1]);
  }
  const notes = ['message', 'recreated'];
  const event = (time, life, offset, flags) => [KIND.EVENT, flags, time, life * 3 + offset, offset, life + 1, 7];
  const gap = (time, from) => [KIND.GAP, 0, time, from, NONE, 1, 0];
  const connect = (time) => [KIND.CONNECT, 0, time, 0, time, NONE, 0];
  const all = [
    connect(50), [KIND.CONNECTED, CURSOR, 51, 0, 0, 0, 0], event(150, 0, 0, CURSOR), [KIND.CLOSE, 0, 200, 1006, 0, 0, 0],
    connect(1500), [KIND.CONNECTED, CURSOR, 1501, 0, 0, 0, 0], [KIND.RESUME, 0, 1502, 0, 0, 2, 0],
    gap(1503, 1), event(1504, 1, 0, BACKFILL), [KIND.CLOSE, 0, 1505, 1006, 0, 0, 0],
    connect(2500), [KIND.CONNECTED, CURSOR, 2501, 0, 0, 0, 0], ...rows({ event, gap }),
  ];
  const client = {
    name: 'client', automatic: [0], requested: [], notes: () => notes,
    rows: () => Uint32Array.from(all.flatMap(([kind, flags, ...numbers]) => [kind | (flags << 8), ...numbers])),
  };
  return check({ topics: ['notes'], rooms: ['room'], events, truth: truth.finish(), clients: [client], lives: new Map([[0, made.slice(1)]]), heals: [], born: [] });
}

const resumeAt = (row) => [KIND.RESUME, 0, 2502, 0, 0, row, 0];
const RESUMED = [KIND.RESUMED, 0, 2600, 0, 0, 0, 0];

test('a life that a cut resume had brought a part of is declared by the gap from the cursor on', () => {
  const { counts } = threeLives(({ event, gap }) => [
    resumeAt(2), event(2503, 2, 2, CURSOR), gap(2504, 1), event(2505, 2, 0, BACKFILL), event(2506, 2, 1, BACKFILL), RESUMED,
  ]);
  assert.deepEqual(counts, {});
});

test('but not by one that comes after that resume, or when the cursor is of that life', () => {
  const late = threeLives(({ event, gap }) => [
    resumeAt(2), event(2503, 2, 2, CURSOR), event(2505, 2, 0, BACKFILL), event(2506, 2, 1, BACKFILL), RESUMED, gap(2700, 3),
  ]);
  assert.ok(late.counts.loss || late.counts['resume-skips'], report(late));
  const ofIt = threeLives(({ event, gap }) => [
    resumeAt(8), event(2503, 2, 2, CURSOR), gap(2504, 3), event(2505, 2, 0, BACKFILL), event(2506, 2, 1, BACKFILL), RESUMED,
  ]);
  assert.ok(ofIt.counts.loss || ofIt.counts['resume-skips'], report(ofIt));
});

test('each walk may tell of the end of each life, but not once more', () => {
  const ends = (count) => threeLives(({ event, gap }) => [
    resumeAt(2), ...Array.from({ length: count }, (_, i) => gap(2503, 1 - (i % 2))),
    event(2505, 2, 0, BACKFILL), event(2506, 2, 1, BACKFILL), event(2507, 2, 2, BACKFILL), RESUMED,
  ]).counts;
  assert.deepEqual(ends(4), {}); // the connection's own walk, and the one of the resume: two lives each
  assert.deepEqual(ends(5), { 'gap-twice': 1 });
});
