// A process full of clients. The parent says when they begin, where the instances are, when to be calm and when to end.
import { appendFileSync, closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { ChaosClient } from './client.mjs';
import { makeClock } from './clock.mjs';
import { Rows } from './history.mjs';
import { random } from './random.mjs';
import { SocketioClient } from './socketio.mjs';

const clients = [];
let shared;

function begin({ dir, specs, began, seed, tempo, cuts, modes, targets, ramp }) {
  shared = { clock: makeClock(began), rng: random(seed), targets, tempo, cuts, modes };
  for (const spec of specs) {
    const fd = openSync(join(dir, `${spec.name}.rows`), 'w');
    const notesFile = join(dir, `${spec.name}.notes`);
    const notes = [];
    let count = 0;
    const note = (text) => {
      notes.push(JSON.stringify(text));
      if (notes.length >= 200) flushNotes();
      return count++;
    };
    const flushNotes = () => {
      if (notes.length > 0) appendFileSync(notesFile, `${notes.splice(0).join('\n')}\n`);
    };
    const rows = new Rows({ fd });
    const client = new (spec.socketio ? SocketioClient : ChaosClient)(spec, shared, rows, note);
    client.finish = () => {
      client.stop();
      rows.flush();
      flushNotes();
      closeSync(fd);
    };
    clients.push(client);
    client.timer = setTimeout(() => client.connect(), shared.rng.below(ramp));
  }
  setInterval(tell, 200);
}

function tell() {
  process.send({
    settled: clients.filter((client) => client.settled).length,
    connected: clients.filter((client) => client.opened).length,
    deliveries: clients.reduce((sum, client) => sum + client.deliveries, 0),
    memory: process.memoryUsage.rss(),
    stuck: clients.filter((client) => !client.settled).slice(0, 3).map((client) => client.spec.name),
  });
}

const ORDERS = {
  begin,
  targets({ targets }) {
    shared.targets = targets;
  },
  leave({ share }) {
    for (const client of clients) if (shared.rng.chance(share)) client.leave();
  },
  comeBack() {
    for (const client of clients) client.comeBack();
  },
  calm({ partitions }) {
    for (const client of clients) {
      client.markersWanted = client.spec.rooms * partitions;
      client.becomeCalm();
    }
  },
  end() {
    for (const client of clients) client.finish();
    process.send({ ended: true }, () => process.exit(0));
  },
};

process.on('message', (message) => ORDERS[message.order](message));
// Without a parent there is nobody to do it for.
process.on('disconnect', () => process.exit(1));
process.on('error', () => process.exit(1));
