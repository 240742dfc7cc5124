-- Shopware 6.6.
create table customer (
    id binary(16) primary key, customer_group_id binary(16) not null, sales_channel_id binary(16) not null, language_id binary(16) not null,
    default_billing_address_id binary(16) not null, default_shipping_address_id binary(16) not null, auto_increment bigint unsigned not null auto_increment unique,
    customer_number varchar(255) not null, salutation_id binary(16), first_name varchar(255) not null,
    last_name varchar(255) not null, company varchar(255), password varchar(1024), email varchar(254) not null,
    title varchar(100), vat_ids json, affiliate_code varchar(255), campaign_code varchar(255),
    active tinyint(1) not null default 1, double_opt_in_registration tinyint(1) not null default 0,
    guest tinyint(1) not null default 0, first_login datetime(3), last_login datetime(3), birthday date,
    last_order_date datetime(3), order_count int not null default 0, order_total_amount double default 0,
    account_type varchar(255) not null default 'private', custom_fields json, created_at datetime(3) not null, updated_at datetime(3)
);
create table customer_address (
    id binary(16) primary key, customer_id binary(16) not null references customer (id) on delete cascade, country_id binary(16) not null,
    country_state_id binary(16), salutation_id binary(16), first_name varchar(255) not null, last_name varchar(255) not null,
    zipcode varchar(50), city varchar(70) not null, company varchar(255), street varchar(255) not null,
    department varchar(255), title varchar(100), phone_number varchar(40), additional_address_line1 varchar(255),
    additional_address_line2 varchar(255), custom_fields json, created_at datetime(3) not null, updated_at datetime(3)
);
create table `order` (
    id binary(16) not null, version_id binary(16) not null, auto_increment bigint unsigned not null auto_increment unique, order_number varchar(64),
    billing_address_id binary(16) not null, currency_id binary(16) not null, language_id binary(16) not null,
    sales_channel_id binary(16) not null, order_date_time datetime(3) not null,
    order_date date generated always as (cast(order_date_time as date)) stored, price json not null,
    amount_total double generated always as (json_unquote(json_extract(price, '$.totalPrice'))) virtual,
    shipping_costs json not null default '{}', currency_factor double, deep_link_code varchar(32),
    affiliate_code varchar(255), campaign_code varchar(255), customer_comment text, state_id binary(16) not null,
    custom_fields json, created_at datetime(3) not null, updated_at datetime(3), primary key (id, version_id)
);
create table country (
    id binary(16) primary key, iso varchar(255), position int not null default 1, active tinyint(1) not null default 1,
    shipping_available tinyint(1) not null default 1, iso3 varchar(45), display_state_in_registration tinyint(1) not null default 0,
    force_state_in_registration tinyint(1) not null default 0, vat_id_pattern varchar(255), created_at datetime(3) not null, updated_at datetime(3)
);
create table salutation (
    id binary(16) primary key, salutation_key varchar(255) not null unique, created_at datetime(3) not null, updated_at datetime(3)
);
create table newsletter_recipient (
    id binary(16) primary key, email varchar(255) collate utf8mb4_unicode_ci not null, title varchar(255), first_name varchar(255),
    last_name varchar(255), zip_code varchar(255), city varchar(255), street varchar(255), status varchar(255) not null,
    hash varchar(255) not null default '', custom_fields json, salutation_id binary(16), language_id binary(16) not null,
    sales_channel_id binary(16) not null, confirmed_at datetime(3), created_at datetime(3) not null, updated_at datetime(3)
);
create table currency (
    id binary(16) primary key, iso_code char(3) not null unique, factor double not null, symbol varchar(255) not null,
    position int not null default 1, item_rounding json, total_rounding json, tax_free_from double default 0,
    created_at datetime(3) not null, updated_at datetime(3)
);
create table state_machine_state (
    id binary(16) primary key, technical_name varchar(255) not null, state_machine_id binary(16) not null,
    created_at datetime(3) not null, updated_at datetime(3)
);
create table order_customer (
    id binary(16) not null, version_id binary(16) not null, customer_id binary(16), order_id binary(16) not null,
    order_version_id binary(16) not null, email varchar(254) not null, salutation_id binary(16), first_name varchar(255) not null,
    last_name varchar(255) not null, title varchar(100), company varchar(255), vat_ids json, customer_number varchar(255),
    remote_address varchar(255), custom_fields json, created_at datetime(3) not null, updated_at datetime(3),
    primary key (id, version_id)
);
insert into customer (id, customer_group_id, sales_channel_id, language_id, default_billing_address_id, default_shipping_address_id,
    customer_number, salutation_id, first_name, last_name, email, vat_ids, guest, birthday, created_at) values
    (x'0190a1b2c3d47e5f8091a2b3c4d5e6f7', x'cfbd5018d38d41d8adca10d94fc8bdd6', x'98432def39fc4624b33213a56b8c944d', x'2fbb5fe2e29a4d70aa5854ce7ce3e20b',
     x'0190a1b2c3d47e5f8091a2b3c4d50001', x'0190a1b2c3d47e5f8091a2b3c4d50001', '10000', x'5a01', 'Max', 'Mustermann', 'max@Mustermann.example',
     '["DE123456788", "ATU12345675"]', false, '1980-05-17', '2026-01-01 10:00:00.123'),
    -- Bytes that end in zeros stay as they are.
    (x'0190a1b2c3d47e5f8091a2b3c4000000', x'cfbd5018d38d41d8adca10d94fc8bdd6', x'98432def39fc4624b33213a56b8c944d', x'2fbb5fe2e29a4d70aa5854ce7ce3e20b',
     x'0190a1b2c3d47e5f8091a2b3c4d50002', x'0190a1b2c3d47e5f8091a2b3c4d50002', '10001', x'5a02', 'Erika', 'Gäßler', 'erika@beispiel.example', null, false, null, '2026-01-02 10:00:00'),
    (x'0190a1b2c3d47e5f8091a2b3c4d5e6ff', x'cfbd5018d38d41d8adca10d94fc8bdd6', x'98432def39fc4624b33213a56b8c944d', x'2fbb5fe2e29a4d70aa5854ce7ce3e20b',
     x'0190a1b2c3d47e5f8091a2b3c4d50003', x'0190a1b2c3d47e5f8091a2b3c4d50003', '10002', x'5a03', 'Guest', 'Guest', 'guest@beispiel.example', '[]', true, null, '2026-01-03 10:00:00');
