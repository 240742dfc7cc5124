//! Related rows in a preview: each value with the row that it came from.

use passerelle::sandbox::SandboxOptions;
use passerelle_test_servers::PgServer;
use serde_json::Value;

use crate::database::{Database, mariadb};
use crate::world::World;

/// Partners of a firm, and what stands elsewhere of them.
const TABLES: &str = "
    create table region (id int primary key, name varchar(40));
    create table country (id int primary key, code varchar(2), region_id int);
    create table partner (
        id int primary key, code varchar(20) not null, name varchar(40) not null, country_id int, mail varchar(60)
    );
    create table mail (id int primary key, partner int, address varchar(60), kind varchar(10), idx int);
    create table meta (id int primary key, partner int, name varchar(20), value varchar(60));
    create table sales (id int primary key, partner int, state varchar(10), total numeric(12,2), shop varchar(10));
    create table line (sale int, no int, qty int, primary key (sale, no));
    create table blacklist (id int primary key, email varchar(60));
    insert into region values (1, 'Europe');
    insert into country values (7, 'fr', 1), (8, 'XX', null);
    insert into partner values
        (1, 'p1', 'Ada', 7, 'ADA@example.org'), (2, 'p2', 'Bo', null, null), (3, 'p3', 'Elsewhere', 8, null);
    insert into mail values
        (11, 1, 'old@example.org', 'work', 2), (12, 1, 'ada@example.org', 'work', 1), (13, 1, 'home@example.org', 'home', 0);
    insert into meta values (21, 1, 'phone', '01 42 68 53 00'), (22, 1, 'phone', '02'), (23, 1, 'colour', 'red');
    insert into sales values
        (31, 1, 'sale', 10.50, 'b'), (32, 1, 'sale', 4.25, 'a'), (33, 1, 'draft', 99, 'c'), (34, 2, 'sale', 7, null);
    insert into line values (31, 1, 2), (31, 2, 3), (32, 1, 4), (33, 1, 50);
    insert into blacklist values (41, 'ada@example.org'), (42, 'ada@example.org');";

const MAPPING: &str = r#"
[mapping.partners]
source = "erp"
table = "public.partner"
crm = "sales"
object = "Account"
key = { field = "Erp_Id__c", value = "code" }
where = "country.code is none or country.code != 'XX'"

[mapping.partners.with.country]
table = "public.country"
on = { id = "country_id" }
[mapping.partners.with.country.with.region]
table = "public.region"
on = { id = "region_id" }
[mapping.partners.with.post]
table = "public.mail"
on = { partner = "id" }
where = "kind == 'work'"
pick = "idx"
[mapping.partners.with.meta]
table = "public.meta"
on = { partner = "id" }
pivot = { name = "name", value = "value" }
[mapping.partners.with.sold]
table = "public.sales"
on = { partner = "id" }
where = "state == 'sale'"
rollup = { n = "count()", total = "sum(total)", shops = "list(shop, distinct, sep = ';')" }
[mapping.partners.with.lines]
table = "public.line"
on = { "head.partner" = "id" }
where = "head.state == 'sale'"
rollup = { qty = "sum(qty)" }
[mapping.partners.with.lines.with.head]
table = "public.sales"
on = { id = "sale" }
[mapping.partners.with.black]
table = "public.blacklist"
on = { email = "mail | lower" }

[mapping.partners.fields]
Name = "name ~ ' ' ~ country.code | upper"
BillingCountry = "country.code | upper"
Site = "country.region.name"
Website = "post.address"
Phone = "meta.phone | phone('FR')"
Fax = "meta.fax"
AnnualRevenue = "sold.total"
NumberOfEmployees = "lines.qty"
AccountNumber = "sold.shops"
Description = { value = "'blocked'", when = "black.id is not none" }
"#;

async fn is_shown<S: Database>(server: S) {
    let world = World::of(server, TABLES, MAPPING, SandboxOptions::default()).await;
    let text = world.cli(&["preview", "partners", "--key", "1"]);
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/preview/related.txt");
    if std::env::var_os("PASSERELLE_RENEW").is_some() {
        std::fs::write(&golden, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&golden).unwrap());

    let without = world.cli(&["preview", "partners"]);
    assert!(without.contains("no row of public.country: what it is joined by is null"), "{without}");
    assert!(without.contains("0 rows of public.line"), "{without}");
    assert!(without.ends_with("\n1 row was left out by `where`; --key shows one\n"), "{without}");
    let left = world.cli(&["preview", "partners", "--key", "3"]);
    assert!(left.contains("\"XX\"") && left.contains("row 8 of public.country"), "{left}");
    assert!(left.contains("no record: `where` leaves the row out"), "{left}");

    let document: Value = serde_json::from_str(&world.cli(&["preview", "partners", "--json"])).unwrap();
    let rows = document["rows"].as_array().unwrap();
    let from = |field: usize, step: usize| &rows[0]["fields"][field]["value"]["steps"][step]["from"];
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let country = r#"{"relation": "country", "table": "public.country", "row_key": "7", "column": "code"}"#;
    assert_eq!(*from(1, 0), json(country));
    assert_eq!(*from(0, 0), json(country), "{}", rows[0]);
    let phone = r#"{"relation": "meta", "table": "public.meta", "row_key": "21", "name": "phone"}"#;
    assert_eq!(*from(4, 0), json(phone));
    let total = r#"{"relation": "sold", "table": "public.sales", "rows": 2, "figure": "total"}"#;
    assert_eq!(*from(6, 0), json(total));

    // The daemon sends the same.
    world.start().await;
    world.settled().await;
    for row in rows {
        let record: Value = serde_json::from_str(row["upsert"]["record"].as_str().unwrap()).unwrap();
        let kept = world.crm().record("Account", "Erp_Id__c", row["upsert"]["key"].as_str().unwrap()).unwrap();
        let kept = serde_json::to_value(&kept.fields).unwrap();
        for (field, value) in record.as_object().unwrap().iter().filter(|(name, _)| *name != "attributes") {
            assert_eq!(kept.get(field).unwrap_or(&Value::Null), value, "{field}: {row}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_related_rows_are_shown_with_the_rows_that_they_are_of() {
    is_shown(PgServer::start().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_related_rows_are_shown_with_the_rows_that_they_are_of_on_mariadb() {
    is_shown(mariadb(&[])).await;
}
