// All domains of the catalogue, live: ./dev demo [--once] [--kafka]
//
//   --once   connects a client of each role, sends every event once, shows who received what, and ends
//   --kafka  a real Apache Kafka instead of the embedded broker
//
// KAFKA_BROKERS and DATABASE_URL, when set, are used instead of throw-away ones.
import { relative } from 'node:path';
import { once } from './demo/once.mjs';
import { Stage } from './demo/stage.mjs';
import { domains } from './service.mjs';

const OPTIONS = ['--once', '--kafka'];

const PEOPLE = [
  { who: 'an admin (all orders)', id: 1 },
  { who: 'the manager of city 1', id: 3 },
  { who: 'a buyer (own orders, bonuses)', id: 123 },
  { who: 'an employee (tasks, documents, chats, calls, notifications)', id: 'user2' },
  { who: 'a reader (posts of all and of friends, likes, comments)', id: 'e4d2e6b0-cde2-42c5-aac3-0b8316f21e58', path: '/post/feed/posted' },
];

function printWelcome(stage, orders, stories) {
  console.log(`
Causeway is up: ws://${stage.host}
  readiness  http://${stage.host}/readyz     metrics  http://${stage.host}/metrics
  Kafka      ${stage.brokers}
  orders are being placed and delivered, an order every two seconds; see ${relative('', orders.log)}
  tasks, documents, posts, chats and calls go their way meanwhile, from their beginning to their end and again; see ${relative('', stories.log)}
  the bridge's log: ${relative('', stage.bridge.logFile)}`);
  for (const { who, id, path } of PEOPLE) {
    const token = stage.token(id);
    const url = stage.url(token, { path });
    console.log(`
${who}: user ${id}
  token    ${token}
  wscat    npx wscat -c "${url}"
  browser  new WebSocket("${url}").onmessage = (event) => console.log(event.data)`);
  }
  console.log(`
The browser lines go into the console of any page that allows it, such as about:blank. In wscat, try {"type":"ping"},
and as the employee {"type":"subscribe.task","data":{"taskId":"task-123"}}: then all of this task comes, not only what is yours.
Ctrl-C stops everything and leaves nothing behind.
`);
}

// Resolves with the reason when one of the processes ends by itself.
const endOf = (name, child) => child.ended
  .then(({ code, signal }) => `${name} ended (${signal ?? code}): ${child.logText().slice(-2000)}`);

async function stay(stage) {
  const orders = stage.openOrders();
  const stories = stage.openStories(domains().filter((domain) => domain !== 'orders'));
  printWelcome(stage, orders, stories);
  const reason = await Promise.race([endOf('the bridge', stage.bridge), endOf('the order service', orders.child),
    endOf('the other services', stories.child)]);
  if (!stage.closing) throw new Error(reason);
}

async function main(args) {
  const unknown = args.find((arg) => !OPTIONS.includes(arg));
  if (unknown) {
    console.error(`demo: unknown option ${unknown}; known are ${OPTIONS.join(' and ')}`);
    return 2;
  }
  const stage = new Stage();
  const stopped = args.includes('--once') ? 130 : 0; // a check that was cut short has not passed
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (!stage.closing) console.log('\nstopping');
      stage.close().then(() => process.exit(stopped));
    });
  }
  try {
    await stage.open({ realKafka: args.includes('--kafka') });
    if (!args.includes('--once')) {
      await stay(stage);
      return 0;
    }
    return (await once(stage)) === 0 ? 0 : 1;
  } catch (error) {
    // Ctrl-C reaches the children as well; when one of them fails of it first, our own signal is heard only now.
    await new Promise((done) => setTimeout(done, 50));
    if (stage.closing) return stopped;
    console.error(`demo: ${error.message}`);
    return 1;
  } finally {
    await stage.close();
  }
}

process.exit(await main(process.argv.slice(2)));
