-- The tables that the lookups of asyncapi/rooms.yaml read. May be run again at any time.

-- Ids of people are texts, since tokens name them by numbers, UUIDs and words alike.
CREATE TABLE IF NOT EXISTS users (
    id   text PRIMARY KEY,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('admin', 'ceo', 'manager', 'buyer', 'employee', 'reader'))
);

-- --- orders ---

CREATE TABLE IF NOT EXISTS cities (
    id   integer PRIMARY KEY,
    name text NOT NULL UNIQUE
);

-- Which cities a manager looks after. A row here is a right: it lets that person see the orders of that city.
CREATE TABLE IF NOT EXISTS manager_cities (
    user_id text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    city_id integer NOT NULL REFERENCES cities (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, city_id)
);

-- --- tasks and documents: owner, assignee and participants may follow them ---

CREATE TABLE IF NOT EXISTS tasks (
    id          text PRIMARY KEY,
    title       text NOT NULL,
    owner_id    text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    assignee_id text REFERENCES users (id) ON DELETE SET NULL
);

CREATE TABLE IF NOT EXISTS task_participants (
    task_id text NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    user_id text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (task_id, user_id)
);

CREATE TABLE IF NOT EXISTS documents (
    id       text PRIMARY KEY,
    title    text NOT NULL,
    owner_id text NOT NULL REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE IF NOT EXISTS document_participants (
    document_id text NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    user_id     text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (document_id, user_id)
);

-- --- posts: a row lets user_id see what friend_id shows to friends; friendship is two rows ---

CREATE TABLE IF NOT EXISTS friends (
    user_id   text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    friend_id text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, friend_id)
);

-- --- chats and calls ---

CREATE TABLE IF NOT EXISTS chats (
    id   text PRIMARY KEY,
    name text NOT NULL,
    type text NOT NULL CHECK (type IN ('DIRECT', 'GROUP'))
);

CREATE TABLE IF NOT EXISTS chat_participants (
    chat_id text NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    user_id text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, chat_id)
);
CREATE INDEX IF NOT EXISTS chat_participants_by_chat ON chat_participants (chat_id);

-- Conferences are calls of many. Who takes part in one that has not ended stands in its rooms.
CREATE TABLE IF NOT EXISTS calls (
    id       text PRIMARY KEY,
    ended_at timestamptz
);

CREATE TABLE IF NOT EXISTS call_participants (
    call_id text NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    user_id text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, call_id)
);
