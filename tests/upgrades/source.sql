CREATE TABLE goods (id integer PRIMARY KEY, name text, price numeric(10, 2), made timestamptz);
INSERT INTO goods VALUES (1, 'lamp', 19.90, '2026-01-05 10:00:00+01'), (2, NULL, 0.00, NULL);
CREATE TABLE "Odd ""names""" ("a b" integer PRIMARY KEY, "select" jsonb, days date[]);
INSERT INTO "Odd ""names""" VALUES (1, '{"b": 1, "a": null}', '{2026-01-01,NULL}');
CREATE TABLE empty (id integer PRIMARY KEY);
CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz NOT NULL, note text);
INSERT INTO events VALUES (1, '2026-01-30 08:00:00Z', 'first'), (2, '2026-01-31 09:00:00Z', 'second');
