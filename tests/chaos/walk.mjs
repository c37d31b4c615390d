// One client's history, row by row, and then what is missing from it.
import { FLAG, KIND, NONE, NO_ROOM, STATE, TICKS, WORDS } from './history.mjs';

const REASONS = new Set(['retention', 'truncated', 'recreated', 'evicted', 'cursor']);
const STARTS_OVER = new Set(['recreated', 'truncated']);
// What may be answered while something is away; anything else was the client's right to ask.
const EXCUSED_ERRORS = /^(unavailable)\b/;
const DEALT_WITH = NONE - 1;

export class ClientWalk {
  constructor(run, client) {
    this.run = run;
    this.client = client;
    this.words = client.rows();
    this.notes = client.notes?.() ?? [];
    this.rowCount = this.words.length / WORDS;
    this.firstRow = run.firstRow.fill(NONE);
    this.lastRow = run.lastRow.fill(NONE);
    this.member = new Uint8Array(run.rooms.length);
    for (const room of [...client.automatic, ...client.requested]) this.member[room] = 1;
    this.connections = [];
    this.since = NONE; // when the first `connected` came
    this.joined = new Map(); // room -> when it was joined first
    this.mainFirst = new Map(); // part -> lowest record that came outside a backfill
    this.mainLast = new Map(); // part -> last first receipt outside a backfill
    this.backfillLast = new Map(); // part and room -> last first receipt within one
    this.keyLast = new Map(); // key -> record, outside a backfill
    this.keyLastBackfill = new Map(); // key and room -> record, within one
    this.lifeSeen = new Map(); // part -> life of the latest receipt
    this.lifeChanges = new Map(); // part -> [{row, life}]: since when
    this.startedOver = new Map(); // part -> a gap said so since the latest receipt of an older life
    this.gaps = new Map(); // part -> gaps
    this.cursorAt = 0;
  }

  accuse(rule, rows, text, weight) {
    this.run.accuse(rule, { client: this.client.name, rows, text, weight });
  }

  walk() {
    const handlers = {
      [KIND.CONNECT]: this.onConnect, [KIND.CONNECTED]: this.onConnected, [KIND.EVENT]: this.onEvent, [KIND.GAP]: this.onGap,
      [KIND.RESUME]: this.onResume, [KIND.RESUMED]: this.onResumed, [KIND.JOIN]: this.onJoin, [KIND.JOINED]: this.onJoined,
      [KIND.ERROR]: this.onError, [KIND.CLOSE]: this.onClose,
    };
    for (let row = 0; row < this.rowCount; row++) {
      const at = row * WORDS;
      const head = this.words[at];
      this.row = row;
      this.flags = (head >>> 8) & 0xff;
      this.part = head >>> 16;
      this.time = this.words[at + 1];
      if (this.flags & FLAG.CURSOR) this.onCursor();
      handlers[head & 0xff]?.call(this, this.words[at + 2], this.words[at + 3], this.words[at + 4], this.words[at + 5]);
    }
    this.checkMissing();
    this.checkEnd();
  }

  onCursor() {
    this.cursorAt = this.time;
    if (this.flags & FLAG.LONG_CURSOR) this.accuse('cursor-long', [this.row], 'a cursor of more than 64 bytes');
  }

  onConnect(instance, incarnation, cursorRow) {
    const { run } = this;
    const resumes = cursorRow !== NONE;
    const carrier = resumes ? this.connectionOf(cursorRow) : null;
    const repeated = resumes && (this.words[cursorRow * WORDS] & 0xff) === KIND.CONNECTED && carrier.cursorRow !== NONE;
    const minted = repeated ? carrier.minted : { by: carrier, time: resumes ? this.placeOf(cursorRow, carrier) : 0 };
    const same = resumes && minted.by.instance === instance && minted.by.incarnation === incarnation;
    // By its position, when all was walked where it was minted; else by its offsets, wherever there was room for them. Those of
    // Socket.IO stand behind a batch, and may be short of it: after a reconnect an event may come twice (docs/SOCKETIO.md).
    const placed = same && minted.by.placed && run.producedBetween(minted.time, this.time) <= run.options.exactRecords;
    const exact = placed || (resumes && !this.client.anonymous && run.isExactAnywhere(minted.time, this.time));
    this.connection = {
      row: this.row, time: this.time, instance, incarnation, cursorRow, minted, exact, last: new Map(), resumed: false, asked: resumes, sides: 0,
      walks: new Map(), // what began at a cursor and is not over: 'resume' or a room -> row of the cursor
      placed: placed || !resumes, joins: new Set(),
      tails: resumes ? this.tailsOf(carrier, cursorRow, repeated) : [],
      root: resumes ? carrier.root : this.row, // what came before it, no cursor since can be held to
    };
    this.connections.push(this.connection);
    // Without a cursor it starts from what this instance calls now, which may be earlier than another's.
    if (!resumes) {
      this.mainLast.clear();
      this.keyLast.clear();
    }
    this.cursorAt = NONE;
    run.summary.connects++;
    if (resumes) run.summary.resumes++;
    if (exact) run.summary.exactResumes++;
  }

