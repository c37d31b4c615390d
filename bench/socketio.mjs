// ./dev bench socketio: Causeway beside the reference server of Socket.IO, in one run, with the same clients and events.
// Causeway reads its events from Kafka; the reference server has them from a TCP feed, which costs it less.
import { drive } from './lib/driver.mjs';
import { scenarios } from './lib/socketio.mjs';

await drive('socketio', scenarios);
