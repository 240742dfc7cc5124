//! Related rows: what a record says of other tables' rows is what SQL says of them, whatever changed, in whichever order,
//! and whoever was killed meanwhile.

mod drift;
mod kinds;
mod moving;

use std::time::Duration;

use passerelle::sandbox::SandboxOptions;
use passerelle_test_servers::PgServer;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::database::{Database, mariadb};
use crate::records::{Records, printed};
use crate::shop::Dialect;
use crate::table::mapping;
use crate::world::World;

/// Partners, and what there is to say of them elsewhere.
pub(crate) const TABLES: &str = "
    create table region (id int primary key, name varchar(40));
    create table country (id int primary key, code varchar(2), region_id int);
    create table partner (
        id int primary key, code varchar(20) not null, name varchar(40) not null, country_id int, firm_id int, mail varchar(60)
    );
    create table mail (id int primary key, partner int, address varchar(60), main int, idx int, kind varchar(10));
    create table meta (id int primary key, partner int, name varchar(20), value varchar(60));
    create table sales (id int primary key, partner int, state varchar(10), total numeric(12,2), sold_on date, shop varchar(10));
    create table blacklist (id int primary key, email varchar(60), active int);";

/// The columns of the view `wanted`, and the fields that they are.
const FIELDS: [(&str, &str); 18] = [
    ("name", "Name"),
    ("country", "Country__c"),
    ("region", "Region__c"),
    ("mail", "Mail__c"),
    ("mails", "Mails__c"),
    ("phone", "Phone"),
    ("fax", "Fax"),
    ("blocked", "Blocked__c"),
    ("orders", "Orders__c"),
    ("total", "Total__c"),
    ("least", "Least__c"),
    ("greatest", "Greatest__c"),
    ("last_on", "Last_On__c"),
    ("last_shop", "Last_Shop__c"),
    ("shops", "Shops__c"),
    ("recent", "Recent__c"),
    ("recent_total", "Recent_Total__c"),
    ("of_firm", "Of_Firm__c"),
];

/// What SQL says of every partner: the same as the mapping, from scratch.
fn view(dialect: Dialect) -> String {
    let joined = |column: &str, order: &str, distinct: &str| match dialect {
        Dialect::Postgres => format!("string_agg({distinct} {column}, ';' order by {order})"),
        Dialect::Mariadb => format!("group_concat({distinct} {column} order by {order} separator ';')"),
    };
    let (mails, shops) = (joined("address", "idx, id", ""), joined("shop", "shop", "distinct"));
    let since = match dialect {
        Dialect::Postgres => "current_date - 365",
        Dialect::Mariadb => "current_date - interval 365 day",
    };
    let sold = "from sales s where s.partner = p.id and s.state = 'sale'";
    format!(
        "create view wanted as select p.code, p.name, c.code as country, r.name as region,
        (select address from mail m where m.partner = p.id and m.kind = 'work'
            order by m.main is null, m.main desc, m.idx is null, m.idx, m.id limit 1) as mail,
        (select {mails} from mail m where m.partner = p.id and address is not null and idx is not null) as mails,
        (select value from meta m where m.partner = p.id and m.name = 'phone' order by m.id limit 1) as phone,
        (select value from meta m where m.partner = p.id and m.name = 'fax' order by m.id limit 1) as fax,
        exists (select 1 from blacklist b where b.email = p.mail and b.active = 1) as blocked,
        (select count(*) {sold}) as orders,
        (select sum(total) {sold}) as total,
        (select min(total) {sold}) as least,
        (select max(total) {sold}) as greatest,
        (select max(sold_on) {sold}) as last_on,
        (select shop {sold} and s.shop is not null and s.sold_on is not null order by s.sold_on desc, s.id desc limit 1) as last_shop,
        (select {shops} {sold}) as shops,
        (select count(*) {sold} and s.sold_on > {since}) as recent,
        (select sum(total) {sold} and s.sold_on > {since}) as recent_total,
        (select sum(s.total) from sales s join partner q on q.id = s.partner where q.firm_id = p.id) as of_firm
        from partner p left join country c on c.id = p.country_id left join region r on r.id = c.region_id
        where c.code is null or c.code <> 'XX'"
    )
}

