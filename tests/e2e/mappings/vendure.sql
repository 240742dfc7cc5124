-- Vendure 3 on PostgreSQL, as TypeORM makes the tables.
create table customer (
    id serial primary key, "createdAt" timestamp(6) not null default now(), "updatedAt" timestamp(6) not null default now(),
    "deletedAt" timestamp, title varchar, "firstName" varchar not null, "lastName" varchar not null,
    "phoneNumber" varchar, "emailAddress" varchar not null, "userId" int, "customFieldsLoyaltyid" varchar(255)
);
create table region (
    id serial primary key, "createdAt" timestamp(6) not null default now(), "updatedAt" timestamp(6) not null default now(),
    code varchar not null, type varchar not null, enabled boolean not null, "parentId" int references region, discriminator varchar not null
);
create table address (
    id serial primary key, "createdAt" timestamp(6) not null default now(), "updatedAt" timestamp(6) not null default now(),
    "fullName" varchar not null default '', company varchar not null default '', "streetLine1" varchar not null,
    "streetLine2" varchar not null default '', city varchar not null default '', province varchar not null default '',
    "postalCode" varchar not null default '', "phoneNumber" varchar not null default '',
    "defaultShippingAddress" boolean not null default false, "defaultBillingAddress" boolean not null default false,
    "customerId" int references customer, "countryId" int references region
);
create table "order" (
    id serial primary key, "createdAt" timestamp(6) not null default now(), "updatedAt" timestamp(6) not null default now(),
    type varchar not null default 'Regular', code varchar not null unique, state varchar not null,
    active boolean not null default true, "orderPlacedAt" timestamp, "couponCodes" text not null default '',
    "shippingAddress" text not null default '{}', "billingAddress" text not null default '{}',
    "currencyCode" varchar not null, "aggregateOrderId" int, "customerId" int references customer, "taxZoneId" int,
    "subTotal" int not null default 0, "subTotalWithTax" int not null default 0, shipping int not null default 0,
    "shippingWithTax" int not null default 0
);
-- Long addresses stand beside the row, and are not in the log again when they did not change.
alter table "order" alter column "shippingAddress" set storage external;
insert into customer (id, title, "firstName", "lastName", "phoneNumber", "emailAddress", "customFieldsLoyaltyid", "deletedAt") values
    (1, 'Ms.', 'Hayden', 'Zieme', '06 12 34 56 78', 'hayden@example.com', 'L-0001', null),
    (2, '', 'Trevor', 'Donnelly ', null, 'trevor@example.com', null, null),
    (3, null, 'Gone', 'Before', null, 'gone@example.com', null, '2026-01-01 00:00:00');
insert into "order" (id, code, type, state, active, "orderPlacedAt", "currencyCode", "customerId", "subTotal", "subTotalWithTax", shipping, "shippingWithTax", "shippingAddress") values
    (1, 'T_1ABCDE', 'Regular', 'PaymentSettled', false, '2026-02-28 23:30:00', 'EUR', 1, 9990, 11988, 417, 500,
     '{"fullName": "Hayden Zieme", "city": "Nîmes", "postalCode": "30000", "customFields": {"note": "' || repeat('leave it at the door, ', 200) || '"}}'),
    (2, 'T_2ABCDE', 'Regular', 'Shipped', false, '2026-03-01 09:00:00', 'JPY', 2, 120000, 132000, 0, 0, '{"city": "東京"}'),
    (3, 'T_3ABCDE', 'Regular', 'PaymentAuthorized', false, '2026-03-01 10:00:00', 'KWD', null, 12345, 12345, 0, 0, '{}'),
    (4, 'T_4ABCDE', 'Seller', 'PaymentSettled', false, '2026-02-28 23:30:00', 'EUR', 1, 9990, 11988, 0, 0, '{}'),
    (5, 'T_5ABCDE', 'Regular', 'AddingItems', true, null, 'EUR', 2, 100, 120, 0, 0, '{}');
insert into region (id, code, type, enabled, discriminator) values
    (1, 'FR', 'country', true, 'country'), (2, 'AT', 'country', true, 'country');
insert into address (id, "fullName", "streetLine1", "streetLine2", city, "postalCode", "phoneNumber", "customerId", "countryId", "defaultBillingAddress", "defaultShippingAddress") values
    (1, 'Hayden Zieme', '9 rue Nationale', '', 'Nîmes', '30000', '', 1, 1, false, true),
    (2, 'Hayden Zieme', '12 bd Gambetta', 'Appt. 3', 'Nîmes', '30900', '', 1, 1, true, false),
    (3, 'Trevor Donnelly', 'Praterstraße 1', '', 'Wien', '1020', '01 5130100', 2, 2, false, false);
