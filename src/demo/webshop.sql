-- The web shop's products, in the character set and the types that such shops have.

create table product (
    id          int unsigned auto_increment primary key,
    sku         varchar(40) not null,
    name        varchar(200) character set latin1 not null,
    kind        enum('tea', 'coffee', 'chocolate') not null,
    price       decimal(8, 2) unsigned not null,
    for_sale    tinyint(1) not null default 1,
    description text,
    listed_at   datetime not null default current_timestamp,
    views       bigint unsigned not null default 0            -- counted at each visit: no mapping names it
);

create user passerelle@'127.0.0.1' identified by 'demo';
grant replication slave, binlog monitor on *.* to passerelle@'127.0.0.1';
grant select on webshop.* to passerelle@'127.0.0.1';
