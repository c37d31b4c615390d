// How a run is remembered: rows of six numbers per message and client, columns per event and per record. Twenty million
// deliveries fit on a disk this way, and one client at a time fits in memory.
import { writeSync } from 'node:fs';

/* Row: [kind | flags << 8 | part << 16, time, a, b, c, d]
     CONNECT    a instance, b incarnation, c row of the message that carried the cursor sent (or NONE), d note
     CONNECTED  the server's welcome
     EVENT      part, a number of the event, b offset, c hash within the id, d hash of the payload; ANONYMOUS: no part, b, c
     CURSOR     a message whose only business is the cursor
     GAP        part, a from, b to (NONE: not said), c note of the reason
     RESUME     (sent) c row of the cursor, d note;   RESUMED (received)
     JOIN       (sent) a room, c row of the cursor or NONE;   JOINED (received) a room
     ERROR      c note;   CLOSE  a code, c note
   Times are in tenths of milliseconds since the run began, on one clock for all processes. */
export const KIND = {
  CONNECT: 1, CONNECTED: 2, EVENT: 3, CURSOR: 4, GAP: 5, RESUME: 6, RESUMED: 7, JOIN: 8, JOINED: 9, ERROR: 10, CLOSE: 11,
};
export const FLAG = { REDELIVERED: 1, BACKFILL: 2, CURSOR: 4, LONG_CURSOR: 8, ANONYMOUS: 16 };
export const NONE = 0xffffffff;
export const NO_ROOM = 0xffff;
export const WORDS = 6;
export const TICKS = 10; // per millisecond
export const PARTS_PER_TOPIC = 1024;

export const partIndex = (topic, partition) => topic * PARTS_PER_TOPIC + partition;

/* Rows of one client. With a file descriptor, full chunks go there and memory stays small; without, all is kept. */
export class Rows {
  constructor({ fd, chunkRows = 1024 } = {}) {
    this.fd = fd;
    this.words = new Uint32Array(chunkRows * WORDS);
    this.used = 0;
    this.length = 0;
  }

  push(kind, flags, part, time, a, b, c, d) {
    if (this.used === this.words.length) this.makeRoom();
    const { words, used } = this;
    words[used] = kind | (flags << 8) | (part << 16);
    words[used + 1] = time;
    words[used + 2] = a;
    words[used + 3] = b;
    words[used + 4] = c;
    words[used + 5] = d;
    this.used = used + WORDS;
    return this.length++;
  }

  makeRoom() {
    if (this.fd !== undefined) {
      this.flush();
      return;
    }
    const larger = new Uint32Array(this.words.length * 2);
    larger.set(this.words);
    this.words = larger;
  }

  flush() {
    const bytes = new Uint8Array(this.words.buffer, 0, this.used * 4);
    for (let done = 0; done < bytes.length;) done += writeSync(this.fd, bytes, done);
    this.used = 0;
  }

  all() {
    return this.words.subarray(0, this.used);
  }
}

const grown = (array, length) => {
  const larger = new array.constructor(length);
  larger.set(array);
  return larger;
};

class Columns {
  constructor(types, capacity = 1024) {
    this.count = 0;
    this.capacity = capacity;
    this.names = Object.keys(types);
    for (const [name, Type] of Object.entries(types)) this[name] = new Type(capacity);
  }

  reserve(count) {
    if (count <= this.capacity) return;
    while (this.capacity < count) this.capacity *= 2;
    for (const name of this.names) this[name] = grown(this[name], this.capacity);
  }
}

export const STATE = { INVOKED: 1, OK: 2, FAIL: 3, UNKNOWN: 4 };
export const ROOMS_PER_EVENT = 3;

/* The producers' log: one line per event number. */
export class Events extends Columns {
  constructor() {
    super({
      state: Uint8Array, invoked: Uint32Array, ended: Uint32Array, key: Uint32Array, seq: Uint32Array,
      part: Uint16Array, life: Uint8Array, offset: Uint32Array, room0: Uint16Array, room1: Uint16Array, room2: Uint16Array,
    });
  }

  invoke({ key, seq, part, life = 0, rooms, time }) {
    const n = this.count++;
    this.reserve(this.count);
    this.state[n] = STATE.INVOKED;
    this.invoked[n] = time;
    this.ended[n] = NONE;
    this.key[n] = key;
    this.seq[n] = seq;
    this.part[n] = part;
    this.life[n] = life;
    this.offset[n] = NONE;
    this.room0[n] = rooms[0] ?? NO_ROOM;
    this.room1[n] = rooms[1] ?? NO_ROOM;
    this.room2[n] = rooms[2] ?? NO_ROOM;
    return n;
  }

  end(n, state, time, offset = NONE) {
    this.state[n] = state;
    this.ended[n] = time;
    this.offset[n] = offset;
  }
}

/* What the topics really held: dumps of each life of each partition, merged. */
export class Truth extends Columns {
  constructor() {
    super({ part: Uint16Array, life: Uint8Array, offset: Uint32Array, n: Uint32Array, hash: Uint32Array, removed: Uint32Array });
    this.removals = [];
    this.conflicts = [];
  }

  add(part, life, offset, n, hash) {
    const r = this.count++;
    this.reserve(this.count);
    this.part[r] = part;
    this.life[r] = life;
    this.offset[r] = offset;
    this.n[r] = n;
    this.hash[r] = hash;
  }

  /* From `time` on, the records of this life below the offset `before` cannot be read any more (NONE: none of them). */
  remove(part, life, before, time) {
    this.removals.push({ part, life, before, time });
  }

  /* Orders by partition, life and offset; the same record from two dumps becomes one. */
  finish() {
    this.order();
    this.removed.fill(NONE);
    for (const { part, life, before, time } of this.removals) {
      for (let r = 0; r < this.count; r++) {
        if (this.part[r] === part && this.life[r] === life && this.offset[r] < before && this.removed[r] > time) this.removed[r] = time;
      }
    }
    return this;
  }

  order() {
    const { part, life, offset } = this;
    const compare = (x, y) => part[x] - part[y] || life[x] - life[y] || offset[x] - offset[y];
    const index = new Uint32Array(this.count).map((_, i) => i).sort(compare);
    const kept = [];
    for (const r of index) {
      const last = kept.at(-1);
      if (last === undefined || compare(last, r) !== 0) kept.push(r);
      else if (this.n[last] !== this.n[r] || this.hash[last] !== this.hash[r]) this.conflicts.push(r);
    }
    for (const name of this.names) {
      const column = this[name];
      this[name] = new column.constructor(kept.length);
      for (let i = 0; i < kept.length; i++) this[name][i] = column[kept[i]];
    }
    this.count = kept.length;
    this.capacity = Math.max(kept.length, 1);
  }

  /* Where each event number is in the log: first[n] and then other[r], -1 at the end. */
  index(events) {
    const first = new Int32Array(events).fill(-1);
    const other = new Int32Array(this.count).fill(-1);
    for (let r = this.count - 1; r >= 0; r--) {
      if (this.n[r] >= events) continue;
      other[r] = first[this.n[r]];
      first[this.n[r]] = r;
    }
    return { first, other };
  }
}

/* Of bytes: 32-bit FNV-1a. */
export function hashOf(bytes, from = 0, to = bytes.length) {
  let hash = 0x811c9dc5;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return hash >>> 0;
}
