// The users' Socket.IO documents as one small catalogue: tasks and a messenger in the root namespace, a chat in /chat.
const ref = (path) => ({ $ref: `#/${path}` });
const message = (name, properties = {}) => ({ name, payload: { type: 'object', properties } });

const kafkaChannel = (address, messages) => ({
  address, servers: [ref('servers/kafka')], messages: Object.fromEntries(messages.map((name) => [name, message(name)])),
});
const namespace = (address, messages) => ({
  address, servers: [ref('servers/clients')], 'x-causeway': { dialect: 'socket.io' },
  messages: Object.fromEntries(messages.map((name) => [name, message(name)])),
});
const send = (channel, event, from, to, more = {}) => ({
  action: 'send', channel: ref(`channels/${channel}`), messages: [ref(`channels/${channel}/messages/${event}`)],
  'x-causeway': { from: ref(`channels/${from.join('/messages/')}`), to, ...more },
});

const receive = (channel, event, command, room) => ({
  action: 'receive', channel: ref(`channels/${channel}`), messages: [ref(`channels/${channel}/messages/${event}`)],
  'x-causeway': { command, ...(room && { room }) },
});

export const seedsCatalogue = () => ({
  asyncapi: '3.0.0',
  info: { title: 'Tasks and chat', version: '1.0.0' },
  servers: {
    kafka: { host: 'localhost:9092', protocol: 'kafka' },
    clients: { host: 'localhost:3000', protocol: 'ws' },
  },
  channels: {
    tasks: kafkaChannel('tasks.v1', ['task.updated']),
    chat: kafkaChannel('chat.v1', ['message.sent', 'typing']),
    root: namespace('/', ['task.updated', 'message:receive', 'typing:start', 'subscribe.task', 'unsubscribe.task', 'user:authenticate']),
    chatNamespace: namespace('/chat', ['newMessage']),
  },
  operations: {
    sendTaskUpdated: send('root', 'task.updated', ['tasks', 'task.updated'], ['user:{assigneeId?}', 'task:{id}']),
    sendMessageReceive: send('root', 'message:receive', ['chat', 'message.sent'], ['user:{participantIds[]}']),
    sendTyping: send('root', 'typing:start', ['chat', 'typing'], ['user:{participantIds[]}'], { ephemeral: true }),
    subscribeTask: receive('root', 'subscribe.task', 'join-room', 'task:{taskId}'),
    unsubscribeTask: receive('root', 'unsubscribe.task', 'leave-room', 'task:{taskId}'),
    authenticateUser: receive('root', 'user:authenticate', 'refresh'),
    sendNewMessage: send('chatNamespace', 'newMessage', ['chat', 'message.sent'], ['user:{participantIds[]}']),
  },
  'x-causeway': {
    principal: { lookup: 'user' },
    lookups: {
      user: { sql: 'SELECT id, role FROM users WHERE id::text = $1', params: ['{token.user}'] },
      'open-task': { sql: "SELECT 1 WHERE $1 NOT LIKE 'secret%'", params: ['{room.task_id}'] },
    },
    rooms: {
      'user:{user_id}': { join: 'automatic', allow: [{ with: { user_id: '{user.id}' } }] },
      'task:{task_id}': { join: 'request', channels: [ref('channels/root')], allow: [{ lookup: 'open-task' }] },
    },
  },
});
