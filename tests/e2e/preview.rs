//! `passerelle preview`: what a person sees of live rows, with and without the daemon.

mod related;

use serde_json::Value;

use crate::world::World;

const TABLES: &str = "
    create type grade as enum ('gold', 'silver', 'lead');
    create table account (
        id int primary key, code text, name text, phone text, email text, grade grade, sum numeric(30,2), born timestamp,
        active boolean not null default true, gone boolean not null default false, parent int
    );
    insert into account values
        (1, 'a1', '  Ada Lovelace  ', '01 42 68 53 00', 'ada@example.org', 'gold', 12345678901234567890.10,
         '2024-05-01 23:30:00', true, false, null),
        (2, 'a2', 'Bo', '12', 'no address', 'lead', null, null, true, false, 1),
        (3, 'a3', 'Old', null, null, 'silver', 0, null, false, false, 1),
        (4, 'a4', 'Gone', null, null, 'silver', 0, null, true, true, 1),
        (5, '', 'Nobody', null, null, 'silver', 0, null, true, false, 3);";

const MAPPING: &str = r#"
[mapping.accounts]
source = "erp"
table = "public.account"
crm = "sales"
object = "Account"
key = { field = "Erp_Id__c", value = "code" }
where = "active"
deleted = "gone"
on_delete = { set = { Site = "closed" } }

[mapping.accounts.fields]
Name = "name | trim | truncate(5)"
Phone = { value = "phone | phone('FR')", on_bad = "null" }
Website = "email | email"
Type = { const = "Customer" }
Rating = { value = "grade", map = { gold = "Hot", silver = "Warm" } }
AnnualRevenue = "sum"
Description = "born"
Parent = { reference = "accounts", value = "parent" }
"#;

async fn world() -> World {
    World::new(TABLES, MAPPING).await
}

