// horde.mjs PORT COUNT: as many connections that never show a credential, from a process of their own. Every other one
// asks for the upgrade and gets it; the rest says nothing at all. Says "ready" once all stand, and stays until it is ended.
import { connect } from 'node:net';

const [port, count] = process.argv.slice(2).map(Number);
const AT_ONCE = 200;
const upgrade = 'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
  + 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';

const stand = (loud) => new Promise((done, failed) => {
  const socket = connect(port, '127.0.0.1', () => {
    if (loud) socket.write(upgrade);
    else done();
  });
  socket.once('error', failed);
  socket.once('data', (data) => {
    if (data.toString('latin1').startsWith('HTTP/1.1 101')) done();
    else failed(new Error(data.toString('latin1')));
  });
});

for (let made = 0; made < count; made += AT_ONCE) {
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - made) }, (_, i) => stand(i % 2 === 0)));
}
console.log('ready');
