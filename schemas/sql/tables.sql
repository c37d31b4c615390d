-- The tables that the lookups of asyncapi/asyncapi.yaml read. May be run again at any time.

CREATE TABLE IF NOT EXISTS users (
    id   integer PRIMARY KEY,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('admin', 'ceo', 'manager', 'buyer'))
);

CREATE TABLE IF NOT EXISTS cities (
    id   integer PRIMARY KEY,
    name text NOT NULL UNIQUE
);

-- Which cities a manager looks after. A row here is a right: it lets that person see the orders of that city.
CREATE TABLE IF NOT EXISTS manager_cities (
    user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    city_id integer NOT NULL REFERENCES cities (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, city_id)
);

-- The lookups compare ids as text, so that an id in a token that is no number simply matches nobody. These indexes
-- keep that as fast as comparing numbers.
CREATE INDEX IF NOT EXISTS users_id_as_text ON users ((id::text));
CREATE INDEX IF NOT EXISTS manager_cities_user_id_as_text ON manager_cities ((user_id::text));
