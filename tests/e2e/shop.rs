//! A shop of three related tables: random transactions on it, and what the CRM has to hold for what it holds. The second
//! is written from the mapping as a person reads it, and shares nothing with the code that evaluates it.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::database::Database;
use crate::records::{self, Fields, Records, points_at};
use crate::table::mapping;
use crate::world::World;

/// What differs between the servers' SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    Mariadb,
}

/// Its tables in MariaDB, without foreign keys: what those do to other rows stands in no log there. So the statements do
/// it themselves.
pub(crate) const MARIADB_TABLES: &str = "
    create table account (
        id int primary key, code varchar(60) not null unique, name text not null, city text, revenue decimal(14,2),
        note text, active boolean, parent int
    );
    create table contact (
        id int primary key, code varchar(60) not null unique, name text not null, email text, bio text, account int,
        boss int, referrer int
    );
    create table orders (
        id int primary key, code varchar(60) not null unique, state text, total decimal(12,2), ordered_on date not null,
        account int, contact int
    );
    create table noise (n int);";

/// Its tables. Circles are allowed everywhere; `referrer` may name nobody.
pub(crate) const TABLES: &str = "
    create table account (
        id int primary key, code text not null, name text not null, city text, revenue numeric(14,2), note text,
        active boolean, parent int references account on update cascade on delete set null,
        unique (code) deferrable initially deferred
    );
    create table contact (
        id int primary key, code text not null, name text not null, email text, bio text,
        account int references account on update cascade on delete set null,
        boss int references contact on update cascade on delete set null, referrer int,
        unique (code) deferrable initially deferred
    );
    create table orders (
        id int primary key, code text not null, state text, total numeric(12,2), ordered_on date not null,
        account int references account on update cascade on delete set null,
        contact int references contact on update cascade on delete set null,
        unique (code) deferrable initially deferred
    );
    create table noise (n int);
    alter table account alter note set storage external;
    alter table contact alter bio set storage external;";

