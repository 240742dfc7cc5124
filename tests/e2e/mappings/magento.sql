-- Magento 2.4 with the prefix m2_.
create table m2_customer_entity (
    entity_id int(10) unsigned not null auto_increment primary key, website_id smallint(5) unsigned, email varchar(255),
    group_id smallint(5) unsigned not null default 0, increment_id varchar(50), store_id smallint(5) unsigned default 0,
    created_at timestamp not null default current_timestamp, updated_at timestamp not null default current_timestamp on update current_timestamp,
    is_active smallint(5) unsigned not null default 1, disable_auto_group_change smallint(5) unsigned not null default 0,
    created_in varchar(255), prefix varchar(40), firstname varchar(255), middlename varchar(255), lastname varchar(255),
    suffix varchar(40), dob date, password_hash varchar(128), rp_token varchar(128), rp_token_created_at timestamp null,
    default_billing int(10) unsigned, default_shipping int(10) unsigned, taxvat varchar(50), confirmation varchar(64), gender smallint(5) unsigned,
    failures_num smallint(5) unsigned default 0, first_failure timestamp null, lock_expires timestamp null, session_cutoff timestamp null,
    unique (email, website_id)
);
create table m2_customer_address_entity (
    entity_id int(10) unsigned not null auto_increment primary key, increment_id varchar(50),
    parent_id int(10) unsigned references m2_customer_entity (entity_id) on delete cascade,
    created_at timestamp not null default current_timestamp, updated_at timestamp not null default current_timestamp on update current_timestamp,
    is_active smallint(5) unsigned not null default 1, city varchar(255) not null, company varchar(255), country_id varchar(255) not null,
    fax varchar(255), firstname varchar(255) not null, lastname varchar(255) not null, middlename varchar(255), postcode varchar(255),
    prefix varchar(40), region varchar(255), region_id int(10) unsigned, street text not null, suffix varchar(40),
    telephone varchar(255) not null, vat_id varchar(255), vat_is_valid int(10) unsigned, vat_request_date varchar(255),
    vat_request_id varchar(255), vat_request_success int(10) unsigned
);
create table m2_customer_group (
    customer_group_id int(10) unsigned not null auto_increment primary key, customer_group_code varchar(32) not null,
    tax_class_id int(10) unsigned not null default 0
);
create table m2_eav_attribute (
    attribute_id smallint(5) unsigned not null auto_increment primary key, entity_type_id smallint(5) unsigned not null default 0,
    attribute_code varchar(255) not null, attribute_model varchar(255), backend_model varchar(255),
    backend_type varchar(8) not null default 'static', backend_table varchar(255), frontend_model varchar(255),
    frontend_input varchar(50), frontend_label varchar(255), frontend_class varchar(255), source_model varchar(255),
    is_required smallint(5) unsigned not null default 0, is_user_defined smallint(5) unsigned not null default 0, default_value text,
    is_unique smallint(5) unsigned not null default 0, note varchar(255), unique (entity_type_id, attribute_code)
);
create table m2_customer_entity_varchar (
    value_id int(11) not null auto_increment primary key, attribute_id smallint(5) unsigned not null default 0,
    entity_id int(10) unsigned not null default 0, value varchar(255), unique (entity_id, attribute_id),
    foreign key (attribute_id) references m2_eav_attribute (attribute_id) on delete cascade,
    foreign key (entity_id) references m2_customer_entity (entity_id) on delete cascade
);
create table m2_customer_entity_int (
    value_id int(11) not null auto_increment primary key, attribute_id smallint(5) unsigned not null default 0,
    entity_id int(10) unsigned not null default 0, value int(11) not null default 0, unique (entity_id, attribute_id),
    foreign key (attribute_id) references m2_eav_attribute (attribute_id) on delete cascade,
    foreign key (entity_id) references m2_customer_entity (entity_id) on delete cascade
);
create table m2_newsletter_subscriber (
    subscriber_id int(10) unsigned not null auto_increment primary key, store_id smallint(5) unsigned default 0,
    change_status_at timestamp null, customer_id int(10) unsigned not null default 0, subscriber_email varchar(150),
    subscriber_status int not null default 0, subscriber_confirm_code varchar(32) default 'NULL'
);
create table m2_sales_order (
    entity_id int(10) unsigned not null auto_increment primary key, state varchar(32), status varchar(32),
    coupon_code varchar(255), protect_code varchar(255), shipping_description varchar(255), is_virtual smallint(5) unsigned,
    store_id smallint(5) unsigned, customer_id int(10) unsigned references m2_customer_entity (entity_id) on delete set null,
    base_grand_total decimal(20,4), base_subtotal decimal(20,4), base_tax_amount decimal(20,4),
    base_total_refunded decimal(20,4), grand_total decimal(20,4), subtotal decimal(20,4), tax_amount decimal(20,4),
    shipping_amount decimal(20,4), discount_amount decimal(20,4), total_paid decimal(20,4), total_due decimal(20,4),
    total_qty_ordered decimal(12,4), customer_is_guest smallint(5) unsigned, billing_address_id int(10) unsigned, shipping_address_id int(10) unsigned,
    customer_group_id int, quote_id int(10) unsigned, weight decimal(12,4), customer_dob datetime, increment_id varchar(50),
    applied_rule_ids varchar(128), base_currency_code varchar(3), order_currency_code varchar(3),
    customer_email varchar(128), customer_firstname varchar(128), customer_lastname varchar(128), remote_ip varchar(45),
    shipping_method varchar(120), store_name varchar(255), customer_note text,
    created_at timestamp not null default current_timestamp, updated_at timestamp not null default current_timestamp on update current_timestamp,
    total_item_count smallint(5) unsigned not null default 0, customer_gender int, unique (increment_id, store_id)
);
create table m2_quote (
    entity_id int(10) unsigned not null auto_increment primary key, store_id smallint(5) unsigned not null default 0,
    created_at timestamp not null default current_timestamp, updated_at timestamp not null default current_timestamp on update current_timestamp,
    is_active smallint(5) unsigned default 1, items_count int(10) unsigned default 0, items_qty decimal(12,4) default 0,
    customer_id int(10) unsigned, customer_email varchar(255), customer_firstname varchar(255), customer_lastname varchar(255),
    grand_total decimal(20,4) default 0, base_grand_total decimal(20,4) default 0, quote_currency_code varchar(255),
    reserved_order_id varchar(64)
);
insert into m2_customer_entity (entity_id, website_id, group_id, email, created_at, is_active, firstname, lastname, dob, gender, password_hash, default_billing) values
    (1, 1, 1, 'roni_cost@Example.COM', '2025-11-03 22:15:07', 1, 'VERONICA', 'Costello', '1973-12-15', 2, 'x:y:3', 11),
    (2, 1, 3, 'anne-lise@exemple.fr', '2026-02-28 09:00:00', 1, 'anne-lise', 'Le Goff', null, 3, null, null),
    (3, 1, 1, 'locked@exemple.fr', '2026-02-28 09:00:00', 0, 'Out', 'Of Order', null, null, null, null);
