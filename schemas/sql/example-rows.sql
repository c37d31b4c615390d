-- People and what is theirs, for the demo and the tests. May be run again at any time; rows that are there stay as they are.

INSERT INTO users (id, name, role) VALUES
    ('1',   'Alice Brandt',  'admin'),
    ('2',   'Clara Engel',   'ceo'),
    ('3',   'Marek Dvorak',  'manager'),
    ('4',   'Nadia Olsen',   'manager'),
    ('123', 'Ben Carter',    'buyer'),
    ('124', 'Dora Lindgren', 'buyer'),
    ('user1', 'Ida Berg',    'employee'),
    ('user2', 'Jonas Falk',  'employee'),
    ('user3', 'Kira Novak',  'employee'),
    ('e4d2e6b0-cde2-42c5-aac3-0b8316f21e58', 'Lena Moreau', 'reader'),
    ('7c9e6679-7425-40de-944b-e07fc1f90ae7', 'Omar Haddad', 'reader'),
    ('0f8fad5b-d9cb-469f-a165-70867728950e', 'Paula Reyes', 'reader')
ON CONFLICT DO NOTHING;

INSERT INTO cities (id, name) VALUES
    (1, 'Riverside'),
    (2, 'Oakfield'),
    (3, 'Northport')
ON CONFLICT DO NOTHING;

-- Marek looks after one city, Nadia after the two others.
INSERT INTO manager_cities (user_id, city_id) VALUES
    ('3', 1),
    ('4', 2),
    ('4', 3)
ON CONFLICT DO NOTHING;

-- Ida's task, which Jonas is to do; Kira has no part in it, but in the other one.
INSERT INTO tasks (id, title, owner_id, assignee_id) VALUES
    ('task-123', 'Renew the supplier contract', 'user1', 'user2'),
    ('task-124', 'Clear the archive',           'user2', NULL)
ON CONFLICT DO NOTHING;

INSERT INTO task_participants (task_id, user_id) VALUES
    ('task-124', 'user3')
ON CONFLICT DO NOTHING;

INSERT INTO documents (id, title, owner_id) VALUES
    ('doc-42', 'Supplier contract', 'user1'),
    ('doc-43', 'Price list',        'user2')
ON CONFLICT DO NOTHING;

INSERT INTO document_participants (document_id, user_id) VALUES
    ('doc-42', 'user2'),
    ('doc-43', 'user3')
ON CONFLICT DO NOTHING;

-- Lena and Omar are friends, Paula has none.
INSERT INTO friends (user_id, friend_id) VALUES
    ('e4d2e6b0-cde2-42c5-aac3-0b8316f21e58', '7c9e6679-7425-40de-944b-e07fc1f90ae7'),
    ('7c9e6679-7425-40de-944b-e07fc1f90ae7', 'e4d2e6b0-cde2-42c5-aac3-0b8316f21e58')
ON CONFLICT DO NOTHING;

INSERT INTO chats (id, name, type) VALUES
    ('room_123', 'Contract renewal', 'GROUP'),
    ('room_124', 'Ida and Jonas',    'DIRECT')
ON CONFLICT DO NOTHING;

INSERT INTO chat_participants (chat_id, user_id) VALUES
    ('room_123', 'user1'),
    ('room_123', 'user2'),
    ('room_124', 'user1'),
    ('room_124', 'user2')
ON CONFLICT DO NOTHING;

-- Ida and Jonas are talking; Kira's call is over.
INSERT INTO calls (id, ended_at) VALUES
    ('call-77', NULL),
    ('call-76', '2024-01-15T09:00:00Z')
ON CONFLICT DO NOTHING;

INSERT INTO call_participants (call_id, user_id) VALUES
    ('call-77', 'user1'),
    ('call-77', 'user2'),
    ('call-76', 'user3')
ON CONFLICT DO NOTHING;