/// The lines from `row KEY` to the next row or the end.
fn row<'t>(text: &'t str, key: &str) -> &'t str {
    let start = text.find(&format!("row {key} of public.account\n")).unwrap_or_else(|| panic!("no row {key}:\n{text}"));
    let rest = &text[start..];
    rest.find("\n\nrow ").map_or(rest, |end| &rest[..end])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_shown_field_by_field_and_filter_by_filter() {
    let world = world().await;
    let text = world.cli(&["preview", "accounts", "--key", "1"]);
    let expect = r#"accounts: public.account of erp to Account in sales
Nothing is sent. Each record is shown whole, as it goes to a CRM that has none of it yet;
of a record that is there, only what differs is sent.

row 1 of public.account
  id = 1, code = "a1", name = "  Ada Lovelace  ", phone = "01 42 68 53 00", email = "ada@example.org",
  grade = "gold", sum = 12345678901234567890.10, born = 2024-05-01T23:30:00, active = true, gone = false,
  parent = null

  FIELD          FROM           VALUE
  where          active         true
  deleted        gone           false
  key Erp_Id__c  code           "a1"
  Name           name           "  Ada Lovelace  "
                 | trim         "Ada Lovelace"
                 | truncate(5)  "Ada L"
  Phone          phone          "01 42 68 53 00"
                 | phone('FR')  "+33142685300"
  Website        email          "ada@example.org"
                 | email        "ada@example.org"
  Type           const          "Customer"
  Rating         grade          "gold"
                 map            "Hot"
  AnnualRevenue  sum            12345678901234567890.10
  Description    born           2024-05-01T23:30:00
                 as sent        "2024-05-01T23:30:00Z"
  Parent         parent         null

  upsert of Account by Erp_Id__c = "a1"
    {
      "attributes": {"type":"Account"},
      "Erp_Id__c": "a1",
      "Name": "Ada L",
      "Phone": "+33142685300",
      "Website": "ada@example.org",
      "Type": "Customer",
      "Rating": "Hot",
      "AnnualRevenue": 12345678901234567890.10,
      "Description": "2024-05-01T23:30:00Z",
      "ParentId": null
    }
"#;
    assert_eq!(text, expect);
    // The external key finds the row as well, where it is a plain column.
    assert_eq!(world.cli(&["preview", "accounts", "--key", "a1"]), expect);
    assert_eq!(world.crm().stats().calls, 0, "nobody asked the CRM");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_values_references_and_rows_without_a_record_say_why() {
    let world = world().await;
    let text = world.cli(&["preview", "accounts"]);
    let expect = r#"row 2 of public.account
  id = 2, code = "a2", name = "Bo", phone = "12", email = "no address", grade = "lead", sum = null,
  born = null, active = true, gone = false, parent = 1

  FIELD          FROM           VALUE
  where          active         true
  deleted        gone           false
  key Erp_Id__c  code           "a2"
  Name           name           "Bo"
                 | trim         "Bo"
                 | truncate(5)  "Bo"
  Phone          phone          "12"
                 | phone('FR')  bad: not a valid phone number
                                cleared (on_bad = "null")
  Website        email          "no address"
                 | email        bad: not an e-mail address
                                left out (on_bad = "omit")
  Type           const          "Customer"
  Rating         grade          "lead"
                 map            bad: a value that the map does not name
                                left out (on_bad = "omit")
  AnnualRevenue  sum            null
  Description    born           null
  Parent         parent         1
                 reference      row 1 of mapping accounts: the record with Erp_Id__c = "a1"

  upsert of Account by Erp_Id__c = "a2"
    {
      "attributes": {"type":"Account"},
      "Erp_Id__c": "a2",
      "Name": "Bo",
      "Phone": null,
      "Type": "Customer",
      "AnnualRevenue": null,
      "Description": null,
      "Parent": {"Erp_Id__c":"a1"}
    }"#;
    assert_eq!(row(&text, "2"), expect);
    let gone = row(&text, "4");
    assert!(
        gone.contains("no record: `deleted` is true; on a record that is there, Site = \"closed\" (on_delete)"),
        "{gone}"
    );
    let empty = row(&text, "5");
    assert!(empty.contains("  key Erp_Id__c  code           \"\"\n"), "{empty}");
    assert!(empty.contains("dead letter KEY_EMPTY: the key is empty"), "{empty}");
    assert!(text.ends_with("\n1 row was left out by `where`; --key shows one\n"), "{text}");

    let left = world.cli(&["preview", "accounts", "--key", "3"]);
    assert!(left.contains("  where    active  false\n"), "{left}");
    assert!(
        left.contains("no record: `where` leaves the row out; a record that is there stays (on_leave = \"ignore\")"),
        "{left}"
    );
    let one = world.cli(&["preview", "accounts", "--limit", "1"]);
    assert!(one.contains("there are more rows; --limit shows more"), "{one}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_new_record_begins_with_and_when_it_is_sent_are_said() {
    let rating = "Rating = { value = \"grade\", map = { gold = \"Hot\", silver = \"Warm\" }, on_create = \"Cold\" }";
    let mapping = MAPPING
        .replace("Rating = { value = \"grade\", map = { gold = \"Hot\", silver = \"Warm\" } }", rating)
        .replace("deleted = \"gone\"", "deleted = \"gone\"\nquiet = \"1h\"\ndelivery = { every = \"30m\" }");
    let world = World::new(TABLES, &mapping).await;
    // More digits than the CRM's field has.
    world.sql("update account set sum = 99.5 where id = 1");
    let text = world.cli(&["preview", "accounts", "--limit", "2"]);
    for note in [
        "note: delivery: changes are sent together, every 30m\n",
        "note: quiet: a changed row is sent once it has been still for 1h\n",
    ] {
        assert!(text.contains(note), "{text}");
    }
    let good = row(&text, "1");
    assert!(good.contains("map            \"Hot\"\n"), "{good}");
    assert!(
        good.contains("on_create      a new record begins with \"Cold\"; a second write brings the value\n"),
        "{good}"
    );
    assert!(good.contains("\"Rating\": \"Cold\""), "{good}");
    // A value that is bad: a new record begins all the same, as it does when it is sent.
    let bad = row(&text, "2");
    assert!(bad.contains("on_create      a new record begins with \"Cold\" and keeps it\n"), "{bad}");
    assert!(bad.contains("\"Rating\": \"Cold\""), "{bad}");
    world.start().await;
    world.settled().await;
    for (key, rating) in [("a1", "Hot"), ("a2", "Cold")] {
        let kept = world.crm().record("Account", "Erp_Id__c", key).unwrap();
        assert_eq!(serde_json::to_value(&kept.fields).unwrap()["Rating"], rating, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_is_what_the_daemon_sends_and_it_may_run_meanwhile() {
    let world = world().await;
    // More digits than the CRM's field has.
    world.sql("update account set sum = 99.5 where id = 1");
    let document: Value = serde_json::from_str(&world.cli(&["preview", "accounts", "--json", "--limit", "2"])).unwrap();
    assert_eq!(document["rows"].as_array().unwrap().len(), 2);
    let first = &document["rows"][0];
    assert_eq!(
        (&first["outcome"], &first["fields"][0]["value"]["steps"][1]["step"]),
        (&"upsert".into(), &"trim".into())
    );
    world.start().await;
    world.settled().await;
    for row in document["rows"].as_array().unwrap() {
        let record: Value = serde_json::from_str(row["upsert"]["record"].as_str().unwrap()).unwrap();
        let kept = world.crm().record("Account", "Erp_Id__c", row["upsert"]["key"].as_str().unwrap()).unwrap();
        let kept = serde_json::to_value(&kept.fields).unwrap();
        for field in ["Name", "Phone", "Type", "Rating", "Description"] {
            assert_eq!(
                kept.get(field).unwrap_or(&Value::Null),
                record.get(field).unwrap_or(&Value::Null),
                "{field}: {row}"
            );
        }
    }
    let again: Value = serde_json::from_str(&world.cli(&["preview", "accounts", "--json", "--limit", "2"])).unwrap();
    assert_eq!(again, document, "the running daemon is neither asked nor in the way");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named() {
    let world = world().await;
    let failed = |arguments: &[&str]| {
        let (status, text) = world.daemon.borrow().cli(arguments);
        assert!(!status.success(), "{text}");
        (status.code().unwrap(), text)
    };
    assert!(failed(&["preview", "acounts"]).1.contains("there is no mapping acounts; did you mean accounts?"));
    assert!(failed(&["preview", "accounts", "--key", "x'--"]).1.contains("no row of public.account has the key x'--"));
    let mut world = world;
    world.remap(&MAPPING.replace("name | trim", "nam | trim"));
    let (status, text) = world.daemon.borrow().cli(&["preview", "accounts"]);
    assert_eq!(status.code(), Some(78), "{text}");
    assert!(text.contains("the table has no column `nam`") && text.contains("^^^"), "{text}");
}
