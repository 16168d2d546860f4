-- A small sales database of our own making: 13 tables, two of them empty. Its rows carry what
-- breaks careless copies: reals such as 32.38, empty bytea, bpchar without a length, a backslash
-- followed by n, quotes, commas, accents, and a key whose order differs from the columns'.

CREATE TABLE categories (
    category_id smallint PRIMARY KEY,
    category_name varchar(15) NOT NULL,
    description text,
    picture bytea
);

CREATE TABLE region (
    region_id smallint PRIMARY KEY,
    region_description bpchar NOT NULL
);

CREATE TABLE territories (
    territory_id varchar(20) PRIMARY KEY,
    territory_description bpchar NOT NULL,
    region_id smallint NOT NULL REFERENCES region
);

CREATE TABLE us_states (
    state_id smallint PRIMARY KEY,
    state_name varchar(100),
    state_abbr varchar(2),
    state_region varchar(50)
);

CREATE TABLE shippers (
    shipper_id smallint PRIMARY KEY,
    company_name varchar(40) NOT NULL,
    phone varchar(24)
);

CREATE TABLE suppliers (
    supplier_id smallint PRIMARY KEY,
    company_name varchar(40) NOT NULL,
    contact_name varchar(30),
    address varchar(60),
    city varchar(30),
    country varchar(30),
    homepage text
);

CREATE TABLE products (
    product_id smallint PRIMARY KEY,
    product_name varchar(40) NOT NULL,
    supplier_id smallint REFERENCES suppliers,
    category_id smallint REFERENCES categories,
    quantity_per_unit varchar(30),
    unit_price real,
    units_in_stock smallint,
    discontinued integer NOT NULL
);

CREATE TABLE customers (
    customer_id bpchar PRIMARY KEY,
    company_name varchar(40) NOT NULL,
    contact_name varchar(30),
    address varchar(60),
    city varchar(30),
    region varchar(30),
    postal_code varchar(10),
    country varchar(30),
    phone varchar(24)
);

CREATE TABLE customer_demographics (
    customer_type_id bpchar PRIMARY KEY,
    customer_desc text
);

CREATE TABLE customer_customer_demo (
    customer_id bpchar NOT NULL REFERENCES customers,
    customer_type_id bpchar NOT NULL REFERENCES customer_demographics,
    PRIMARY KEY (customer_id, customer_type_id)
);

CREATE TABLE employees (
    employee_id smallint PRIMARY KEY,
    last_name varchar(20) NOT NULL,
    first_name varchar(10) NOT NULL,
    title varchar(30),
    birth_date date,
    hire_date date,
    address varchar(60),
    city varchar(30),
    photo bytea,
    notes text,
    reports_to smallint REFERENCES employees
);

CREATE TABLE employee_territories (
    employee_id smallint NOT NULL REFERENCES employees,
    territory_id varchar(20) NOT NULL REFERENCES territories,
    PRIMARY KEY (territory_id, employee_id)
);

CREATE TABLE orders (
    order_id smallint PRIMARY KEY,
    customer_id bpchar REFERENCES customers,
    employee_id smallint REFERENCES employees,
    order_date date,
    required_date date,
    shipped_date date,
    ship_via smallint REFERENCES shippers,
    freight real,
    ship_name varchar(40),
    ship_address varchar(60),
    ship_city varchar(30),
    ship_region varchar(30),
    ship_country varchar(30)
);

INSERT INTO categories VALUES
    (1, 'Tea & Coffee', 'Leaves, beans, and what they need', '\x'),
    (2, 'Preserves', 'Jams, chutneys, "pickles"', '\x'),
    (3, 'Bakery', NULL, '\x'),
    (4, 'Fish', '', '\x00ff0a5c');

INSERT INTO region VALUES (1, 'North'), (2, 'South '), (3, 'Östersjön');

INSERT INTO territories VALUES
    ('00117', 'Old Harbour', 1), ('01581', 'West Quay ', 1), ('2E3', 'Malmö', 3),
    ('30346', 'Sandbank', 2), ('0', 'Lighthouse', 2);

INSERT INTO us_states VALUES
    (1, 'Maine', 'ME', 'east'), (2, 'Oregon', 'OR', 'west'), (3, 'Ohio', 'OH', 'midwest'),
    (4, 'Texas', 'TX', 'south'), (5, 'Alaska', 'AK', 'north');