  // From when the events are that a cursor stands at: in a replay they are older than the cursor.
  placeOf(cursorRow, carrier) {
    for (let row = cursorRow; row > carrier.row; row--) {
      const n = this.words[row * WORDS + 2];
      if ((this.words[row * WORDS] & 0xff) === KIND.EVENT) return Math.min(this.timeOf(cursorRow), this.run.events.invoked[n] ?? 0);
    }
    return this.timeOf(cursorRow);
  }

  // Rows before a cursor that it does not cover all the same: what had come after the last cursor before a cut. On a resumed
  // connection `connected` repeats the cursor that was sent, and covers no more.
  tailsOf(carrier, cursorRow, repeated) {
    const { tails } = carrier;
    return repeated ? [...tails.slice(0, -1), [tails.at(-1)[0], this.row]] : [...tails, [cursorRow + 1, this.row]];
  }

  // Was this row's event before the cursor that the connection was opened with?
  isCovered(row) {
    const { tails, root } = this.connection;
    if (row < root) return false;
    let low = 0;
    let high = tails.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (tails[middle][1] <= row) low = middle + 1;
      else high = middle;
    }
    return low < tails.length && row < tails[low][0];
  }

  onConnected() {
    if (this.since === NONE) this.since = this.time;
    this.cursorAt = this.time;
    if (!(this.flags & FLAG.CURSOR) && !this.client.anonymous) this.accuse('cursor-missing', [this.row], 'connected without a cursor');
  }

  // --- events

  onEvent(n, offset, idHash, hash) {
    const { run } = this;
    run.summary.deliveries++;
    const anonymous = (this.flags & FLAG.ANONYMOUS) !== 0;
    const r = anonymous ? this.recognize(n, hash) : this.identify(n, offset, hash);
    if (r < 0) return;
    if (!anonymous) this.checkId(r, idHash);
    this.checkEntitled(r, n);
    const repeat = this.firstRow[r] !== NONE;
    const backfill = anonymous ? this.mayBeBackfill(r, n) : (this.flags & FLAG.BACKFILL) !== 0;
    if (!backfill) this.checkConnectionOrder(r);
    if (repeat) this.onRepeat(r, backfill);
    else this.onFirst(r, n, backfill);
    this.lastRow[r] = this.row;
    this.noteLife(run.truth.life[r]);
    if (!backfill) this.checkCursorAge();
  }

  noteLife(life) {
    const { part, row } = this;
    if (life < (this.lifeSeen.get(part) ?? 0)) return;
    if (life !== this.lifeSeen.get(part)) this.lifeChanges.set(part, [...(this.lifeChanges.get(part) ?? []), { row, life }]);
    this.lifeSeen.set(part, life);
  }

  // The life from which a gap that comes now leads to the present one. A walk that began at a cursor, beside the connection's
  // own, knows no later one than the client had at that cursor, whatever came by another walk or by one that was cut.
  lifeBefore() {
    const { part, connection } = this;
    const seen = this.lifeSeen.get(part) ?? this.run.lifeAt(part, this.since);
    const at = [...connection.walks.values()].map((row) => (this.lifeChanges.get(part) ?? []).findLast((change) => change.row <= row)?.life);
    return Math.min(seen, ...at.map((life) => life ?? this.run.lifeAt(part, this.since)));
  }

  // Without an id: of the records with this payload the one that has not come yet, or whose last receipt is longest ago.
  recognize(n, hash) {
    const { run, lastRow } = this;
    if (n >= run.events.count || run.first[n] < 0) return this.identify(n, NONE, hash);
    let found = run.first[n];
    for (let r = run.other[found]; r >= 0; r = run.other[r]) {
      if (lastRow[found] !== NONE && (lastRow[r] === NONE || lastRow[r] < lastRow[found])) found = r;
    }
    this.part = run.truth.part[found];
    return this.identify(n, run.truth.offset[found], hash);
  }

  // Without a mark: what comes late for a room that this connection has asked for may be the beginning of that room.
  mayBeBackfill(r, n) {
    const { events } = this.run;
    if (r >= (this.mainLast.get(this.part) ?? 0)) return false;
    return [events.room0[n], events.room1[n], events.room2[n]].some((room) => this.connection.joins.has(room));
  }

  // The record of the dump that this is, or -1.
  identify(n, offset, hash) {
    const { run } = this;
    const { truth, events } = run;
    const said = run.where(this.part, 0, offset);
    if (n >= events.count || run.first[n] < 0) {
      this.accuse('phantom', [this.row], `${said} is event ${n}, which no topic holds`);
      return -1;
    }
    let r = run.first[n];
    while (r >= 0 && (truth.part[r] !== this.part || truth.offset[r] !== offset)) r = run.other[r];
    if (r < 0) {
      this.accuse('id-payload', [this.row], `the id says ${said}, the payload is event ${n} of ${run.place(run.first[n])}`);
      return -1;
    }
    if (truth.hash[r] !== hash) this.accuse('payload', [this.row], `${run.place(r)} came with another payload than was produced`);
    if (this.time < events.invoked[n]) this.accuse('phantom', [this.row], `${run.place(r)} came before it was produced`);
    return r;
  }

  checkId(r, idHash) {
    const { run } = this;
    if (!run.hasId[r]) {
      run.hasId[r] = 1;
      run.idOf[r] = idHash;
    } else if (run.idOf[r] !== idHash) {
      this.accuse('id-unstable', [this.row], `${run.place(r)} came as :${hex(idHash)}, elsewhere as :${hex(run.idOf[r])}`);
    }
  }

  checkEntitled(r, n) {
    const { events, rooms } = this.run;
    const audience = [events.room0[n], events.room1[n], events.room2[n]].filter((room) => room !== NO_ROOM);
    if (!audience.some((room) => this.member[room])) {
      this.accuse('foreign', [this.row], `${this.run.place(r)} is for ${audience.map((room) => rooms[room]).join(' and ')}`);
    }
  }

  checkConnectionOrder(r) {
    const { last } = this.connection;
    const before = last.get(this.part);
    if (before !== undefined && before > r && this.firstRow[r] !== NONE) {
      this.accuse('order-in-connection', [this.row], `${this.run.place(r)} after ${this.run.place(before)}`);
    }
    last.set(this.part, r);
  }

  onFirst(r, n, backfill) {
    const { run } = this;
    run.summary.firsts++;
    this.firstRow[r] = this.row;
    if (backfill) {
      this.checkBackfill(r, n);
    } else {
      this.checkOrder(r, n);
    }
    this.measure(r, n);
    if (this.time < run.bornSeen.get(this.part)) run.bornSeen.set(this.part, this.time);
    if (this.flags & (FLAG.REDELIVERED | FLAG.BACKFILL)) run.summary.markedButFirst++;
  }

  checkOrder(r, n) {
    const { part, run } = this;
    // Another instance may not know precisely where the client's "now" was, unless the cursor says it exactly.
    const vague = this.flags & FLAG.ANONYMOUS || (this.flags & FLAG.REDELIVERED && !this.connection.exact);
    if (vague && r < (this.mainFirst.get(part) ?? 0)) {
      run.summary.beforeStart++;
      return;
    }
    const last = this.mainLast.get(part);
    if (!this.mainFirst.has(part)) this.mainFirst.set(part, r);
    if (last > r) this.accuse('order', [this.firstRow[last], this.row], `${run.place(r)} came first after ${run.place(last)}`);
    if (last === undefined || last < r) this.mainLast.set(part, r);
    this.checkKey(r, n, this.keyLast, run.events.key[n]);
    const life = run.truth.life[r];
    // Who came without a cursor began with the life that was there: what he had before, the instance could not know.
    const beganWith = this.connection.cursorRow === NONE ? run.lifeAt(part, this.connection.time) : 0;
    if (life > Math.max(this.lifeSeen.get(part) ?? life, beganWith) && run.options.recreatedGap && !this.startedOver.get(part)) {
      this.accuse('recreation-undeclared', [this.row], `${run.place(r)} follows life ${this.lifeSeen.get(part)} without a gap`);
    }
    if (life > (this.lifeSeen.get(part) ?? life)) this.startedOver.set(part, false);
  }

  // A backfill ascends per partition and room. An event of several rooms may have come by the walk of any of them.
  checkBackfill(r, n) {
    const { events } = this.run;
    const rooms = [events.room0[n], events.room1[n], events.room2[n]].filter((room) => room !== NO_ROOM && this.member[room]);
    const lasts = rooms.map((room) => this.backfillLast.get(this.part * 65536 + room));
    if (rooms.length > 0 && lasts.every((last) => last !== undefined && last > r)) {
      this.accuse('order', [this.row], `backfill: ${this.run.place(r)} came first after ${this.run.place(Math.min(...lasts))}`);
    }
    if (rooms.length !== 1) return;
    this.backfillLast.set(this.part * 65536 + rooms[0], r);
    this.checkKey(r, n, this.keyLastBackfill, events.key[n] * 65536 + rooms[0]);
  }

  // By the producers' own numbers. Where the log itself has them the other way round, Kafka or a retry is the author.
  checkKey(r, n, lasts, name) {
    const { events, truth } = this.run;
    const last = lasts.get(name);
    if (last !== undefined && events.seq[truth.n[last]] > events.seq[n] && !(truth.part[last] === truth.part[r] && last < r)) {
      this.accuse('key-order', [this.firstRow[last], this.row], `key ${events.key[n]}: ${events.seq[n]} came first after ${events.seq[truth.n[last]]}`);
    }
    lasts.set(name, r);
  }

  measure(r, n) {
    const { run } = this;
    const ended = run.events.state[n] === STATE.OK ? run.events.ended[n] : NONE;
    if (ended === NONE) return;
    if (this.flags & FLAG.CURSOR) run.summary.latency.add(this.time - ended);
    const heal = run.heals.find(({ time }) => time >= ended);
    if (!heal || this.time <= heal.time || this.time > heal.until) return;
    const took = (this.time - heal.time) / TICKS;
    const figure = heal.strict ? 'catchUpMs' : 'catchUpDuringMs';
    if (took > run.summary[figure]) run.summary[figure] = took;
    if (heal.strict && took > run.options.catchUp) this.accuse('late', [this.row], `${run.place(r)} came ${(took / 1000).toFixed(1)} s after healing`);
  }

  onRepeat(r, backfill) {
    const { run, connection } = this;
    run.summary.repeats++;
    if (backfill) {
      run.summary.repeatsBackfill++;
      return;
    }
    const [first, last] = [this.firstRow[r], this.lastRow[r]];
    const covered = this.isCovered(first) || this.isCovered(last);
    if (this.flags & FLAG.ANONYMOUS) run.summary.repeatsAnonymous++;
    else if (this.flags & FLAG.REDELIVERED) run.summary.repeatsRedelivered++;
    else this.onUnmarked(r, last, covered);
    if (covered && connection.exact) {
      this.accuse('not-exact', [first, connection.cursorRow, connection.row, this.row],
        `${run.place(r)} came again from instance ${connection.instance}, though the cursor is from after it`);
    }
  }

  // Who connects without a cursor cannot be told what is a repeat; but what an instance handed to him long ago lies before
  // what it calls now.
  onUnmarked(r, last, covered) {
    const { run, connection } = this;
    const by = this.connectionOf(last);
    const longAgo = by.instance === connection.instance && by.incarnation === connection.incarnation
      && this.timeOf(last) < this.timeOf(connection.root) - run.options.newsMs * TICKS;
    if (last < connection.root && !longAgo) {
      run.summary.repeatsFresh++;
      return;
    }
    const tail = last >= connection.root && last < connection.row && !covered;
    this.accuse(tail ? 'repeat-unmarked-tail' : 'repeat-unmarked', [last, connection.row, this.row], `${run.place(r)} came again unmarked`);
  }

  checkCursorAge() {
    const { run } = this;
    if (this.cursorAt === NONE || this.time - this.cursorAt <= run.options.cursorSilence * TICKS) return;
    const previous = this.row > 0 ? this.words[(this.row - 1) * WORDS] & 0xff : 0;
    if (previous === KIND.EVENT && !(this.flags & FLAG.CURSOR) && this.time - this.timeOf(this.row - 1) < 1000 * TICKS) {
      this.accuse('cursor-stale', [this.row], `events for ${((this.time - this.cursorAt) / TICKS / 1000).toFixed(1)} s without a cursor`);
      this.cursorAt = this.time;
    }
  }

  // --- everything else

  onGap(from, to, reasonNote) {
    const { run } = this;
    const reason = this.notes[reasonNote] ?? '';
    run.summary.gaps[reason] = (run.summary.gaps[reason] ?? 0) + 1;
    if (!REASONS.has(reason) || from === NONE || (to === NONE && !STARTS_OVER.has(reason)) || (to !== NONE && to < from && !STARTS_OVER.has(reason))) {
      this.accuse('gap-malformed', [this.row], `from ${from} to ${to} because of "${reason}"`);
    }
    const lifeNow = run.lifeAt(this.part, this.time);
    const lifeBefore = this.lifeBefore();
    if (!this.gaps.has(this.part)) this.gaps.set(this.part, []);
    const gap = { row: this.row, time: this.time, from, to, startsOver: STARTS_OVER.has(reason), lifeNow, lifeBefore, connection: this.connection };
    this.checkToldOnce(gap);
    this.gaps.get(this.part).push(gap);
    if (STARTS_OVER.has(reason)) this.startedOver.set(this.part, true);
  }

  // Each walk of a connection, its own and those beside it, has its own holes, and tells of each once; of several lives that
  // ended, each is one. The next connection
  // is told again only when the cursor it comes with is from before that, or from elsewhere: there a gap, like an event, may
  // come again.
  checkToldOnce(gap) {
    const { connection } = this;
    const same = this.gaps.get(this.part).filter((other) => isSameHole(other, gap));
    const here = same.filter((other) => other.connection === connection);
    const lives = gap.startsOver ? Math.max(1, gap.lifeNow - gap.lifeBefore) : 1;
    const before = here.length >= (connection.sides + 1) * lives ? here.at(-1)
      : here.length === 0 && connection.sides === 0 && connection.exact ? same.findLast((other) => this.isCovered(other.row)) : undefined;
    if (before) this.accuse('gap-twice', [before.row, connection.row, gap.row], `${this.run.where(this.part, gap.lifeNow, gap.from)} was told missing twice`);
  }

  onResume(_a, _b, cursorRow) {
    this.connection.asked = true;
    this.connection.sides++;
    this.connection.walks.set('resume', cursorRow);
    this.run.summary.resumeMessages++;
  }

  onResumed() {
    const { run, connection } = this;
    connection.resumed = true;
    connection.walks.delete('resume');
    run.summary.resumed++;
    run.summary.resumeMs = Math.max(run.summary.resumeMs, (this.time - connection.time) / TICKS);
  }

  onJoin(room, _, cursorRow) {
    this.connection.joins.add(room);
    if (cursorRow === NONE) return;
    this.run.summary.joinsWithCursor++;
    this.connection.sides++;
    this.connection.walks.set(room, cursorRow);
  }

  onJoined(room) {
    this.connection.walks.delete(room);
    if (!this.joined.has(room)) this.joined.set(room, this.time);
  }

  onError(_a, _b, note) {
    const text = this.notes[note] ?? '';
    const code = text.split(' ')[0];
    this.run.summary.errors[code] = (this.run.summary.errors[code] ?? 0) + 1;
    if (!EXCUSED_ERRORS.test(text)) this.accuse('error-answer', [this.row], text);
  }

  onClose(code, _, note) {
    if (code === 0) this.accuse('upgrade-broken', [this.row], this.notes[note] ?? '');
    const { closes } = this.run.summary;
    closes[code] = (closes[code] ?? 0) + 1;
  }

  timeOf(row) {
    return this.words[row * WORDS + 1];
  }

  connectionOf(row) {
    let found = null;
    for (let i = this.connections.length - 1; i >= 0 && !found; i--) if (this.connections[i].row <= row) found = this.connections[i];
    return found;
  }

  // --- what did not come

  checkMissing() {
    for (const rooms of [this.client.automatic, this.client.requested]) {
      for (const room of rooms) this.checkRoom(room, this.run.roomRecords[room]);
    }
  }

  checkRoom(room, records) {
    const { truth } = this.run;
    let lost = null;
    let before = null;
    const close = (after) => {
      if (lost) this.accuseLoss(room, lost, before, after);
      lost = null;
    };
    for (const r of records) {
      const received = this.firstRow[r] < DEALT_WITH;
      if (lost && truth.part[r] !== truth.part[lost.first]) close(null);
      if (before !== null && truth.part[r] !== truth.part[before]) before = null;
      if (received) {
        close(r);
        before = r;
      } else if (this.firstRow[r] === NONE && this.isRequired(r) && !this.isDeclared(r)) {
        lost ??= { first: r, count: 0 };
        lost.last = r;
        lost.count++;
        this.firstRow[r] = DEALT_WITH;
      }
    }
    close(null);
  }

  // Begun after the client was in, or after something of its partition that the client got.
  isRequired(r) {
    const { events, truth } = this.run;
    const n = truth.n[r];
    const invoked = events.invoked[n];
    for (const room of [events.room0[n], events.room1[n], events.room2[n]]) {
      if (room === NO_ROOM || !this.member[room]) continue;
      if (this.client.automatic.includes(room)) {
        if (invoked >= this.since || r > (this.mainFirst.get(truth.part[r]) ?? NONE)) return true;
      } else if (invoked >= (this.joined.get(room) ?? NONE)) {
        return true;
      }
    }
    return false;
  }

  isDeclared(r) {
    const { truth, summary } = this.run;
    const gaps = (this.gaps.get(truth.part[r]) ?? []).filter((g) => covers(g, truth.life[r], truth.offset[r]));
    if (gaps.length === 0) return false;
    const gap = gaps.find((g) => truth.removed[r] <= g.time) ?? gaps[0];
    this.firstRow[r] = DEALT_WITH;
    summary.declaredLost++;
    if (truth.removed[r] > gap.time) this.accuse('gap-unjustified', [gap.row], `${this.run.place(r)} could still be read`);
    return true;
  }

  accuseLoss(room, { first, last, count }, before, after) {
    const { run } = this;
    const rowBefore = before === null ? null : this.firstRow[before];
    const rowAfter = after === null ? null : this.firstRow[after];
    const apart = rowBefore !== null && rowAfter !== null && this.connectionOf(rowBefore) !== this.connectionOf(rowAfter);
    const { invoked } = run.events;
    const span = `${ms(invoked[run.truth.n[first]])} to ${ms(invoked[run.truth.n[last]])} ms`;
    this.accuse(apart ? 'resume-skips' : 'loss', [rowBefore, rowAfter].filter((row) => row !== null),
      `${count} of ${run.rooms[room]}: ${run.place(first)}${count > 1 ? ` to ${run.place(last)}` : ''}, produced at ${span}; `
      + `before it ${this.describe(rowBefore)}, after it ${this.describe(rowAfter)}`, count);
  }

  describe(row) {
    if (row === null) return 'nothing';
    const connection = this.connectionOf(row);
    return `row ${row} at ${ms(this.timeOf(row))} ms in the connection of row ${connection.row} (instance ${connection.instance}.${connection.incarnation})`;
  }

  checkEnd() {
    if (this.since === NONE) this.accuse('never-connected', [], 'no connected message in the whole run');
    const last = this.connection;
    if (last?.asked && !last.resumed) this.accuse('resumed-missing', [last.row], `asked to resume at ${ms(last.time)} ms, and was never told that it is done`);
  }
}

const hex = (hash) => hash.toString(16).padStart(8, '0');
const ms = (ticks) => (ticks / TICKS).toFixed(0);

function isSameHole(a, b) {
  if (a.startsOver !== b.startsOver || a.lifeNow !== b.lifeNow) return false;
  return a.startsOver && a.to === NONE ? b.to === NONE && a.lifeBefore === b.lifeBefore : a.from < b.to && b.from < a.to;
}

function covers(gap, life, offset) {
  if (life === gap.lifeNow && !(gap.startsOver && gap.to === NONE)) return gap.from <= offset && offset < gap.to;
  if (!gap.startsOver || life >= gap.lifeNow) return false;
  return life > gap.lifeBefore || offset >= gap.from;
}