/// Their mappings.
pub(crate) fn mappings() -> String {
    let all = "guard = { deletes = \"100%\" }";
    mapping(
        "accounts",
        "account",
        "Account",
        &format!("{all}\ndeleted = \"not active\""),
        "Name = { value = \"name\", required = true }
         BillingCity = \"city | trim | upper\"
         AnnualRevenue = \"revenue | round\"
         Description = \"note\"
         Parent = { reference = \"accounts\", value = \"parent\" }",
    ) + &mapping(
        "contacts",
        "contact",
        "Contact",
        all,
        "LastName = { value = \"name | truncate(20)\", required = true }
         Email = { value = \"email | email\", on_bad = \"null\" }
         Description = \"bio\"
         Account = { reference = \"accounts\", value = \"account\" }
         ReportsTo = { reference = \"contacts\", value = \"boss\" }
         Referrer__r = { reference = \"contacts\", value = \"referrer\" }",
    ) + &mapping(
        "orders",
        "orders",
        "Order",
        &format!("{all}\nwhere = \"state != 'draft'\"\non_leave = \"delete\""),
        "Name = \"'Order ' ~ code\"
         Status = { value = \"state\", map = { open = \"Open\", paid = \"Paid\" }, other = { const = \"Other\" } }
         TotalAmount = \"total\"
         EffectiveDate = \"ordered_on\"
         Account = { reference = \"accounts\", value = \"account\" }
         BillToContact = { reference = \"contacts\", value = \"contact\" }",
    )
}

/// The fields of a row's record, those that are null left out.
type Given<'a> = &'a dyn Fn(&Value) -> Vec<(&'static str, Option<String>)>;

/// What the CRM has to hold, by object.
pub(crate) fn expected<S: Database>(world: &World<S>) -> [(&'static str, Records); 3] {
    let [accounts, contacts, orders] = ["account", "contact", "orders"].map(|table| world.server.rows(table));
    let of = |parents: &[Value], id: &Value, has: fn(&Value) -> bool| {
        let parent = parents.iter().find(|row| !id.is_null() && row["id"] == *id && has(row));
        parent.map(|row| points_at(row["code"].as_str().unwrap()))
    };
    // A boolean of MariaDB is a number.
    let is_active = |row: &Value| row["active"] != false && row["active"] != 0;
    let account = |id: &Value| of(&accounts, id, is_active);
    let contact = |id: &Value| of(&contacts, id, |_| true);
    let records = |rows: &[Value], fields: Given<'_>| -> Records {
        let record = |row: &Value| -> (String, Fields) {
            let given = fields(row).into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            (row["code"].as_str().unwrap().to_owned(), given.collect())
        };
        rows.iter().map(record).collect()
    };
    let active: Vec<Value> = accounts.iter().filter(|row| is_active(row)).cloned().collect();
    let ordered = |row: &&Value| row["state"].as_str().is_some_and(|state| state != "draft");
    let ordered: Vec<Value> = orders.iter().filter(ordered).cloned().collect();
    [
        (
            "Account",
            records(&active, &|row| {
                let city = row["city"].as_str().map(|city| city.trim().to_uppercase()).filter(|city| !city.is_empty());
                // Half away from zero, as people round.
                let revenue = row["revenue"].as_f64().map(|revenue| format!("{:?}", revenue.round()));
                vec![
                    ("Name", text(&row["name"])),
                    ("BillingCity", city.map(|city| format!("{city:?}"))),
                    ("AnnualRevenue", revenue),
                    ("Description", text(&row["note"])),
                    ("ParentId", account(&row["parent"])),
                ]
            }),
        ),
        (
            "Contact",
            records(&contacts, &|row| {
                let name: String = row["name"].as_str().unwrap().chars().take(20).collect();
                let email = row["email"].as_str().filter(|email| email.contains('@'));
                vec![
                    ("LastName", Some(format!("{name:?}"))),
                    ("Email", email.map(|email| format!("{email:?}"))),
                    ("Description", text(&row["bio"])),
                    ("AccountId", account(&row["account"])),
                    ("ReportsToId", contact(&row["boss"])),
                    ("Referrer__c", contact(&row["referrer"])),
                ]
            }),
        ),
        (
            "Order",
            records(&ordered, &|row| {
                let status = match row["state"].as_str().unwrap() {
                    "open" => "\"Open\"",
                    "paid" => "\"Paid\"",
                    _ => "\"Other\"",
                };
                vec![
                    ("Name", Some(format!("\"Order {}\"", row["code"].as_str().unwrap()))),
                    ("Status", Some(status.to_owned())),
                    ("TotalAmount", row["total"].as_f64().map(|total| format!("{total:?}"))),
                    ("EffectiveDate", text(&row["ordered_on"])),
                    ("AccountId", account(&row["account"])),
                    ("BillToContactId", contact(&row["contact"])),
                ]
            }),
        ),
    ]
}

/// Waits until every record of the CRM is as the source says, in full and no record more.
pub(crate) async fn assert_equal<S: Database>(world: &World<S>) {
    for (object, expected) in expected(world) {
        world.expect(object, &expected).await;
    }
}

fn text(value: &Value) -> Option<String> {
    // The CRM takes empty text for null.
    (!value.is_null() && value != "").then(|| records::printed(value))
}

/// Random transactions, the same ones for the same seed.
pub(crate) struct Shopping {
    dialect: Dialect,
    dice: StdRng,
    n: u64,
}

impl Shopping {
    pub(crate) fn new(seed: u64) -> Self {
        Self::in_dialect(Dialect::Postgres, seed)
    }

    pub(crate) fn in_dialect(dialect: Dialect, seed: u64) -> Self {
        Self { dialect, dice: StdRng::seed_from_u64(seed), n: 0 }
    }

    /// A transaction, sometimes rolled back in part or whole. One that breaks a constraint is rolled back by the server.
    pub(crate) fn transaction(&mut self) -> String {
        let mut sql = "begin;".to_owned();
        for _ in 0..self.dice.random_range(1..=8) {
            let statement = self.statement();
            if self.one_in(10) {
                sql = format!("{sql}savepoint s; {statement} rollback to s;");
            } else {
                sql.push_str(&statement);
            }
        }
        sql.push_str(if self.one_in(8) { "rollback" } else { "commit" });
        sql
    }

    fn statement(&mut self) -> String {
        self.n += 1;
        match self.dice.random_range(0..20) {
            0..7 => self.on_account(),
            7..13 => self.on_contact(),
            13..19 => self.on_order(),
            _ => self.dialect.noise(),
        }
    }

    fn on_account(&mut self) -> String {
        let (sql, id, other, n) = (self.dialect, self.id(40), self.id(40), self.n);
        let (word, long, amount) = (self.word(), self.long(), self.dice.random_range(0..9_999_999));
        match self.dice.random_range(0..13) {
            0..4 => sql.insert(
                "account (id, code, name, city, revenue, note, active, parent)",
                &format!(
                    "{id}, 'a{id}', '{word}', ' {word} ', {amount} / 100.0, {long}, null, {}",
                    sql.an_account(other)
                ),
            ),
            4 => format!("update account set name = '{word} {n}', city = null where id = {id};"),
            5 => format!("update account set revenue = {amount} / 100.0 where id in ({id}, {other});"),
            6 => format!("update account set note = {long} where id = {id};"),
            7 => format!("update account set code = 'a{id}-{n}' where id = {id};"),
            8 => sql.swap("account", id, other),
            9 => format!(
                "update account set id = id + 1000, city = '{word}' where id = {id};{}",
                sql.follow(ACCOUNT_REFERENCES, id, "+ 1000")
            ),
            10 => format!(
                "delete from account where id in ({id}, {other} + 1000);{}{}",
                sql.follow(ACCOUNT_REFERENCES, id, "* null"),
                sql.follow(ACCOUNT_REFERENCES, other + 1000, "* null")
            ),
            11 => format!("update account set parent = {} where id = {id};", sql.an_account(other)),
            _ => format!(
                "update account set active = not coalesce(active, true) where id = {id};
                 update account set parent = null where parent = {id};
                 update contact set account = null where account = {id};
                 update orders set account = null where account = {id};"
            ),
        }
    }

    fn on_contact(&mut self) -> String {
        let (sql, id, other, n) = (self.dialect, self.id(80), self.id(80), self.n);
        let (word, long) = (self.word(), self.long());
        // Who referred whom never changes; they may come later, or never.
        let referrer = id * 7 % 100;
        match self.dice.random_range(0..12) {
            0..4 => sql.insert(
                "contact (id, code, name, email, bio, account, boss, referrer)",
                &format!(
                    "{id}, 'c{id}', '{word}', '{word}@example.org', {long}, {}, {}, {referrer}",
                    sql.an_account(other),
                    sql.a_contact(other)
                ),
            ),
            4 => format!("update contact set name = '{word} and a long name {n}' where id = {id};"),
            5 => format!(
                "update contact set email = case id % 2 when 0 then 'none' else '{word}{n}@example.org' end where id in ({id}, {other});"
            ),
            6 => format!("update contact set bio = {long} where id = {id};"),
            7 => sql.swap("contact", id, other),
            8 => format!("delete from contact where id = {id};{}", sql.follow(CONTACT_REFERENCES, id, "* null")),
            9 => format!("update contact set boss = {} where id = {id};", sql.a_contact(other)),
            10 => format!("update contact set account = {} where id in ({id}, {other});", sql.an_account(other % 40)),
            _ => format!("update contact set code = 'c{id}-{n}', name = '{word}' where id = {id};"),
        }
    }

    fn on_order(&mut self) -> String {
        let (sql, id, other, n) = (self.dialect, self.id(100), self.id(40), self.n);
        let (amount, day) = (self.dice.random_range(0..99_999), self.dice.random_range(0..700));
        let state = *["'draft'", "'open'", "'open'", "'paid'", "'lost'", "null"].choose(&mut self.dice).unwrap();
        match self.dice.random_range(0..10) {
            0..4 => sql.insert(
                "orders (id, code, state, total, ordered_on, account, contact)",
                &format!(
                    "{id}, 'o{id}', {state}, {amount} / 100.0, {}, {}, {}",
                    sql.day(day),
                    sql.an_account(other),
                    sql.a_contact(other)
                ),
            ),
            4..6 => format!("update orders set state = {state} where id = {id};"),
            6 => {
                format!("update orders set total = total + 1, ordered_on = {} where id % 10 = {id} % 10;", sql.day(day))
            }
            7 => format!("delete from orders where id = {id};"),
            8 => format!(
                "update orders set id = id + 1000 where id = {id}; delete from orders where id = {other} + 1000;"
            ),
            _ => format!("update orders set code = 'o{id}-{n}', contact = {} where id = {id};", sql.a_contact(other)),
        }
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.dice.random_ratio(1, n)
    }

    fn id(&mut self, most: u32) -> u32 {
        self.dice.random_range(1..=most)
    }

    fn word(&mut self) -> String {
        let words = ["ada", "bob", "cid", "dan", "eve", "fay", "gus", "hal", "ida", "joe"];
        format!("{}{}", words.choose(&mut self.dice).unwrap(), self.n % 10)
    }

    /// A text that is stored apart from its row, or none, or a short one.
    fn long(&mut self) -> String {
        match self.dice.random_range(0..4) {
            0 => "null".to_owned(),
            1 => "'short'".to_owned(),
            _ => format!("repeat(md5('{}'), {})", self.n, self.dice.random_range(70..200)),
        }
    }
}

/// What refers to an account, and to a contact: table and column.
const ACCOUNT_REFERENCES: &[(&str, &str)] = &[("account", "parent"), ("contact", "account"), ("orders", "account")];
const CONTACT_REFERENCES: &[(&str, &str)] = &[("contact", "boss"), ("orders", "contact")];

impl Dialect {
    fn noise(self) -> String {
        match self {
            Self::Postgres => "insert into noise select generate_series(1, 50);".to_owned(),
            Self::Mariadb => "insert into noise select seq from seq_1_to_50;".to_owned(),
        }
    }

    /// A row, unless there is one of its key.
    fn insert(self, into: &str, values: &str) -> String {
        match self {
            Self::Postgres => format!("insert into {into} values ({values}) on conflict (id) do nothing;"),
            Self::Mariadb => format!("insert ignore into {into} values ({values});"),
        }
    }

    fn day(self, day: u32) -> String {
        match self {
            Self::Postgres => format!("date '2025-01-01' + {day}"),
            Self::Mariadb => format!("date_add('2025-01-01', interval {day} day)"),
        }
    }

    /// An account that is in the CRM, or null where that one is not.
    fn an_account(self, id: u32) -> String {
        self.one(&format!("select id from account where id = {id} and active is not false"))
    }

    fn a_contact(self, id: u32) -> String {
        self.one(&format!("select id from contact where id = {id}"))
    }

    fn one(self, query: &str) -> String {
        match self {
            Self::Postgres => format!("({query})"),
            // It may read the table that it writes only from a table of its own.
            Self::Mariadb => format!("(select id from ({query}) q)"),
        }
    }

    fn swap(self, table: &str, one: u32, other: u32) -> String {
        match self {
            Self::Postgres => format!(
                "update {table} t set code = o.code from {table} o where (t.id, o.id) in (({one}, {other}), ({other}, {one}));"
            ),
            // Keys are compared row by row: in two steps.
            Self::Mariadb => format!(
                "set @one = (select code from {table} where id = {one}), @other = (select code from {table} where id = {other});
                 update {table} set code = concat(code, '~') where id in ({one}, {other}) and @one <> @other;
                 update {table} set code = if(id = {one}, @other, @one) where id in ({one}, {other}) and @one <> @other;"
            ),
        }
    }

    /// What a foreign key does to the rows that refer to `id`: `change` is what becomes of the reference.
    fn follow(self, references: &[(&str, &str)], id: u32, change: &str) -> String {
        let follow = |(table, column): &(&str, &str)| {
            format!("update {table} set {column} = {column} {change} where {column} = {id};")
        };
        match self {
            Self::Postgres => String::new(),
            Self::Mariadb => references.iter().map(follow).collect(),
        }
    }
}
