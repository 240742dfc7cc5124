-- WordPress 6 and WooCommerce 9 with orders in their own tables.
set sql_mode = '';
create table wp_users (
    `ID` bigint(20) unsigned not null auto_increment primary key, user_login varchar(60) not null default '',
    user_pass varchar(255) not null default '', user_nicename varchar(50) not null default '',
    user_email varchar(100) not null default '', user_url varchar(100) not null default '',
    user_registered datetime not null default '0000-00-00 00:00:00',
    user_activation_key varchar(255) not null default '', user_status int not null default 0,
    display_name varchar(250) not null default ''
);
create table wp_wc_orders (
    id bigint(20) unsigned primary key, status varchar(20), currency varchar(10), type varchar(20), tax_amount decimal(26,8),
    total_amount decimal(26,8), customer_id bigint(20) unsigned, billing_email varchar(320), date_created_gmt datetime,
    date_updated_gmt datetime, parent_order_id bigint(20) unsigned, payment_method varchar(100), payment_method_title text,
    transaction_id varchar(100), ip_address varchar(100), user_agent text, customer_note text
);
create table wp_usermeta (
    umeta_id bigint(20) unsigned not null auto_increment primary key, user_id bigint(20) unsigned not null default 0,
    meta_key varchar(255), meta_value longtext, key user_id (user_id), key meta_key (meta_key(191))
);
create table wp_wc_order_addresses (
    id bigint(20) unsigned not null auto_increment primary key, order_id bigint(20) unsigned not null, address_type varchar(20),
    first_name text, last_name text, company text, address_1 text, address_2 text, city text, state text, postcode text,
    country text, email varchar(320), phone varchar(100), key order_id (order_id), unique (address_type, order_id)
);
insert into wp_users (`ID`, user_login, user_pass, user_email, user_registered, display_name) values
    (1, 'admin', '$wp$2y$10$x', 'admin@Acme.example', '2024-01-01 00:00:00', 'admin'),
    (2, 'camille', '$wp$2y$10$y', 'Camille@Exemple.FR', '2026-01-31 23:30:00', 'Camille Durand'),
    (3, 'imported', '', '', '0000-00-00 00:00:00', '');
insert into wp_wc_orders (id, status, currency, type, tax_amount, total_amount, customer_id, billing_email, date_created_gmt, date_updated_gmt, parent_order_id) values
    (100, 'wc-completed', 'EUR', 'shop_order', 8.31660000, 49.90000000, 2, 'camille@exemple.fr', '2026-02-28 23:30:00', '2026-03-01 08:00:00', 0),
    (101, 'wc-checkout-draft', 'EUR', 'shop_order', 0, 12.00000000, 0, null, '2026-03-01 09:00:00', '2026-03-01 09:00:00', 0),
    (102, 'trash', 'EUR', 'shop_order', 0, 5.00000000, 0, null, '2026-03-01 09:00:00', '2026-03-01 09:00:00', 0),
    (103, 'wc-completed', 'EUR', 'shop_order_refund', 0, -10.00000000, null, null, '2026-03-02 09:00:00', '2026-03-02 09:00:00', 100);
insert into wp_usermeta (user_id, meta_key, meta_value) values
    (1, 'wp_capabilities', 'a:1:{s:13:"administrator";b:1;}'), (1, 'billing_city', 'Nantes'),
    (2, 'nickname', 'camille'), (2, 'first_name', 'Cam'), (2, 'last_name', ''), (2, 'wp_capabilities', 'a:1:{s:8:"customer";b:1;}'),
    (2, 'session_tokens', 'a:1:{s:3:"abc";a:1:{s:10:"expiration";i:1;}}'), (2, 'billing_first_name', 'Camille'),
    (2, 'billing_last_name', 'Durand'), (2, 'billing_address_1', '5 rue Crébillon'), (2, 'billing_address_2', 'Bât. A'),
    (2, 'billing_city', 'Nantes'), (2, 'billing_postcode', '44000'), (2, 'billing_country', 'FR'), (2, 'billing_email', 'Compta@Exemple.FR'),
    (2, 'billing_phone', '02 40 41 90 00'), (2, 'paying_customer', '1'), (2, 'last_update', '1767225600'),
    (3, 'wp_capabilities', 'a:2:{s:8:"customer";b:1;s:10:"subscriber";b:1;}');
insert into wp_wc_order_addresses (order_id, address_type, first_name, last_name, company, address_1, city, postcode, country, email) values
    (100, 'billing', 'Camille', 'Durand', '', '5 rue Crébillon', 'Nantes', '44000', 'FR', 'compta@exemple.fr'),
    (100, 'shipping', 'Camille', 'Durand', 'Bureau', '1 quai', 'Rezé', '44400', 'FR', null);
