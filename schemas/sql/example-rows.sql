-- People and cities for the demo. May be run again at any time; rows that are there stay as they are.

INSERT INTO users (id, name, role) VALUES
    (1,   'Alice Brandt',  'admin'),
    (2,   'Clara Engel',   'ceo'),
    (3,   'Marek Dvorak',  'manager'),
    (4,   'Nadia Olsen',   'manager'),
    (123, 'Ben Carter',    'buyer'),
    (124, 'Dora Lindgren', 'buyer')
ON CONFLICT DO NOTHING;

INSERT INTO cities (id, name) VALUES
    (1, 'Riverside'),
    (2, 'Oakfield'),
    (3, 'Northport')
ON CONFLICT DO NOTHING;

-- Marek looks after one city, Nadia after the two others.
INSERT INTO manager_cities (user_id, city_id) VALUES
    (3, 1),
    (4, 2),
    (4, 3)
ON CONFLICT DO NOTHING;