-- Two addresses, and the default is the second of them.
insert into m2_customer_address_entity (entity_id, parent_id, city, country_id, firstname, lastname, postcode, street, telephone) values
    (10, 1, 'Lille', 'FR', 'Veronica', 'Costello', '59000', '1 place du Général', '03 20 49 50 00'),
    (11, 1, 'Bruxelles', 'BE', 'Veronica', 'Costello', '1000', 'Rue de la Loi 16\nBoîte 4', '02 501 02 11'),
    (12, 2, 'Brest', 'FR', 'Anne-Lise', 'Le Goff', '29200', '2 rue de Siam', '');
insert into m2_customer_group (customer_group_id, customer_group_code, tax_class_id) values (1, 'General', 3), (2, 'Wholesale', 3), (3, 'Retailer', 3);
-- A product's attribute may have the same code.
insert into m2_eav_attribute (attribute_id, entity_type_id, attribute_code, backend_type, is_user_defined) values
    (150, 1, 'loyalty_number', 'varchar', 1), (151, 1, 'loyalty_points', 'int', 1), (152, 1, 'shoe_size', 'int', 1),
    (153, 4, 'loyalty_points', 'int', 1);
insert into m2_customer_entity_varchar (value_id, attribute_id, entity_id, value) values (1, 150, 1, 'FR-0042'), (2, 150, 2, null);
insert into m2_customer_entity_int (value_id, attribute_id, entity_id, value) values (1, 151, 1, 120), (2, 152, 1, 38);
insert into m2_newsletter_subscriber (subscriber_id, store_id, change_status_at, customer_id, subscriber_email, subscriber_status) values
    (1, 1, '2025-11-03 22:16:00', 1, 'roni_cost@Example.COM', 1),
    (2, 1, '2026-01-10 08:00:00', 0, 'passer-by@exemple.fr', 4);
insert into m2_sales_order (entity_id, state, status, store_id, customer_id, base_grand_total, grand_total, increment_id,
    base_currency_code, order_currency_code, customer_email, customer_lastname, customer_is_guest, created_at) values
    (1, 'complete', 'complete', 1, 1, 36.3900, 36.3900, '000000001', 'EUR', 'EUR', 'roni_cost@Example.COM', 'Costello', 0, '2025-12-31 23:30:00'),
    (2, 'processing', 'processing', 1, null, 10000000.0100, 10000000.0100, '000000002', 'EUR', 'USD', 'guest@exemple.fr', null, 1, '2026-03-01 10:00:00'),
    (3, 'new', 'pending', 1, 2, 12.0000, 12.0000, '000000003', 'EUR', 'EUR', 'anne-lise@exemple.fr', 'Le Goff', 0, '2026-03-01 10:00:00');
insert into m2_quote (entity_id, store_id, updated_at, is_active, items_count, customer_id, grand_total) values
    (1, 1, '2026-03-05 12:34:56', 1, 2, 2, 59.9000),
    (2, 1, '2026-03-05 12:34:56', 0, 1, 1, 36.3900),
    (3, 1, '2026-03-05 12:34:56', 1, 0, null, 0.0000);