INSERT INTO shippers VALUES
    (1, 'Tern & Sons', '+49 40 555 0101'), (2, 'Slow Boat, Ltd.', NULL), (3, '"Express"', '');

INSERT INTO suppliers VALUES
    (1, 'Fjällräv Te AB', 'Åsa Öberg', E'Storgatan 7\\nuppgång B', 'Göteborg', 'Sweden', NULL),
    (2, 'O''Hara Preserves, Inc.', 'Máire O''Hara', '3 "Mill" Lane', 'Cork', 'Ireland',
     'http://preserves.example/?a=1&b=2#top'),
    (3, '三河屋', '佐藤 健', E'港町1-2\t3号', '豊橋', 'Japan', 'line one
line two');

INSERT INTO products VALUES
    (1, 'Harbour Breakfast', 1, 1, '20 bags', 4.35, 39, 0),
    (2, 'Gooseberry Jam', 2, 2, '12 - 250 g jars', 21.05, 17, 0),
    (3, 'Chutney "No. 9"', 2, 2, '36 boxes', 0.1, 0, 1),
    (4, 'Knäckebröd, coarse', 1, 3, NULL, 16.25, 104, 0),
    (5, 'Smoked Eel', 3, 4, '500 g', 62.505, 6, 0),
    (6, 'Sencha', 3, 1, '1k pkg.', 123.79, 29, 0),
    (7, 'Anchovy Paste', 3, 4, '24 tubes', 7, 52, 0);

INSERT INTO customers VALUES
    ('ADLER', 'Adler & Vogel GmbH', 'Jürgen Groß', 'Hafenstraße 57', 'Lübeck', NULL, '01067',
     'Germany', '030-0074321'),
    ('BRISA', 'Café da Brisa, Ltda.', 'João Simões', E'Av. do Mar 1.029\\n2.º andar', 'São Luís',
     'MA', '08737-363', 'Brazil', '(11) 555-9857'),
    ('CORAL', 'The "Coral" Deli', NULL, '', 'Portland', 'OR', '97219', 'USA', NULL),
    ('DUNES', E'Dunes\\Sons', 'N/A', 'Null Street 0', 'Null', 'NULL', '1e5', 'UK', '+1'),
    ('EMOJI', 'Fête 🎉', 'Ève', E'1, rue de l''Abbaye', 'Reims', NULL, '51100', 'France', '-');

INSERT INTO employees VALUES
    (1, 'Marsh', 'Ann', 'Director', '1968-12-08', '1999-05-01', '14 Garrett Hill', 'Leeds', '\x',
     'Speaks French, Italian; "retired" twice.', NULL),
    (2, 'Núñez', 'Íñigo', 'Sales, South', '1972-02-29', '2001-08-14', 'C/ Mayor 9', 'Cádiz', '\x',
     E'C:\\new\\table', 1),
    (3, 'Dahl', 'Bo', NULL, NULL, '2010-10-17', NULL, NULL, NULL, NULL, 1);

INSERT INTO employee_territories VALUES (1, '01581'), (2, '30346'), (2, '0'), (3, '00117'), (1, '2E3');

INSERT INTO orders
SELECT 10247 + n,
       (ARRAY['ADLER', 'BRISA', 'CORAL', 'DUNES', 'EMOJI'])[1 + n * 7 % 5],
       1 + n % 3,
       date '2024-02-01' + n * 3 % 700,
       date '2024-02-29' + n * 3 % 700,
       CASE WHEN n % 11 <> 0 THEN date '2024-02-09' + n * 3 % 700 END,
       1 + n % 3,
       (n * 7919 % 20011 / 100.0)::real,
       (ARRAY['Adler & Vogel', 'Café da Brisa', '"Coral"', 'Dunes, N. & Sons'])[1 + n % 4],
       (ARRAY['Hafenstraße 57', E'Av. do Mar 1.029\\n2.º andar', '9, Quay'])[1 + n % 3],
       (ARRAY['Lübeck', 'São Luís', 'Portland', 'Hull'])[1 + n % 4],
       CASE n % 5 WHEN 0 THEN 'OR' WHEN 1 THEN '' END,
       (ARRAY['Germany', 'Brazil', 'USA', 'UK'])[1 + n % 4]
FROM generate_series(1, 120) AS n;

-- The one freight everybody knows.
UPDATE orders SET freight = 32.38 WHERE order_id = 10248;
