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
