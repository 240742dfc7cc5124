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
insert into wp_users (`ID`, user_login, user_pass, user_email, user_registered, display_name) values
    (1, 'admin', '$wp$2y$10$x', 'admin@Acme.example', '2024-01-01 00:00:00', 'admin'),
    (2, 'camille', '$wp$2y$10$y', 'Camille@Exemple.FR', '2026-01-31 23:30:00', 'Camille Durand'),
    (3, 'imported', '', '', '0000-00-00 00:00:00', '');
insert into wp_wc_orders (id, status, currency, type, tax_amount, total_amount, customer_id, billing_email, date_created_gmt, date_updated_gmt, parent_order_id) values
    (100, 'wc-completed', 'EUR', 'shop_order', 8.31660000, 49.90000000, 2, 'camille@exemple.fr', '2026-02-28 23:30:00', '2026-03-01 08:00:00', 0),
    (101, 'wc-checkout-draft', 'EUR', 'shop_order', 0, 12.00000000, 0, null, '2026-03-01 09:00:00', '2026-03-01 09:00:00', 0),
    (102, 'trash', 'EUR', 'shop_order', 0, 5.00000000, 0, null, '2026-03-01 09:00:00', '2026-03-01 09:00:00', 0),
    (103, 'wc-completed', 'EUR', 'shop_order_refund', 0, -10.00000000, null, null, '2026-03-02 09:00:00', '2026-03-02 09:00:00', 100);
