-- Shopware 6.6. binary(16) is bytea here, tinyint(1) boolean, datetime(3) timestamp(3), generated columns as in MySQL.
create table customer (
    id bytea primary key, customer_group_id bytea not null, sales_channel_id bytea not null, language_id bytea not null,
    default_billing_address_id bytea not null, default_shipping_address_id bytea not null, auto_increment bigserial,
    customer_number varchar(255) not null, salutation_id bytea, first_name varchar(255) not null,
    last_name varchar(255) not null, company varchar(255), password varchar(1024), email varchar(254) not null,
    title varchar(100), vat_ids json, affiliate_code varchar(255), campaign_code varchar(255),
    active boolean not null default true, double_opt_in_registration boolean not null default false,
    guest boolean not null default false, first_login timestamp(3), last_login timestamp(3), birthday date,
    last_order_date timestamp(3), order_count int not null default 0, order_total_amount double precision default 0,
    account_type varchar(255) not null default 'private', custom_fields json, created_at timestamp(3) not null, updated_at timestamp(3)
);
create table customer_address (
    id bytea primary key, customer_id bytea not null references customer on delete cascade, country_id bytea not null,
    country_state_id bytea, salutation_id bytea, first_name varchar(255) not null, last_name varchar(255) not null,
    zipcode varchar(50), city varchar(70) not null, company varchar(255), street varchar(255) not null,
    department varchar(255), title varchar(100), phone_number varchar(40), additional_address_line1 varchar(255),
    additional_address_line2 varchar(255), custom_fields json, created_at timestamp(3) not null, updated_at timestamp(3)
);
create table "order" (
    id bytea not null, version_id bytea not null, auto_increment bigserial, order_number varchar(64),
    billing_address_id bytea not null, currency_id bytea not null, language_id bytea not null,
    sales_channel_id bytea not null, order_date_time timestamp(3) not null,
    order_date date generated always as (order_date_time::date) stored, price json not null,
    amount_total double precision generated always as ((price ->> 'totalPrice')::double precision) stored,
    shipping_costs json not null default '{}', currency_factor double precision, deep_link_code varchar(32),
    affiliate_code varchar(255), campaign_code varchar(255), customer_comment text, state_id bytea not null,
    custom_fields json, created_at timestamp(3) not null, updated_at timestamp(3), primary key (id, version_id)
);
insert into customer (id, customer_group_id, sales_channel_id, language_id, default_billing_address_id, default_shipping_address_id,
    customer_number, first_name, last_name, email, vat_ids, guest, birthday, created_at) values
    ('\x0190a1b2c3d47e5f8091a2b3c4d5e6f7', '\xcfbd5018d38d41d8adca10d94fc8bdd6', '\x98432def39fc4624b33213a56b8c944d', '\x2fbb5fe2e29a4d70aa5854ce7ce3e20b',
     '\x0190a1b2c3d47e5f8091a2b3c4d50001', '\x0190a1b2c3d47e5f8091a2b3c4d50001', '10000', 'Max', 'Mustermann', 'max@Mustermann.example',
     '["DE123456788", "ATU12345675"]', false, '1980-05-17', '2026-01-01 10:00:00.123'),
    -- Bytes that end in zeros stay as they are.
    ('\x0190a1b2c3d47e5f8091a2b3c4000000', '\xcfbd5018d38d41d8adca10d94fc8bdd6', '\x98432def39fc4624b33213a56b8c944d', '\x2fbb5fe2e29a4d70aa5854ce7ce3e20b',
     '\x0190a1b2c3d47e5f8091a2b3c4d50002', '\x0190a1b2c3d47e5f8091a2b3c4d50002', '10001', 'Erika', 'Gäßler', 'erika@beispiel.example', null, false, null, '2026-01-02 10:00:00'),
    ('\x0190a1b2c3d47e5f8091a2b3c4d5e6ff', '\xcfbd5018d38d41d8adca10d94fc8bdd6', '\x98432def39fc4624b33213a56b8c944d', '\x2fbb5fe2e29a4d70aa5854ce7ce3e20b',
     '\x0190a1b2c3d47e5f8091a2b3c4d50003', '\x0190a1b2c3d47e5f8091a2b3c4d50003', '10002', 'Guest', 'Guest', 'guest@beispiel.example', '[]', true, null, '2026-01-03 10:00:00');
insert into customer_address (id, customer_id, country_id, first_name, last_name, zipcode, city, street, phone_number, additional_address_line1, created_at) values
    ('\x0190a1b2c3d47e5f8091a2b3c4d50001', '\x0190a1b2c3d47e5f8091a2b3c4d5e6f7', '\x01', 'Max', 'Mustermann', '48624', 'Schöppingen', 'Ebbinghoff 10', '030 901820', null, '2026-01-01 10:00:00'),
    ('\x0190a1b2c3d47e5f8091a2b3c4d50002', '\x0190a1b2c3d47e5f8091a2b3c4000000', '\x01', 'Erika', 'Gäßler', null, 'Berlin', 'Am Markt 1', null, 'Hinterhaus', '2026-01-02 10:00:00'),
    ('\x0190a1b2c3d47e5f8091a2b3c4d50003', '\x0190a1b2c3d47e5f8091a2b3c4d5e6ff', '\x01', 'Guest', 'Guest', '10115', 'Berlin', 'Weg 2', null, null, '2026-01-03 10:00:00');
insert into "order" (id, version_id, order_number, billing_address_id, currency_id, language_id, sales_channel_id, order_date_time, price, state_id, created_at) values
    ('\x0191ffffffff7000800000000000aa01', '\x0fa91ce3e96a4bc2be4bd9ce752c3425', '10000', '\x01', '\xb7d2554b0ce847cd82f3ac9bd1c0dfca', '\x01', '\x01',
     '2026-03-31 22:30:00.500', '{"netPrice": 100.83, "rawTotal": 119.99, "taxStatus": "gross", "totalPrice": 119.99, "calculatedTaxes": [{"tax": 19.16, "taxRate": 19}]}', '\x01', '2026-03-31 22:30:00.500'),
    -- Somebody is editing it in the administration: a version of its own.
    ('\x0191ffffffff7000800000000000aa01', '\x0191ffffffff7000800000000000bb01', '10000', '\x01', '\xb7d2554b0ce847cd82f3ac9bd1c0dfca', '\x01', '\x01',
     '2026-03-31 22:30:00.500', '{"netPrice": 1, "totalPrice": 1}', '\x01', '2026-04-01 08:00:00');