/// The mapping that says the same.
pub(crate) fn partners() -> String {
    let with = "guard = { deletes = \"100%\" }
where = \"country.code is none or country.code != 'XX'\"
on_leave = \"delete\"
[mapping.partners.with.country]
table = \"public.country\"
on = { id = \"country_id\" }
[mapping.partners.with.country.with.region]
table = \"public.region\"
on = { id = \"region_id\" }
[mapping.partners.with.post]
table = \"public.mail\"
on = { partner = \"id\" }
where = \"kind == 'work'\"
pick = \"main desc, idx\"
[mapping.partners.with.mails]
table = \"public.mail\"
on = { partner = \"id\" }
rollup = { all = \"list(address, by = idx, sep = ';')\" }
[mapping.partners.with.meta]
table = \"public.meta\"
on = { partner = \"id\" }
pivot = { name = \"name\", value = \"value\" }
[mapping.partners.with.black]
table = \"public.blacklist\"
on = { email = \"mail\" }
where = \"active == 1\"
[mapping.partners.with.sales]
table = \"public.sales\"
on = { partner = \"id\" }
where = \"state == 'sale'\"
rollup = { n = \"count()\", total = \"sum(total)\", least = \"min(total)\", greatest = \"max(total)\", last_on = \"max(sold_on)\", last_shop = \"last(shop, by = sold_on)\", shops = \"list(shop, distinct, sep = ';')\", recent = \"count(within = '365d', by = sold_on)\", recent_total = \"sum(total, within = '365d', by = sold_on)\" }
[mapping.partners.with.firm]
table = \"public.sales\"
on = { \"p.firm_id\" = \"id\" }
rollup = { total = \"sum(total)\" }
[mapping.partners.with.firm.with.p]
table = \"public.partner\"
on = { id = \"partner\" }";
    let fields = "Name = \"name\"
Country__c = \"country.code\"
Region__c = \"country.region.name\"
Mail__c = \"post.address\"
Mails__c = \"mails.all\"
Phone = \"meta.phone\"
Fax = \"meta.fax\"
Blocked__c = \"black.email is not none\"
Orders__c = \"sales.n\"
Total__c = \"sales.total\"
Least__c = \"sales.least\"
Greatest__c = \"sales.greatest\"
Last_On__c = \"sales.last_on\"
Last_Shop__c = \"sales.last_shop\"
Shops__c = \"sales.shops\"
Recent__c = \"sales.recent\"
Recent_Total__c = \"sales.recent_total\"
Of_Firm__c = \"firm.total\"";
    // `with` stands before the fields: both are tables of the mapping.
    let (head, tables) = with.split_once("[mapping").unwrap();
    mapping("partners", "partner", "Account", head, fields) + "[mapping" + tables + "\n"
}

/// What the CRM has to hold.
pub(crate) fn expected<S: Database>(world: &World<S>) -> Records {
    let rows = world.server.rows("wanted").into_iter();
    let record = |row: Value| {
        let value = |(column, field): &(&str, &str)| {
            let value = match (*column, &row[*column]) {
                // A boolean of MariaDB is a number, and text to its JSON.
                ("blocked", value) => Value::Bool(*value == true || *value == 1 || *value == "1"),
                // And its decimals are text to JSON.
                ("total" | "least" | "greatest" | "recent_total" | "of_firm", Value::String(text)) => {
                    serde_json::from_str(text).unwrap()
                }
                (_, value) => value.clone(),
            };
            (!value.is_null() && value != "").then(|| ((*field).to_owned(), printed(&value)))
        };
        (row["code"].as_str().unwrap().to_owned(), FIELDS.iter().filter_map(value).collect())
    };
    rows.map(record).collect()
}

/// Random statements.
struct Dealing {
    dice: StdRng,
    dialect: Dialect,
    n: u32,
}

impl Dealing {
    fn transaction(&mut self) -> String {
        let statements: Vec<String> = (0..self.dice.random_range(1..5)).map(|_| self.statement()).collect();
        format!("begin;\n{};\ncommit", statements.join(";\n"))
    }

    fn any(&mut self, most: u32) -> u32 {
        self.dice.random_range(1..=most)
    }

    fn word(&mut self, words: &[&str]) -> String {
        let word = words.choose(&mut self.dice).unwrap();
        if *word == "null" { (*word).to_owned() } else { format!("'{word}'") }
    }

    fn day(&mut self) -> String {
        // Nothing that is a year old today or tomorrow.
        let days = *[0, 1, 30, 200, 300, 400, 700].choose(&mut self.dice).unwrap();
        match self.dialect {
            Dialect::Postgres => format!("current_date - {days}"),
            Dialect::Mariadb => format!("current_date - interval {days} day"),
        }
    }

    fn statement(&mut self) -> String {
        self.n += 1;
        let (id, partner, n) = (self.any(12), self.any(6), self.n);
        let amount = f64::from(self.dice.random_range(-5000..50_000)) / 100.0;
        let kind = self.dice.random_range(0..22);
        match kind {
            0 => format!("update partner set name = 'P {n}' where id = {partner}"),
            1 => format!("update partner set country_id = {} where id = {partner}", self.any(5)),
            2 => format!("update partner set firm_id = {} where id = {partner}", self.any(6)),
            3 => format!("update partner set mail = {} where id = {partner}", self.word(&["a@x", "b@x", "null"])),
            4 => format!("delete from partner where id = {partner}"),
            5 | 6 => {
                let (country, firm) = (self.any(5), self.any(6));
                upsert("partner", partner, &format!("'p{partner}', 'P {n}', {country}, {firm}, 'a@x'"))
            }
            7 => {
                let (country, code, region) = (self.any(4), self.word(&["FR", "DE", "XX", "null"]), self.any(3));
                upsert("country", country, &format!("{code}, {region}"))
            }
            8 => upsert("region", id % 3 + 1, &format!("'R {n}'")),
            9 => format!("delete from country where id = {}", self.any(4)),
            10 | 11 => {
                let (kind, main, idx) = (self.word(&["work", "home"]), self.dice.random_range(0..2), self.any(4));
                upsert("mail", id, &format!("{partner}, 'm{n}@x', {main}, {idx}, {kind}"))
            }
            12 => format!("update mail set main = 1 - main where id = {id}"),
            13 => format!("delete from mail where id = {id}"),
            14 => {
                let name = self.word(&["phone", "fax", "session", "null"]);
                upsert("meta", id, &format!("{partner}, {name}, 'v{n}'"))
            }
            15 => format!("delete from meta where id = {id}"),
            16 | 17 => {
                let (state, shop, day) =
                    (self.word(&["sale", "draft"]), self.word(&["web", "paris", "lyon", "null"]), self.day());
                upsert("sales", id, &format!("{partner}, {state}, {amount}, {day}, {shop}"))
            }
            18 => format!("update sales set partner = {partner} where id = {id}"),
            19 => format!("delete from sales where id = {id}"),
            20 => {
                let (email, active) = (self.word(&["a@x", "b@x", "c@x"]), self.dice.random_range(0..2));
                upsert("blacklist", id % 4, &format!("{email}, {active}"))
            }
            // Another key of a related row.
            _ => format!("delete from sales where id = {id} + 100; update sales set id = id + 100 where id = {id}"),
        }
    }
}

fn upsert(table: &str, id: u32, values: &str) -> String {
    format!("delete from {table} where id = {id}; insert into {table} values ({id}, {values})")
}

async fn equal_whatever_happens<S: Database>(server: S) {
    let seed = std::env::var("PASSERELLE_E2E_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_122);
    eprintln!("PASSERELLE_E2E_SEED={seed} repeats this run's dice");
    let world = World::of(server, TABLES, &partners(), SandboxOptions::default()).await;
    world.sql(&view(S::DIALECT));
    let mut dealing = Dealing { dice: StdRng::seed_from_u64(seed), dialect: S::DIALECT, n: 0 };
    let mut client = world.server.connect().await;
    for _ in 0..40 {
        let sql = dealing.transaction();
        world.server.transaction(&mut client, &sql).await;
    }
    for round in 0..12 {
        world.start().await;
        for _ in 0..dealing.dice.random_range(1..40) {
            let sql = dealing.transaction();
            world.server.transaction(&mut client, &sql).await;
        }
        if round % 3 == 2 {
            world.settled().await;
            world.expect("Account", &expected(&world)).await;
        } else {
            let alive = Duration::from_millis(dealing.dice.random_range(0..700));
            tokio::time::sleep(alive).await; // the moment of the kill is random: nothing is waited for
        }
        world.daemon.borrow_mut().kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_equal_what_sql_says_whatever_changed_and_whoever_was_killed() {
    equal_whatever_happens(PgServer::start().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_equal_what_sql_says_of_mariadb() {
    equal_whatever_happens(mariadb(&[])).await;
}