insert into customer_address (id, customer_id, country_id, first_name, last_name, zipcode, city, street, phone_number, additional_address_line1, created_at) values
    (x'0190a1b2c3d47e5f8091a2b3c4d50001', x'0190a1b2c3d47e5f8091a2b3c4d5e6f7', x'01', 'Max', 'Mustermann', '48624', 'Schöppingen', 'Ebbinghoff 10', '030 901820', null, '2026-01-01 10:00:00'),
    (x'0190a1b2c3d47e5f8091a2b3c4d50002', x'0190a1b2c3d47e5f8091a2b3c4000000', x'02', 'Erika', 'Gäßler', null, 'Berlin', 'Am Markt 1', null, 'Hinterhaus', '2026-01-02 10:00:00'),
    (x'0190a1b2c3d47e5f8091a2b3c4d50003', x'0190a1b2c3d47e5f8091a2b3c4d5e6ff', x'01', 'Guest', 'Guest', '10115', 'Berlin', 'Weg 2', null, null, '2026-01-03 10:00:00');
insert into `order` (id, version_id, order_number, billing_address_id, currency_id, language_id, sales_channel_id, order_date_time, price, state_id, created_at) values
    (x'0191ffffffff7000800000000000aa01', x'0fa91ce3e96a4bc2be4bd9ce752c3425', '10000', x'01', x'b7d2554b0ce847cd82f3ac9bd1c0dfca', x'01', x'01',
     '2026-03-31 22:30:00.500', '{"netPrice": 100.83, "rawTotal": 119.99, "taxStatus": "gross", "totalPrice": 119.99, "calculatedTaxes": [{"tax": 19.16, "taxRate": 19}]}', x'01', '2026-03-31 22:30:00.500'),
    -- Somebody is editing it in the administration: a version of its own.
    (x'0191ffffffff7000800000000000aa01', x'0191ffffffff7000800000000000bb01', '10000', x'01', x'b7d2554b0ce847cd82f3ac9bd1c0dfca', x'01', x'01',
     '2026-03-31 22:30:00.500', '{"netPrice": 1, "totalPrice": 1}', x'01', '2026-04-01 08:00:00');
-- Ids that end in zeros, all of them.
insert into country (id, iso, iso3, created_at) values (x'01', 'DE', 'DEU', '2026-01-01'), (x'02', 'AT', 'AUT', '2026-01-01');
insert into salutation (id, salutation_key, created_at) values (x'5a01', 'mr', '2026-01-01'), (x'5a02', 'mrs', '2026-01-01'), (x'5a03', 'not_specified', '2026-01-01');
insert into currency (id, iso_code, factor, symbol, created_at) values
    (x'b7d2554b0ce847cd82f3ac9bd1c0dfca', 'EUR', 1, '€', '2026-01-01'), (x'c0', 'CHF', 0.94, 'Fr.', '2026-01-01');
insert into state_machine_state (id, technical_name, state_machine_id, created_at) values
    (x'01', 'open', x'0a', '2026-01-01'), (x'02', 'in_progress', x'0a', '2026-01-01'), (x'03', 'cancelled', x'0a', '2026-01-01'),
    (x'04', 'paid_partially', x'0b', '2026-01-01');
-- Written as she likes it, in two sales channels; what she said last counts. The other one left.
insert into newsletter_recipient (id, email, status, language_id, sales_channel_id, created_at, updated_at) values
    (x'a1', 'ERIKA@Beispiel.example', 'optOut', x'01', x'01', '2026-01-02 10:00:00', '2026-01-03 10:00:00'),
    (x'a2', 'erika@beispiel.example', 'optIn', x'01', x'02', '2026-01-04 10:00:00', null),
    (x'a3', 'Max@mustermann.example', 'optOut', x'01', x'01', '2026-01-02 10:00:00', null);
insert into order_customer (id, version_id, customer_id, order_id, order_version_id, email, first_name, last_name, created_at) values
    (x'0c01', x'0fa91ce3e96a4bc2be4bd9ce752c3425', x'0190a1b2c3d47e5f8091a2b3c4000000', x'0191ffffffff7000800000000000aa01', x'0fa91ce3e96a4bc2be4bd9ce752c3425',
     'erika@beispiel.example', 'Erika', 'Gäßler', '2026-03-31 22:30:00.500'),
    (x'0c01', x'0191ffffffff7000800000000000bb01', x'0190a1b2c3d47e5f8091a2b3c4d5e6f7', x'0191ffffffff7000800000000000aa01', x'0191ffffffff7000800000000000bb01',
     'max@mustermann.example', 'Max', 'Mustermann', '2026-04-01 08:00:00');
