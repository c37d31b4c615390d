// Tasks whose members may see them, beside the people of the orders system: what the stories about rights stand on.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './processes.mjs';

const message = (name) => ({ name, payload: { type: 'object' } });
const send = (name, from, to) => ({
  action: 'send',
  channel: { $ref: '#/channels/clients' },
  messages: [{ $ref: `#/channels/clients/messages/${name}` }],
  'x-causeway': { from: { $ref: `#/channels/tasks/messages/${from}` }, to },
});

export const catalogue = {
  asyncapi: '3.0.0',
  info: { title: 'Tasks and cities', version: '1.0.0' },
  servers: {
    kafka: { host: 'localhost:9092', protocol: 'kafka' },
    ws: { host: 'localhost:3000', protocol: 'ws' },
  },
  channels: {
    tasks: {
      address: 'tasks.v1',
      servers: [{ $ref: '#/servers/kafka' }],
      messages: { assigned: message('task.assigned'), ordered: message('city.ordered'), told: message('user.told') },
    },
    clients: {
      address: '/',
      servers: [{ $ref: '#/servers/ws' }],
      messages: { taskAssigned: message('task-assigned'), cityOrdered: message('city-ordered'), userTold: message('user-told') },
    },
  },
  operations: {
    sendAssigned: send('taskAssigned', 'assigned', ['task:{taskId}']),
    sendOrdered: send('cityOrdered', 'ordered', ['city-{city_id}-orders', 'admin-orders']),
    sendTold: send('userTold', 'told', ['user-{user_id}']),
  },
  'x-causeway': {
    principal: { lookup: 'user' },
    lookups: {
      user: { sql: 'SELECT id, role FROM users WHERE id::text = $1', params: ['{token.user}'] },
      'cities-of-manager': { sql: 'SELECT city_id FROM manager_cities WHERE user_id::text = $1', params: ['{user.id}'] },
      'tasks-of-user': { sql: 'SELECT task_id AS "taskId" FROM task_members WHERE user_id::text = $1 AND automatic', params: ['{user.id}'] },
      'task-member': { sql: 'SELECT 1 FROM task_members WHERE task_id::text = $1 AND user_id::text = $2', params: ['{room.taskId}', '{user.id}'] },
    },
    rooms: {
      'admin-orders': { join: 'automatic', allow: [{ when: { role: ['admin', 'ceo'] } }] },
      'city-{city_id}-orders': { join: 'automatic', allow: [{ when: { role: 'manager' }, lookup: 'cities-of-manager' }] },
      'user-{user_id}': { join: 'automatic', allow: [{ with: { user_id: '{user.id}' } }] },
      'task:{taskId}': {
        join: 'request',
        allow: [{ when: { role: 'admin' } }, { lookup: 'task-member' }, { join: 'automatic', lookup: 'tasks-of-user' }],
      },
    },
  },
};

/* The table of the tasks, and its triggers: as docs/RIGHTS.md says it for other people's tables. */
export const TABLES = `
CREATE TABLE IF NOT EXISTS task_members (
    task_id   integer NOT NULL,
    user_id   text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    automatic boolean NOT NULL DEFAULT false,
    PRIMARY KEY (task_id, user_id)
);
CREATE INDEX IF NOT EXISTS task_members_user_id_as_text ON task_members (user_id);
CREATE OR REPLACE TRIGGER causeway_grants AFTER INSERT OR DELETE OR UPDATE ON task_members FOR EACH ROW
    EXECUTE FUNCTION causeway_notify('task-member', 'task_id', 'user_id');
CREATE OR REPLACE TRIGGER causeway_grants_automatic AFTER INSERT OR DELETE OR UPDATE ON task_members FOR EACH ROW
    EXECUTE FUNCTION causeway_notify('tasks-of-user', 'user_id');
`;

export const triggers = () => readFileSync(join(root, 'schemas/sql/triggers.sql'), 'utf8');

/* Publishers of this catalogue's events. `n` numbers them for the story. */
export const publishers = (world) => ({
  task: (taskId, n, options) => world.publish('tasks.v1', 'task.assigned', { taskId, n }, options),
  city: (city, n, options) => world.publish('tasks.v1', 'city.ordered', { city_id: city, n }, options),
  user: (user, n, options) => world.publish('tasks.v1', 'user.told', { user_id: user, n }, options),
});
