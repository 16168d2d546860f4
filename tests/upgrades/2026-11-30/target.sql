CREATE SCHEMA direct;
CREATE SCHEMA raw;
CREATE TABLE direct._sdc_tables (
    table_name text NOT NULL,
    stream text NOT NULL,
    source_schema text,
    source_table text,
    since timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE direct._sdc_tables IS 'Which stream fills which table of this schema, kept by target-postgres';
CREATE TABLE direct.a (
    id bigint NOT NULL,
    name text,
    _sdc_extracted_at timestamp with time zone,
    _sdc_received_at timestamp with time zone,
    _sdc_batched_at timestamp with time zone,
    _sdc_deleted_at timestamp with time zone,
    _sdc_sequence bigint,
    _sdc_table_version bigint,
    _sdc_sync_started_at bigint
);
CREATE TABLE direct.events (
    id bigint NOT NULL,
    at timestamp with time zone,
    note text,
    _sdc_extracted_at timestamp with time zone,
    _sdc_received_at timestamp with time zone,
    _sdc_batched_at timestamp with time zone,
    _sdc_deleted_at timestamp with time zone,
    _sdc_sequence bigint,
    _sdc_table_version bigint,
    _sdc_sync_started_at bigint
);
CREATE TABLE raw."Odd ""names""" (
    "a b" integer NOT NULL,
    "select" jsonb,
    days date[],
    _sdc_extracted_at timestamp with time zone,
    _sdc_received_at timestamp with time zone,
    _sdc_batched_at timestamp with time zone,
    _sdc_deleted_at timestamp with time zone,
    _sdc_sequence bigint,
    _sdc_table_version bigint,
    _sdc_sync_started_at bigint
);
CREATE TABLE raw._sdc_tables (
    table_name text NOT NULL,
    stream text NOT NULL,
    source_schema text,
    source_table text,
    since timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE raw._sdc_tables IS 'Which stream fills which table of this schema, kept by target-postgres';
CREATE TABLE raw.empty (
    id integer NOT NULL,
    _sdc_extracted_at timestamp with time zone,
    _sdc_received_at timestamp with time zone,
    _sdc_batched_at timestamp with time zone,
    _sdc_deleted_at timestamp with time zone,
    _sdc_sequence bigint,
    _sdc_table_version bigint,
    _sdc_sync_started_at bigint
);
CREATE TABLE raw.goods (
    id integer NOT NULL,
    name text,
    price numeric(10,2),
    made timestamp with time zone,
    _sdc_extracted_at timestamp with time zone,
    _sdc_received_at timestamp with time zone,
    _sdc_batched_at timestamp with time zone,
    _sdc_deleted_at timestamp with time zone,
    _sdc_sequence bigint,
    _sdc_table_version bigint,
    _sdc_sync_started_at bigint
);
INSERT INTO direct._sdc_tables VALUES ('events', 'public-events', 'public', 'events', '2026-11-30 18:52:50.949736+00');
INSERT INTO direct._sdc_tables VALUES ('a', 'a', NULL, NULL, '2026-11-30 18:52:51.082633+00');
INSERT INTO direct.a VALUES (1, 'a', '2026-11-30 18:52:51.040122+00', '2026-11-30 18:52:51.10821+00', '2026-11-30 18:52:51.10821+00', NULL, 1796064771108, NULL, 1796064771026);
INSERT INTO direct.a VALUES (2, 'b, c', '2026-11-30 18:52:51.040122+00', '2026-11-30 18:52:51.10821+00', '2026-11-30 18:52:51.10821+00', NULL, 1796064771108, NULL, 1796064771026);
INSERT INTO direct.events VALUES (1, '2026-01-30 08:00:00+00', 'first', '2026-11-30 18:52:50.869199+00', '2026-11-30 18:52:50.969258+00', '2026-11-30 18:52:50.969258+00', NULL, 1796064770969, NULL, 1796064770819);
INSERT INTO direct.events VALUES (2, '2026-01-31 09:00:00+00', 'second', '2026-11-30 18:52:50.869199+00', '2026-11-30 18:52:50.969258+00', '2026-11-30 18:52:50.969258+00', NULL, 1796064770969, NULL, 1796064770819);
INSERT INTO raw."Odd ""names""" VALUES (1, '{"a": null, "b": 1}', '{2026-01-01,NULL}', '2026-11-30 18:52:49.793713+00', '2026-11-30 18:52:49.950732+00', '2026-11-30 18:52:49.950732+00', NULL, 1796064769950, NULL, 1796064769789);
INSERT INTO raw._sdc_tables VALUES ('Odd "names"', 'public-Odd "names"', 'public', 'Odd "names"', '2026-11-30 18:52:49.904556+00');
INSERT INTO raw._sdc_tables VALUES ('empty', 'public-empty', 'public', 'empty', '2026-11-30 18:52:49.981136+00');
INSERT INTO raw._sdc_tables VALUES ('goods', 'public-goods', 'public', 'goods', '2026-11-30 18:52:50.002965+00');
INSERT INTO raw.goods VALUES (1, 'lamp', 19.90, '2026-01-05 09:00:00+00', '2026-11-30 18:52:49.803744+00', '2026-11-30 18:52:50.033313+00', '2026-11-30 18:52:50.033313+00', NULL, 1796064770033, NULL, 1796064769789);
INSERT INTO raw.goods VALUES (2, NULL, 0.00, NULL, '2026-11-30 18:52:49.803744+00', '2026-11-30 18:52:50.033313+00', '2026-11-30 18:52:50.033313+00', NULL, 1796064770033, NULL, 1796064769789);
ALTER TABLE ONLY direct._sdc_tables
    ADD CONSTRAINT _sdc_tables_pkey PRIMARY KEY (table_name);
ALTER TABLE ONLY direct.a
    ADD CONSTRAINT a_pkey PRIMARY KEY (id);
ALTER TABLE ONLY direct.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY raw."Odd ""names"""
    ADD CONSTRAINT "Odd ""names""_pkey" PRIMARY KEY ("a b");
ALTER TABLE ONLY raw._sdc_tables
    ADD CONSTRAINT _sdc_tables_pkey PRIMARY KEY (table_name);
ALTER TABLE ONLY raw.empty
    ADD CONSTRAINT empty_pkey PRIMARY KEY (id);
ALTER TABLE ONLY raw.goods
    ADD CONSTRAINT goods_pkey PRIMARY KEY (id);
