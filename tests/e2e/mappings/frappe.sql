-- ERPNext 15, as Frappe makes the tables: names are keys, text is varchar(140), flags are small numbers.
create table `tabCustomer` (
    name varchar(140) primary key, creation datetime(6), modified datetime(6), modified_by varchar(140),
    owner varchar(140), docstatus tinyint(4) not null default 0, idx bigint not null default 0, naming_series varchar(140),
    salutation varchar(140), customer_name varchar(140), customer_type varchar(140) default 'Company',
    customer_group varchar(140), territory varchar(140), gender varchar(140), account_manager varchar(140),
    default_currency varchar(140), is_internal_customer tinyint(4) not null default 0, market_segment varchar(140),
    industry varchar(140), website varchar(140), language varchar(140), customer_details text,
    customer_primary_contact varchar(140), mobile_no varchar(140), email_id varchar(140),
    customer_primary_address varchar(140), primary_address text, tax_id varchar(140), tax_category varchar(140),
    payment_terms varchar(140), is_frozen tinyint(4) not null default 0, disabled tinyint(4) not null default 0,
    _user_tags text, _comments text, _assign text, _liked_by text
);
create table `tabContact` (
    name varchar(140) primary key, creation datetime(6), modified datetime(6), modified_by varchar(140),
    owner varchar(140), docstatus tinyint(4) not null default 0, idx bigint not null default 0, first_name varchar(140),
    middle_name varchar(140), last_name varchar(140), full_name varchar(140), email_id varchar(140), `user` varchar(140),
    address varchar(140), status varchar(140) default 'Passive', salutation varchar(140), designation varchar(140),
    gender varchar(140), phone varchar(140), mobile_no varchar(140), company_name varchar(140), image text,
    is_primary_contact tinyint(4) not null default 0, department varchar(140), unsubscribed tinyint(4) not null default 0,
    _user_tags text, _comments text, _assign text, _liked_by text
);
create table `tabSales Order` (
    name varchar(140) primary key, creation datetime(6), modified datetime(6), modified_by varchar(140),
    owner varchar(140), docstatus tinyint(4) not null default 0, idx bigint not null default 0, naming_series varchar(140),
    customer varchar(140), customer_name varchar(140), tax_id varchar(140), order_type varchar(140) default 'Sales',
    transaction_date date, delivery_date date, po_no varchar(140), po_date date, company varchar(140),
    currency varchar(140), conversion_rate decimal(21,9) not null default 0, total_qty decimal(21,9) not null default 0,
    base_total decimal(21,9) not null default 0, total decimal(21,9) not null default 0,
    net_total decimal(21,9) not null default 0, total_taxes_and_charges decimal(21,9) not null default 0,
    base_grand_total decimal(21,9) not null default 0, grand_total decimal(21,9) not null default 0,
    rounded_total decimal(21,9) not null default 0, status varchar(140) default 'Draft', delivery_status varchar(140),
    billing_status varchar(140), per_delivered decimal(21,9) not null default 0, customer_address varchar(140),
    contact_person varchar(140), contact_email varchar(140), territory varchar(140), amended_from varchar(140),
    _user_tags text, _comments text, _assign text, _liked_by text
);
create table `tabContact Email` (
    name varchar(140) primary key, creation datetime(6), modified datetime(6), modified_by varchar(140),
    owner varchar(140), docstatus tinyint(4) not null default 0, idx bigint not null default 0,
    parent varchar(140), parentfield varchar(140), parenttype varchar(140), index (parent),
    email_id varchar(140), is_primary tinyint(4) not null default 0
);
create table `tabContact Phone` (
    name varchar(140) primary key, creation datetime(6), modified datetime(6), modified_by varchar(140),
    owner varchar(140), docstatus tinyint(4) not null default 0, idx bigint not null default 0,
    parent varchar(140), parentfield varchar(140), parenttype varchar(140), index (parent),
    phone varchar(140), is_primary_phone tinyint(4) not null default 0, is_primary_mobile_no tinyint(4) not null default 0
);
create table `tabDynamic Link` (
    name varchar(140) primary key, creation datetime(6), modified datetime(6), modified_by varchar(140),
    owner varchar(140), docstatus tinyint(4) not null default 0, idx bigint not null default 0,
    parent varchar(140), parentfield varchar(140), parenttype varchar(140), index (parent),
    link_doctype varchar(140), link_name varchar(140), link_title varchar(140)
);
create table `tabAddress` (
    name varchar(140) primary key, creation datetime(6), modified datetime(6), modified_by varchar(140),
    owner varchar(140), docstatus tinyint(4) not null default 0, idx bigint not null default 0,
    address_title varchar(140), address_type varchar(140), address_line1 varchar(240), address_line2 varchar(240), city varchar(140),
    county varchar(140), state varchar(140), country varchar(140), pincode varchar(140), email_id varchar(140), phone varchar(140),
    fax varchar(140), tax_category varchar(140), is_primary_address tinyint(4) not null default 0,
    is_shipping_address tinyint(4) not null default 0, disabled tinyint(4) not null default 0,
    _user_tags text, _comments text, _assign text, _liked_by text
);
create table `tabCountry` (
    name varchar(140) primary key, creation datetime(6), modified datetime(6), modified_by varchar(140),
    owner varchar(140), docstatus tinyint(4) not null default 0, idx bigint not null default 0,
    country_name varchar(140) unique, date_format varchar(140), time_format varchar(140), time_zones text, code varchar(140),
    _user_tags text, _comments text, _assign text, _liked_by text
);
insert into `tabCustomer` (name, creation, modified, owner, customer_name, customer_type, tax_id, disabled) values
    ('Grant Plastics Ltd.', '2026-01-02 09:00:00.123456', '2026-01-02 09:00:00.123456', 'Administrator', 'Grant Plastics Ltd.', 'Company', '', 0),
    ('CUST-2026-00001', '2026-01-02 09:00:00', '2026-01-02 09:00:00', 'Administrator', 'Zoé Müller', 'Individual', null, 0),
    ('West View Software Ltd.', '2026-01-02 09:00:00', '2026-01-02 09:00:00', 'Administrator', 'West View Software Ltd.', 'Company', null, 1);
