-- PrestaShop 8.
create table ps_customer (
    id_customer int(10) unsigned not null auto_increment primary key, id_shop_group int(10) unsigned not null default 1,
    id_shop int(10) unsigned not null default 1, id_gender int(10) unsigned not null default 0, id_default_group int(10) unsigned not null default 1, id_lang int(10) unsigned default null,
    id_risk int(10) unsigned not null default 1, company varchar(255), siret varchar(14), ape varchar(6),
    firstname varchar(255) not null, lastname varchar(255) not null, email varchar(255) not null,
    passwd varchar(255) not null default '', last_passwd_gen timestamp not null default current_timestamp, birthday date,
    newsletter tinyint(1) unsigned not null default 0, ip_registration_newsletter varchar(15), newsletter_date_add datetime,
    optin tinyint(1) unsigned not null default 0, website varchar(128), outstanding_allow_amount decimal(20,6) not null default 0,
    show_public_prices tinyint(1) not null default 0, max_payment_days int(10) unsigned not null default 60,
    secure_key varchar(32) not null default '-1', note text, active tinyint(1) unsigned not null default 0,
    is_guest tinyint(1) not null default 0, deleted tinyint(1) not null default 0,
    date_add datetime not null, date_upd datetime not null
);
create table ps_orders (
    id_order int(10) unsigned not null auto_increment primary key, reference varchar(9), id_shop_group int(10) unsigned not null default 1,
    id_shop int(10) unsigned not null default 1, id_carrier int(10) unsigned not null default 1, id_lang int(10) unsigned not null default 1,
    id_customer int(10) unsigned not null, id_cart int(10) unsigned not null, id_currency int(10) unsigned not null default 1, id_address_delivery int(10) unsigned not null,
    id_address_invoice int(10) unsigned not null, current_state int(10) unsigned not null, secure_key varchar(32) not null default '-1',
    payment varchar(255) not null default '', conversion_rate decimal(13,6) not null default 1, module varchar(255),
    total_discounts decimal(20,6) not null default 0, total_paid decimal(20,6) not null default 0,
    total_paid_tax_incl decimal(20,6) not null default 0, total_paid_tax_excl decimal(20,6) not null default 0,
    total_paid_real decimal(20,6) not null default 0, total_products decimal(20,6) not null default 0,
    total_shipping decimal(20,6) not null default 0, invoice_number int(10) unsigned not null default 0,
    delivery_number int(10) unsigned not null default 0, invoice_date datetime, delivery_date datetime, valid int(10) unsigned not null default 0,
    date_add datetime not null, date_upd datetime not null, note text
);
create table ps_address (
    id_address int(10) unsigned not null auto_increment primary key, id_country int(10) unsigned not null, id_state int(10) unsigned,
    id_customer int(10) unsigned not null default 0, id_manufacturer int(10) unsigned not null default 0,
    id_supplier int(10) unsigned not null default 0, id_warehouse int(10) unsigned not null default 0, alias varchar(32) not null,
    company varchar(255), lastname varchar(255) not null, firstname varchar(255) not null, address1 varchar(128) not null,
    address2 varchar(128), postcode varchar(12), city varchar(64) not null, other text, phone varchar(32), phone_mobile varchar(32),
    vat_number varchar(32), dni varchar(16), date_add datetime not null, date_upd datetime not null,
    active tinyint(1) unsigned not null default 1, deleted tinyint(1) unsigned not null default 0
);
create table ps_country (
    id_country int(10) unsigned not null auto_increment primary key, id_zone int(10) unsigned not null,
    id_currency int(10) unsigned not null default 0, iso_code varchar(3) not null, call_prefix int(10) not null default 0,
    active tinyint(1) unsigned not null default 0, contains_states tinyint(1) not null default 0,
    need_identification_number tinyint(1) not null default 0, need_zip_code tinyint(1) not null default 1,
    zip_code_format varchar(12) not null default '', display_tax_label tinyint(1) not null default 0
);
create table ps_currency (
    id_currency int(10) unsigned not null auto_increment primary key, name varchar(64) not null, iso_code varchar(3) not null default '0',
    numeric_iso_code varchar(3), `precision` int(2) not null default 6, conversion_rate decimal(13,6) not null,
    deleted tinyint(1) unsigned not null default 0, active tinyint(1) unsigned not null default 1,
    unofficial tinyint(1) unsigned not null default 0, modified tinyint(1) unsigned not null default 0
);
insert into ps_customer (id_customer, firstname, lastname, email, birthday, newsletter, newsletter_date_add, active, is_guest, deleted, date_add, date_upd) values
    (1, 'Anonymous', 'Anonymous', 'anonymous@psgdpr.com', null, 0, null, 0, 0, 1, '2025-01-01 00:00:00', '2025-01-01 00:00:00'),
    (2, 'JOHN', 'Doe', 'pub@Prestashop.com', '1970-01-15', 1, '2025-06-13 08:19:15', 1, 0, 0, '2025-07-01 01:30:00', '2025-07-01 01:30:00'),
    -- The same person again as a guest: e-mails are not unique.
    (3, 'john', 'doe', 'pub@prestashop.com', null, 0, null, 1, 1, 0, '2025-12-01 12:00:00', '2025-12-01 12:00:00');
