//! Tables of related rows: what a change of them does to a mapping, and which of them fit together.

use std::fmt::Write;

use jiff::Timestamp;
use passerelle_change::TableName;

use super::super::{Accepted, Beside, Hints, Kept, Look, Patch, Side, Stand, Whole, beside, over};
use super::{World, postgres};
use crate::source::table::TableFacts;

const ORDERS: &str = "id integer key; name text; country integer; state text null";
const COUNTRY: &str = "id integer key; code varchar(2); zone integer; note text";

/// Orders with their country, which has a zone, and what was paid of them.
fn world() -> World {
    let settings = "where = \"land.code != 'XX'\"
[mapping.contacts.with.land]
table = \"public.country\"
on = { id = \"country\" }
[mapping.contacts.with.land.with.zone_of]
table = \"public.zone\"
on = { id = \"zone\" }
[mapping.contacts.with.paid]
table = \"public.payment\"
on = { \"o.number\" = \"id\" }
where = \"done\"
rollup = { total = \"sum(amount)\" }
[mapping.contacts.with.paid.with.o]
table = \"public.link\"
on = { payment = \"id\" }";
    let fields =
        "LastName = \"name\"\nCountry__c = \"land.code\"\nZone__c = \"land.zone_of.name\"\nPaid__c = \"paid.total\"";
    World::new(settings, fields, ORDERS)
}

fn named(name: &str, columns: &str) -> TableFacts {
    let name = TableName { schema: "public".to_owned(), name: name.to_owned() };
    // Columns go by their names.
    TableFacts { name, object: None, ..postgres(columns) }
}

fn of(world: &World, table: &str) -> Beside {
    beside(&world.mapping).into_iter().find(|beside| beside.table.name == table).expect("a table")
}

#[test]
fn each_part_uses_the_columns_by_which_its_rows_are_found_and_folded() {
    let world = world();
    let mut printed = String::new();
    for one in beside(&world.mapping) {
        let over = over(&world.mapping, &one);
        let _ = writeln!(printed, "{} as {}", one.table, one.relation);
        for (part, columns) in super::super::patch::parts(&over) {
            let columns: Vec<String> = columns.into_iter().collect();
            let _ = writeln!(printed, "  {part}: {}", columns.join(" "));
        }
    }
    let expect = "public.country as land
  key: \n  where: code id
  Country__c: code id
  Zone__c: id zone
public.link as paid.o
  key: \n  Paid__c: number payment
public.payment as paid
  key: \n  Paid__c: amount done id
public.zone as land.zone_of
  key: \n  Zone__c: id name
";
    assert_eq!(printed, expect);
    let own = super::super::patch::parts(&world.mapping);
    let own: Vec<String> = own.into_iter().map(|(part, columns)| format!("{part}: {columns:?}")).collect();
    let expect = [
        r#"key: {"id"}"#,
        r#"where: {"country"}"#,
        r#"LastName: {"name"}"#,
        r#"Country__c: {"country"}"#,
        r#"Zone__c: {"country"}"#,
        r#"Paid__c: {"id"}"#,
    ];
    assert_eq!(own, expect);
}

/// How the mapping stands to the countries with these columns, and what is to be done where no word helps.
fn stands(columns: &str, policy: Option<crate::config::model::OnDrift>) -> (Stand, String) {
    let world = world();
    let one = of(&world, "country");
    let mut over = over(&world.mapping, &one);
    over.on_drift = policy;
    let now = named("country", columns);
    let look = Look {
        mapping: &over,
        written: 1,
        table: Some(&now),
        hints: &Hints::default(),
        children: &[],
        parents: &|_| None,
        time_zone: "UTC",
        now: Timestamp::UNIX_EPOCH,
        relation: Some(&one.relation),
        whole: &|_, _| Ok(()),
    };
    let accepted = Accepted { table: named("country", COUNTRY), written: 1, patch: Patch::default() };
    let weighed = look.weighed(&accepted.table, &accepted.patch);
    let subject = look.subject(&accepted.table, &accepted.patch);
    let out: Vec<String> = weighed.iter().filter_map(|one| super::super::way_out(one, &subject)).collect();
    assert!(weighed.iter().all(|one| super::super::answers(one, &subject, Some(&now)).is_empty()));
    let footing = look.footing(Kept { accepted: Some(accepted), ..Kept::default() }).expect("a footing");
    (footing.stand, out.join("; "))
}

#[test]
fn what_touches_the_mapping_holds_it_and_says_what_to_write() {
    use crate::config::model::OnDrift;
    let check = |columns: &str, why: &str, out: &str| {
        for policy in [None, Some(OnDrift::Continue)] {
            let (stand, said) = stands(columns, policy);
            assert!(matches!(&stand, Stand::Held(reason) if reason.contains(why)), "{columns}: {stand:?}");
            assert!(said.contains(out), "{columns}: {said}");
        }
        assert!(matches!(stands(columns, Some(OnDrift::Fail)).0, Stand::Fails(_)));
    };
    check("id integer key; zone integer; note text", "code is gone", "without land.code");
    check("id text key; code varchar(2); zone integer; note text", "id was integer", "land.id");
    check("id integer; code varchar(2); zone integer; note text", "not known by", "write land anew");
    assert!(matches!(stands(&COUNTRY.replace("varchar(2)", "varchar(1)"), None).0, Stand::Held(_)));
    for goes_on in [COUNTRY.replace("varchar(2)", "text"), COUNTRY.replace("; note text", "; more text")] {
        assert_eq!(stands(&goes_on, None), (Stand::Fits, String::new()), "{goes_on}");
    }
}

#[test]
fn tables_fit_together_or_do_not() {
    let world = world();
    let tables = [
        named("orders", ORDERS),
        named("country", COUNTRY),
        named("link", "id integer key; payment integer; number integer"),
        named("payment", "id integer key; amount numeric(10,2); done boolean"),
        named("zone", "id integer key; name text"),
    ];
    let patch = Patch::default();
    let sides = |tables: &'static [TableFacts]| -> Vec<Side<'static>> {
        let side = |table: &'static TableFacts| Side { name: &table.name, accepted: None, now: Some(table) };
        tables.iter().map(side).collect()
    };
    let tables: &'static [TableFacts] = Box::leak(Box::new(tables));
    let whole = Whole { mapping: &world.mapping, sides: sides(tables), parents: &|_| None, time_zone: "UTC" };
    let told = |place: usize, table: &TableFacts| {
        let faults = whole.compiled_with(place, table, &patch).err().into_iter().flatten();
        faults.map(|fault| fault.message).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(told(1, &tables[1]), "");
    // A column that came, and is called as a relation is.
    assert_eq!(told(0, &named("orders", &format!("{ORDERS}; paid integer"))), "");
    assert_eq!(told(1, &named("country", &format!("{COUNTRY}; zone_of integer"))), "");
    assert_ne!(told(1, &named("country", &COUNTRY.replace("id integer", "id text"))), "");
    assert_ne!(told(4, &named("zone", "id integer key; title text")), "");
    let mut renamed = Patch::default();
    renamed.rename("name", "title");
    assert!(whole.compiled_with(4, &named("zone", "id integer key; title text"), &renamed).is_ok());
}
