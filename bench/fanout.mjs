// ./dev bench fanout: one topic, N subscribers, 200-byte events; what a delivery costs, beside bare sockets.
// Every event goes Kafka -> Causeway -> WebSocket. The server has CPU 0 for itself; client, publisher, broker and
// database share CPU 1 (but see the scenario `loops`). A round counts only if every subscriber got exactly its events.
import { drive } from './lib/driver.mjs';
import { scenarios } from './lib/scenarios.mjs';

await drive('fanout', scenarios);
