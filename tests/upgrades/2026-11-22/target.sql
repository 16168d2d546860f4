CREATE SCHEMA direct;
CREATE SCHEMA raw;
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
INSERT INTO direct.a VALUES (1, 'a', '2026-11-30 18:50:10.999308+00', '2026-11-30 18:50:11.025215+00', '2026-11-30 18:50:11.025215+00', NULL, 1796064611025, NULL, 1796064611003);
INSERT INTO direct.a VALUES (2, 'b, c', '2026-11-30 18:50:10.999308+00', '2026-11-30 18:50:11.025215+00', '2026-11-30 18:50:11.025215+00', NULL, 1796064611025, NULL, 1796064611003);
INSERT INTO direct.events VALUES (1, '2026-01-30 08:00:00+00', 'first', '2026-11-30 18:50:10.961272+00', '2026-11-30 18:50:10.986093+00', '2026-11-30 18:50:10.986093+00', NULL, 1796064610986, NULL, 1796064610958);
INSERT INTO direct.events VALUES (2, '2026-01-31 09:00:00+00', 'second', '2026-11-30 18:50:10.961272+00', '2026-11-30 18:50:10.986093+00', '2026-11-30 18:50:10.986093+00', NULL, 1796064610986, NULL, 1796064610958);
INSERT INTO raw."Odd ""names""" VALUES (1, '{"a": null, "b": 1}', '{2026-01-01,NULL}', '2026-11-30 18:50:10.783103+00', '2026-11-30 18:50:10.804678+00', '2026-11-30 18:50:10.804678+00', NULL, 1796064610804, NULL, 1796064610780);
INSERT INTO raw.goods VALUES (1, 'lamp', 19.90, '2026-01-05 09:00:00+00', '2026-11-30 18:50:10.783498+00', '2026-11-30 18:50:10.812888+00', '2026-11-30 18:50:10.812888+00', NULL, 1796064610812, NULL, 1796064610780);
INSERT INTO raw.goods VALUES (2, NULL, 0.00, NULL, '2026-11-30 18:50:10.783498+00', '2026-11-30 18:50:10.812888+00', '2026-11-30 18:50:10.812888+00', NULL, 1796064610812, NULL, 1796064610780);
ALTER TABLE ONLY direct.a
    ADD CONSTRAINT a_pkey PRIMARY KEY (id);
ALTER TABLE ONLY direct.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY raw."Odd ""names"""
    ADD CONSTRAINT "Odd ""names""_pkey" PRIMARY KEY ("a b");
ALTER TABLE ONLY raw.empty
    ADD CONSTRAINT empty_pkey PRIMARY KEY (id);
ALTER TABLE ONLY raw.goods
    ADD CONSTRAINT goods_pkey PRIMARY KEY (id);