insert into ps_orders (id_order, reference, id_customer, id_cart, id_address_delivery, id_address_invoice, current_state,
    total_paid, total_paid_tax_incl, total_paid_tax_excl, total_paid_real, valid, invoice_date, date_add, date_upd) values
    (1, 'XKBKNABJK', 2, 1, 5, 5, 4, 61.800000, 61.800000, 51.500000, 61.800000, 1, '2026-02-02 00:15:00', '2026-02-02 00:14:59', '2026-02-02 00:15:01'),
    (2, 'XKBKNABJK', 2, 1, 5, 5, 2, 69.900000, 69.896000, 58.250000, 69.900000, 1, '2026-02-02 00:15:00', '2026-02-02 00:14:59', '2026-02-02 00:15:01'),
    (3, 'OHSATSERP', 3, 2, 6, 6, 10, 14.900000, 14.900000, 12.420000, 0.000000, 0, null, '2026-02-03 10:00:00', '2026-02-03 10:00:00');
insert into ps_country (id_country, id_zone, iso_code, call_prefix, active) values (8, 1, 'FR', 33, 1), (21, 2, 'US', 1, 1);
insert into ps_currency (id_currency, name, iso_code, numeric_iso_code, conversion_rate) values
    (1, 'Euro', 'EUR', '978', 1), (2, 'Pound', 'GBP', '826', 0.86);
insert into ps_address (id_address, id_country, id_customer, alias, lastname, firstname, address1, address2, postcode, city, phone, phone_mobile, date_add, date_upd, active, deleted) values
    (2, 8, 2, 'Old', 'DOE', 'John', '1, rue Vieille', null, '75001', 'Paris', '0102030405', null, '2025-07-01 01:30:00', '2026-02-01 00:00:00', 1, 1),
    (5, 8, 2, 'Mon adresse', 'DOE', 'John', '16, Main street', '2nd floor', '75002', 'Paris', '0102030405', '', '2025-07-01 01:30:00', '2025-07-02 01:30:00', 1, 0),
    (4, 21, 2, 'Holidays', 'DOE', 'John', 'Elsewhere 1', '', '33133', 'Miami', '', '', '2025-07-01 01:30:00', '2025-07-01 01:30:00', 1, 0),
    (6, 21, 3, 'My address', 'DOE', 'John', '1 Ocean Drive', '', '33139', 'Miami', '305 673 7400', '305-673-7575', '2025-12-01 12:00:00', '2025-12-01 12:00:00', 1, 0);
update ps_orders set id_currency = 2 where id_order = 2;
