-- Odoo 17: partners and orders, with the tables they refer to.
create table res_country (id serial primary key, name jsonb not null, code varchar(2));
create table res_currency (id serial primary key, name varchar not null, active boolean);
create table res_users (id serial primary key, login varchar not null, partner_id int, active boolean);
create table mail_blacklist (
    id serial primary key, create_uid int, create_date timestamp, write_uid int, write_date timestamp,
    email varchar not null unique, active boolean
);
create table res_partner (
    id serial primary key,
    create_uid int, create_date timestamp, write_uid int, write_date timestamp,
    name varchar, complete_name varchar, parent_id int references res_partner on delete restrict, ref varchar,
    lang varchar, tz varchar, user_id int references res_users on delete set null, vat varchar,
    additional_identifiers jsonb, website varchar, comment text, active boolean, employee boolean, function varchar,
    type varchar, street varchar, street2 varchar, zip varchar, city varchar, state_id int,
    country_id int references res_country on delete restrict, partner_latitude numeric, partner_longitude numeric,
    email varchar, phone varchar, is_company boolean, industry_id int, company_id int, color int,
    partner_share boolean, commercial_partner_id int references res_partner on delete set null,
    commercial_company_name varchar, barcode jsonb, email_normalized varchar, customer_rank int, supplier_rank int
);
create table sale_order (
    id serial primary key,
    create_uid int, create_date timestamp, write_uid int, write_date timestamp,
    name varchar not null, company_id int not null, partner_id int not null references res_partner on delete restrict,
    partner_invoice_id int not null references res_partner on delete restrict,
    partner_shipping_id int not null references res_partner on delete restrict,
    state varchar, locked boolean, client_order_ref varchar, date_order timestamp not null, commitment_date timestamp,
    validity_date date, origin varchar, reference varchar, signed_by varchar, signed_on timestamp, note text,
    fiscal_position_id int, payment_term_id int, pricelist_id int,
    currency_id int references res_currency on delete restrict, currency_rate numeric, user_id int, team_id int,
    amount_untaxed numeric, amount_tax numeric, amount_total numeric, invoice_status varchar,
    campaign_id int, medium_id int, source_id int
);
insert into res_country (id, name, code) values (75, '{"en_US": "France"}', 'FR'), (20, '{"en_US": "Belgium"}', 'BE');
insert into res_currency (id, name, active) values (125, 'EUR', true), (1, 'USD', true);
insert into res_users (id, login, active) values (2, 'admin', true), (6, 'marc.demo@acme.example', true), (7, 'eva@acme.example', true);
insert into mail_blacklist (id, email, active) values (1, 'ada', false), (2, 'someone@else.example', true);
insert into res_partner
    (id, name, parent_id, vat, additional_identifiers, active, type, street, street2, zip, city, country_id, email, phone,
     is_company, commercial_partner_id, customer_rank, supplier_rank, user_id, create_date, write_date)
values
    (10, 'Azur Intérieurs', null, 'fr44732829320', '{"siret": "73282932000074", "naf": "3109B"}', true, 'contact',
     '12 rue de la République', 'Bâtiment C', '06000', 'Nice', 75, 'contact@azur.example', '04 93 13 37 00', true, 10, 4, 0, 6,
     '2026-01-05 08:12:44.120', '2026-03-02 17:40:01'),
    (11, 'Azur Intérieurs Lyon', 10, '', '{"siret": "73282932000075"}', true, 'contact', '3 quai Claude Bernard', '', '69007',
     'Lyon', 75, null, '12', true, 11, 1, 0, null, '2026-01-05 08:13:00', '2026-01-05 08:13:00'),
    -- A supplier, a customer in the archive, an address: no record of these.
    (12, 'Bois du Nord', null, null, null, true, 'contact', null, null, null, 'Lille', 75, null, null, true, 12, 0, 9, null, null, null),
    (13, 'Ancien client', null, null, null, false, 'contact', null, null, null, null, 75, null, null, true, 13, 2, 0, null, null, null),
    (14, 'Azur Intérieurs, facturation', 10, null, null, true, 'invoice', 'BP 7', null, '06001', 'Nice', 75, null, null, false, 10, 0, 0, null, null, null),
    -- People: of a company, of a supplier, of their own.
    (20, 'Jean-Pierre MARTIN', 10, null, null, true, 'contact', null, null, null, null, 75, ' JP.Martin@Azur.Example ', '06 12 34 56 78',
     false, 10, 0, 0, null, null, null),
    (21, 'Mme Ada de Lovelace', null, null, null, true, 'contact', null, null, null, null, 20, 'ada', null, false, 21, 0, 0, null, null, null),
    (22, 'Cher', 12, null, null, true, 'contact', null, null, null, null, null, '', null, false, 12, 0, 0, null, null, null);
insert into sale_order
    (id, name, company_id, partner_id, partner_invoice_id, partner_shipping_id, state, locked, date_order, currency_id, currency_rate,
     amount_untaxed, amount_tax, amount_total, invoice_status)
values
    -- One that stays within the year whenever this runs, and one that never is; that one is in dollars.
    (1, 'S00001', 1, 10, 14, 10, 'sale', false, '2091-06-30 22:30:00', 125, 1.0, 1200.00, 240.00, 1440.00, 'to invoice'),
    (2, 'S00002', 1, 20, 20, 20, 'done', true, '2021-01-31 23:30:00.5', 1, 1.2, 100.00, 20.00, 120.00, 'invoiced'),
    (3, 'S00003', 1, 10, 14, 10, 'draft', false, '2026-07-01 09:00:00', 125, 1.0, 99.90, 19.98, 119.88, 'no'),
    (4, 'S00004', 1, 10, 10, 10, 'cancel', false, '2026-05-04 10:00:00', 125, 1.0, 15.00, 3.00, 18.00, 'no');
-- As Odoo keeps it of every address.
update res_partner set email_normalized = lower(trim(email)) where email like '%@%';