insert into `tabContact` (name, first_name, last_name, full_name, email_id, phone, mobile_no, is_primary_contact, unsubscribed) values
    ('Mark-Grant Plastics Ltd.', 'Mark', 'Jones', 'Mark Jones', 'mark@Grant.example', '01 42 68 53 00', '', 1, 0),
    ('Zoé', 'Zoé', '', 'Zoé', '', '', '+49 30 901820', 0, 1),
    ('accounts@grant.example', '', null, '', 'accounts@grant.example', null, null, 0, 0);
insert into `tabSales Order` (name, customer, customer_name, transaction_date, currency, grand_total, status, docstatus, contact_person) values
    ('SAL-ORD-2026-00001', 'Grant Plastics Ltd.', 'Grant Plastics Ltd.', '2026-02-03', 'EUR', 1234.567000000, 'To Deliver and Bill', 1, 'Mark-Grant Plastics Ltd.'),
    ('SAL-ORD-2026-00002', 'CUST-2026-00001', 'Zoé Müller', '2026-02-04', 'JPY', 12000.000000000, 'Draft', 0, null);
insert into `tabCountry` (name, country_name, code) values ('France', 'France', 'fr'), ('Germany', 'Germany', 'de');
insert into `tabAddress` (name, address_title, address_type, address_line1, address_line2, city, pincode, country, is_primary_address) values
    ('Grant Plastics Ltd.-Billing', 'Grant Plastics Ltd.', 'Billing', '12 rue de la Paix', 'Escalier B', 'Paris', '75002', 'France', 1),
    ('Grant Plastics Ltd.-Shipping', 'Grant Plastics Ltd.', 'Shipping', 'ZI Nord', null, 'Cergy', '95000', 'France', 0);
update `tabCustomer` set customer_primary_address = 'Grant Plastics Ltd.-Billing' where name = 'Grant Plastics Ltd.';
insert into `tabContact Email` (name, idx, parent, parentfield, parenttype, email_id, is_primary) values
    ('e1', 1, 'Mark-Grant Plastics Ltd.', 'email_ids', 'Contact', 'jones@home.example', 0),
    ('e2', 2, 'Mark-Grant Plastics Ltd.', 'email_ids', 'Contact', 'mark@Grant.example', 1),
    ('e3', 1, 'accounts@grant.example', 'email_ids', 'Contact', 'accounts@grant.example', 0);
insert into `tabContact Phone` (name, idx, parent, parentfield, parenttype, phone, is_primary_phone, is_primary_mobile_no) values
    ('p1', 1, 'Mark-Grant Plastics Ltd.', 'phone_nos', 'Contact', '01 42 68 53 01', 0, 0),
    ('p2', 2, 'Mark-Grant Plastics Ltd.', 'phone_nos', 'Contact', '01 42 68 53 00', 1, 0),
    ('p3', 1, 'Zoé', 'phone_nos', 'Contact', '+49 30 901820', 0, 1);
-- A contact may be of a supplier and of a customer; an address has links of its own.
insert into `tabDynamic Link` (name, idx, parent, parentfield, parenttype, link_doctype, link_name, link_title) values
    ('l1', 1, 'Mark-Grant Plastics Ltd.', 'links', 'Contact', 'Supplier', 'CUST-2026-00001', null),
    ('l2', 2, 'Mark-Grant Plastics Ltd.', 'links', 'Contact', 'Customer', 'Grant Plastics Ltd.', 'Grant Plastics Ltd.'),
    ('l3', 1, 'Zoé', 'links', 'Contact', 'Customer', 'CUST-2026-00001', 'Zoé Müller'),
    ('l4', 1, 'Grant Plastics Ltd.-Billing', 'links', 'Address', 'Customer', 'Grant Plastics Ltd.', 'Grant Plastics Ltd.');
