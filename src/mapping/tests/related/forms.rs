//! Each form of a relation.

use passerelle_change::{Cells, KeyBuf};

use super::super::super::{Compile, columns_of};
use super::super::super::{Entry, Form, Found, JoinKey, Made, Trace, tables_of, unused_relations};
use super::world::{World, config, shown};

const TABLES: &str = "
    partner: id int, name text, email text, country_id int, login text, day date, uid uuid, raw bytes, amount dec, parent_id int; id
        1 Ada ADA@x.example 75 ada 2024-05-01 - \\x00ff 7.0 -
        2 Bo bo@y.example 33 - - - - - 1
        3 Cy - - - - - - - 9
    country: id int, code text, region_id int; id
        33 DE 1
        75 FR 1
        80 XX -
    region: id int, name text; id
        1 Europe
    mail: id int, partner_id int, email_id text, is_primary bool, idx int, country_id int; id
        1 1 second@x f 1 33
        2 1 first@x t 2 75
        3 1 third@x f 0 -
        4 2 only@x - - -
    black: email ci, active bool; email
        ada@X.example__ t
        bo@y.example f
    meta: id int, user_id int, meta_key text, meta_value text; id
        1 1 phone 12
        2 1 phone 13
        3 1 city Paris
        4 1 session xxx
        5 2 phone -
        6 1 Code_postal 75001
    number: id int, user_id int, meta_key text, meta_value int; id
        1 1 size 42
        2 1 phone 7
    att: id int, code text; id
        10 color
        11 weight
    eav: id int, entity_id int, att_id int, value text; id
        1 1 10 red
        2 1 11 heavy
        3 2 12 none
    orders: id int, partner_id int, shop text, total dec, n int, rate float, day date, at at, naive naive, cur text, state enum, tag text, live flag; id
        1 1 web 10.50 2 0.1 2024-01-10 2024-01-10_10:00:00+00 2024-01-10_10:00:00 EUR sale b t
        2 1 pos 20.25 - 0.2 2024-03-01 2024-03-01_10:00:00+00 2024-03-01_10:00:00 EUR sale a f
        3 1 web -5.75 3 - 2024-02-01 2024-02-01_10:00:00+00 2024-02-01_10:00:00 USD draft - t
        4 2 web 1.00 1 1 2024-02-01 2024-02-01_10:00:00+00 2024-02-01_10:00:00 - sale c t
";

/// The records of all three partners, as of 2024-03-15.
fn check(text: &str, expect: [&str; 3]) {
    let (world, loaded) = (World::of(TABLES), config(text));
    let mapping = world.compile(&loaded).unwrap_or_else(|faults| panic!("{faults:?}"));
    for (id, expect) in (1..).zip(expect) {
        assert_eq!(world.record(&mapping, id, NOW), expect, "partner {id}: {text}");
    }
}

/// 2024-03-15 in microseconds.
const NOW: i64 = 1_710_460_800_000_000;

const COUNTRY: &str = "with.country = { table = \"country\", on = { id = \"country_id\" } }\n";

#[test]
fn one_row_by_its_key() {
    check(
        &format!(
            "{COUNTRY}fields = {{ A = \"country.code\", B = \"country.code is none\", C = \"name ~ country.code\" }}"
        ),
        ["A=FR B=false C=AdaFR", "A=DE B=false C=BoDE", "A=null B=true C=Cy"],
    );
    let loaded = config(&format!("{COUNTRY}fields = {{ A = \"country.code\" }}"));
    let mapping = World::of(TABLES).compile(&loaded).unwrap();
    let [relation] = mapping.relations() else { panic!() };
    assert_eq!(relation.path(), "country");
    assert!(matches!(relation.form(), Form::One { by_row_key: true, picks: false }));
    assert_eq!(relation.branches()[0].columns().collect::<Vec<_>>(), ["id", "code"]);
    assert_eq!(mapping.columns().collect::<Vec<_>>(), ["id", "country_id"]);
}

#[test]
fn rows_of_the_same_table() {
    check(
        "with.parent = { table = \"partner\", on = { id = \"parent_id\" } }\nfields = { A = \"parent.name\" }",
        ["A=null", "A=Ada", "A=null"],
    );
}

#[test]
fn a_row_of_many_is_picked() {
    let mail = |pick: &str| {
        format!(
            "with.mail = {{ table = \"mail\", on = {{ partner_id = \"id\" }}, {pick} }}\nfields = {{ A = \"mail.email_id\" }}"
        )
    };
    check(&mail("pick = \"is_primary desc, idx\""), ["A=first@x", "A=only@x", "A=null"]);
    check(&mail("pick = \"idx\""), ["A=third@x", "A=only@x", "A=null"]);
    check(&mail("pick = \"idx desc, email_id\""), ["A=first@x", "A=only@x", "A=null"]);
    check(&mail("where = \"idx > 0\""), ["A=second@x", "A=null", "A=null"]);
}

#[test]
fn text_joins_as_the_collation_compares() {
    check(
        "with.black = { table = \"black\", on = { email = \"email\" }, where = \"active\" }\nfields = { A = \"black.email is not none\" }",
        ["A=true", "A=false", "A=false"],
    );
    let loaded =
        config("with.black = { table = \"black\", on = { email = \"email\" } }\nfields = { A = \"black.active\" }");
    let mapping = World::of(TABLES).compile(&loaded).unwrap();
    let form = mapping.relations()[0].form();
    assert!(matches!(form, Form::One { by_row_key: false, .. }), "a folded key is no row key");
}

#[test]
fn a_join_key_of_several_parts_is_put_in_the_row_keys_order() {
    let world = World::of(
        "partner: id int, a int, b text, c int; id
            1 5 x 7
         pair: b text, a int, v text; a b
            x 5 yes
            x 6 no",
    );
    let loaded = config("with.p = { table = \"pair\", on = { b = \"b\", a = \"c - 2\" } }\nfields = { A = \"p.v\" }");
    let mapping = world.compile(&loaded).unwrap();
    assert!(matches!(mapping.relations()[0].form(), Form::One { by_row_key: true, .. }));
    assert_eq!(world.record(&mapping, 1, 0), "A=yes");
}

#[test]
fn values_of_every_type_join() {
    let world = World::of(
        "partner: id int, raw bytes, uid uuid, word text, day date, amount dec, at at, live flag; id
            1 \\x00ff 0a0b0c0d-0000-0000-0000-000000000001 0A0B0C0D-0000-0000-0000-000000000001 2024-01-01 7.0 2024-01-01_10:00:00+00 t
         other: id int, raw bytes, uid uuid, day date, amount dec, at at, live flag, kind enum; id
            9 \\x00ff 0a0b0c0d-0000-0000-0000-000000000001 2024-01-01 7.00 2024-01-01_10:00:00+00 t sale",
    );
    for on in [
        "raw = \"raw\"",
        "uid = \"uid\"",
        "uid = \"word\"",
        "day = \"day\"",
        "day = \"'2024-01-01'\"",
        "amount = \"amount\"",
        "amount = \"7\"",
        "at = \"at\"",
        "live = \"live\"",
        "live = \"1\"",
        "kind = \"'sale'\"",
        "\"id - 8\" = \"id\"",
        "\"raw | hex\" = \"raw | hex\"",
    ] {
        let loaded = config(&format!("with.o = {{ table = \"other\", on = {{ {on} }} }}\nfields = {{ A = \"o.id\" }}"));
        match world.compile(&loaded) {
            Ok(mapping) => assert_eq!(world.record(&mapping, 1, 0), "A=9", "{on}"),
            Err(faults) => assert!(on.contains("\"7\""), "{on}: {faults:?}"),
        }
    }
}

#[test]
fn nested_rows_are_asked_by_the_record() {
    let text = "with.country = { table = \"country\", on = { id = \"country_id\" }, with.region = { table = \"region\", on = { id = \"region_id\" } } }\n";
    check(
        &format!("{text}fields = {{ A = \"country.region.name ~ '/' ~ country.code\" }}"),
        ["A=Europe/FR", "A=Europe/DE", "A=/"],
    );
    let loaded = config(&format!("{text}fields = {{ A = \"country.region.name\" }}"));
    let world = World::of(TABLES);
    let mapping = world.compile(&loaded).unwrap();
    let paths: Vec<_> = mapping.relations().iter().map(crate::mapping::related::Relation::path).collect();
    assert_eq!(paths, ["country", "country.region"]);
    // Not known yet, and there is none: what names it is absent, or null.
    let scope = mapping.scope();
    let row = &world.0["partner"].rows.values().next().unwrap()[..];
    assert_eq!(scope.join_key(1, Cells::new(row), &[Found::Unknown]), JoinKey::Absent);
    assert_eq!(scope.join_key(1, Cells::new(row), &[Found::Nothing]), JoinKey::Null);
    for (found, expect) in [(Found::Unknown, "A?"), (Found::Nothing, "A=null")] {
        assert_eq!(shown(&mapping, &mapping.evaluate(Cells::new(row), &[Found::Nothing, found])), expect);
    }
    assert_eq!(shown(&mapping, &mapping.evaluate(Cells::new(row), &[])), "A?");
}

#[test]
fn a_relation_by_another_of_the_same_row() {
    check(
        "with.country = { table = \"country\", on = { id = \"mail.country_id\" } }
with.mail = { table = \"mail\", on = { partner_id = \"id\" }, pick = \"idx desc\" }
fields = { A = \"country.code\" }",
        ["A=FR", "A=null", "A=null"],
    );
}

#[test]
fn what_makes_entries_asks_nested_rows() {
    let text = "with.mails = { table = \"mail\", on = { partner_id = \"id\" }, where = \"c.code == 'FR'\", rollup = { n = \"count()\", all = \"list(c.code ~ email_id, sep = ';')\" }, with.c = { table = \"country\", on = { id = \"country_id\" } } }\n";
    check(
        &format!("{text}fields = {{ A = \"mails.n\", B = \"mails.all\" }}"),
        ["A=1 B=FRfirst@x", "A=0 B=null", "A=0 B=null"],
    );
    let loaded = config(&format!("{text}fields = {{ A = \"mails.n\" }}"));
    let mapping = World::of(TABLES).compile(&loaded).unwrap();
    let relations: Vec<_> = mapping.relations().iter().map(crate::mapping::related::Relation::path).collect();
    assert_eq!(relations, ["mails.c", "mails"], "what entries ask stands before");
    assert_eq!(mapping.relations()[1].branches()[0].scope().asks()[0].relation, 0);
    assert_eq!(mapping.scope().asks()[0].relation, 1);
}

#[test]
fn a_join_through_a_nested_row() {
    // The orders of all in a country, by the country's record.
    check(
        "with.same = { table = \"mail\", on = { \"c.region_id\" = \"1\" }, rollup = { n = \"count()\" }, with.c = { table = \"country\", on = { id = \"country_id\" } } }
fields = { A = \"same.n\" }",
        ["A=2", "A=2", "A=2"],
    );
}

#[test]
fn a_nested_relation_that_is_used_both_ways_is_there_twice() {
    let loaded = config(
        "with.mail = { table = \"mail\", on = { partner_id = \"id\" }, pick = \"c.code\", with.c = { table = \"country\", on = { id = \"country_id\" } } }
fields = { A = \"mail.c.code\" }",
    );
    let mapping = World::of(TABLES).compile(&loaded).unwrap();
    let paths: Vec<_> = mapping.relations().iter().map(crate::mapping::related::Relation::path).collect();
    assert_eq!(paths, ["mail.c", "mail", "mail.c"]);
    check(
        "with.mail = { table = \"mail\", on = { partner_id = \"id\" }, pick = \"c.code\", with.c = { table = \"country\", on = { id = \"country_id\" } } }
fields = { A = \"mail.c.code ~ mail.email_id\" }",
        ["A=DEsecond@x", "A=only@x", "A=null"],
    );
}

#[test]
fn a_pivot_gives_values_by_name() {
    let meta = "with.meta = { table = \"meta\", on = { user_id = \"id\" }, pivot = { name = \"meta_key\", value = \"meta_value\" } }\n";
    check(
        &format!("{meta}fields = {{ A = \"meta.phone\", B = \"meta.city\", C = \"meta['Code postal']\" }}"),
        ["A=12 B=Paris C=75001", "A=null B=null C=null", "A=null B=null C=null"],
    );
    check(
        "with.meta = { table = \"meta\", on = { user_id = \"id\" }, pivot = { name = \"meta_key\", value = \"meta_value\", pick = \"id desc\", only = [\"phone\", \"fax\"] } }\nfields = { A = \"meta.phone\" }",
        ["A=13", "A=null", "A=null"],
    );
    let loaded = config(&format!("{meta}fields = {{ A = \"meta.phone\", B = \"meta.city\" }}"));
    let mapping = World::of(TABLES).compile(&loaded).unwrap();
    let (column, names) = mapping.relations()[0].wanted_rows().unwrap();
    assert_eq!((column, names.iter().map(String::as_str).collect::<Vec<_>>()), ("meta_key", vec!["city", "phone"]));
}

#[test]
fn a_pivot_of_several_tables_gives_text() {
    check(
        "with.meta = { table = [\"meta\", \"number\"], on = { user_id = \"id\" }, pivot = { name = \"meta_key\", value = \"meta_value\", pick = \"meta_value\" } }\nfields = { A = \"meta.phone\", B = \"meta.size ~ '!'\", C = \"meta.size | number\" }",
        ["A=7 B=42! C=42", "A=null B=! C=null", "A=null B=! C=null"],
    );
}

#[test]
fn a_pivots_name_may_be_a_nested_rows() {
    check(
        "with.attr = { table = \"eav\", on = { entity_id = \"id\" }, pivot = { name = \"a.code\", value = \"value\" }, with.a = { table = \"att\", on = { id = \"att_id\" } } }\nfields = { A = \"attr.color\", B = \"attr.weight\" }",
        ["A=red B=heavy", "A=null B=null", "A=null B=null"],
    );
}

fn figure(figure: &str, expect: [&str; 3]) {
    let text = format!(
        "with.o = {{ table = \"orders\", on = {{ partner_id = \"id\" }}, rollup = {{ x = \"{figure}\" }} }}\nfields = {{ A = \"o.x\" }}"
    );
    check(&text, expect.map(|value| format!("A{value}")).each_ref().map(String::as_str));
}

#[test]
fn figures_of_rows() {
    figure("count()", ["=3", "=1", "=0"]);
    figure("count(n)", ["=2", "=1", "=0"]);
    figure("count(shop, distinct)", ["=2", "=1", "=0"]);
    figure("sum(total)", ["=25", "=1", "=null"]);
    figure("sum(n)", ["=5", "=1", "=null"]);
    figure("sum(rate)", ["=0.3", "=1", "=null"]);
    figure("sum(total * n)", ["=3.75", "=1", "=null"]);
    figure("avg(n)", ["=2.5", "=1", "=null"]);
    figure("min(day)", ["=2024-01-10", "=2024-02-01", "=null"]);
    figure("max(total)", ["=20.25", "=1.00", "=null"]);
    figure("max(at)", ["=2024-03-01T10:00:00Z", "=2024-02-01T10:00:00Z", "=null"]);
    figure("first(shop, by = day)", ["=web", "=web", "=null"]);
    figure("last(shop, by = day)", ["=pos", "=web", "=null"]);
    figure("last(tag, by = total)", ["=a", "=c", "=null"]);
    figure("list(tag)", ["=a;b", "=c", "=null"]);
    figure("list(tag, desc, sep = ', ')", ["=b, a", "=c", "=null"]);
    figure("list(shop, distinct, sep = '+')", ["=pos+web", "=web", "=null"]);
    figure("list(shop, by = day, limit = 2)", ["=web;web", "=web", "=null"]);
    figure("list(id, by = day desc, sep = ' ')", ["=2 3 1", "=4", "=null"]);
}

#[test]
fn figures_of_a_window_of_time() {
    figure("count(within = '30d', by = day)", ["=1", "=0", "=0"]);
    figure("count(within = '60d', by = at)", ["=2", "=1", "=0"]);
    figure("sum(total, within = '60d', by = naive)", ["=14.5", "=1", "=null"]);
    figure("last(shop, within = '60d', by = at)", ["=pos", "=web", "=null"]);
}

#[test]
fn amounts_of_several_currencies_are_bad() {
    figure("sum(total, currency = cur)", ["!amounts of several currencies", "!a related row's value is bad", "=null"]);
    figure("max(total, currency = cur)", ["!amounts of several currencies", "!a related row's value is bad", "=null"]);
    figure("sum(tag | number)", ["!a related row's value is bad", "!a related row's value is bad", "=null"]);
}

#[test]
fn conditions_and_keys_wait_for_what_is_not_known() {
    let loaded = config(&format!("{COUNTRY}where = \"country.code == 'FR'\"\nfields = {{ A = \"name\" }}"));
    let world = World::of(TABLES);
    let mapping = world.compile(&loaded).unwrap();
    assert_eq!([1, 2, 3].map(|id| world.record(&mapping, id, NOW)), ["A=Ada", "left", "left"]);
    let row = world.0["partner"].rows.values().next().unwrap();
    assert_eq!(shown(&mapping, &mapping.evaluate(Cells::new(row), &[Found::Unknown])), "incomplete: country.code");
    assert_eq!(mapping.absent_columns(Cells::new(row), &[]), ["country.code"]);
}

#[test]
fn entries() {
    let loaded = config(
        "with.mail = { table = \"mail\", on = { partner_id = \"id\" }, where = \"idx > 0\" }\nfields = { A = \"mail.email_id\" }",
    );
    let mut world = World::of(TABLES);
    let mapping = world.compile(&loaded).unwrap();
    let made = |world: &mut World, cells: &str| {
        let cells: Vec<&str> = cells.split(' ').collect();
        world.put("mail", &cells);
        let mut key = Vec::new();
        KeyBuf(&mut key).push_int(cells[0].parse().unwrap());
        mapping.relations()[0].branches()[0].entry(Cells::new(&world.0["mail"].rows[&key]), &[])
    };
    let mut key = Vec::new();
    KeyBuf(&mut key).push_int(7);
    let Made::In(Entry { key: ours, order, holds }) = made(&mut world, "50 7 a f 1 33") else { panic!() };
    assert_eq!((ours, order.len(), holds.len()), (key, 0, 8));
    // An unused column makes no difference, a used one does.
    let Made::In(other) = made(&mut world, "50 7 a t 2 -") else { panic!() };
    assert_eq!(other.holds, holds);
    let Made::In(other) = made(&mut world, "50 7 b f 1 33") else { panic!() };
    assert_ne!(other.holds, holds);
    // One that is absent is neither null nor what it was.
    let Made::In(absent) = made(&mut world, "50 7 ? f 1 33") else { panic!() };
    let Made::In(null) = made(&mut world, "50 7 - f 1 33") else { panic!() };
    assert!(absent.holds != holds && absent.holds != null.holds);
    for out in ["50 7 a f 0 33", "50 7 a f - 33", "50 - a f 1 33", "50 ? a f 0 33"] {
        assert_eq!(made(&mut world, out), Made::Out, "{out}");
    }
    let incomplete = |columns: &[&str]| Made::Incomplete { columns: columns.iter().map(ToString::to_string).collect() };
    assert_eq!(made(&mut world, "50 7 a f ? 33"), incomplete(&["idx"]));
    assert_eq!(made(&mut world, "50 ? a f 1 33"), incomplete(&["partner_id"]));
}

#[test]
fn a_definition_is_of_what_makes_entries() {
    let definition = |text: &str| {
        let loaded = config(text);
        World::of(TABLES).compile(&loaded).unwrap().relations().last().unwrap().definition()
    };
    let mail = |inner: &str, fields: &str| {
        format!("with.mail = {{ table = \"mail\", on = {{ partner_id = \"id\" }}{inner} }}\nfields = {{ {fields} }}")
    };
    let first = definition(&mail("", "A = \"mail.email_id\""));
    assert_eq!(first, definition(&mail("", "A = \"mail.email_id\", B = \"name\", C = \"mail.email_id | lower\"")));
    let others = [
        mail("", "A = \"mail.idx\""),
        mail("", "A = \"mail.email_id\", B = \"mail.idx\""),
        mail(", where = \"idx > 0\"", "A = \"mail.email_id\""),
        mail(", pick = \"idx\"", "A = \"mail.email_id\""),
        mail("", "A = \"mail.email_id\"")
            .replace("table = \"mail\"", "table = \"meta\"")
            .replace("email_id", "meta_key")
            .replace("partner_id", "user_id"),
    ];
    let all: std::collections::BTreeSet<u64> = others.iter().map(|text| definition(text)).chain([first]).collect();
    assert_eq!(all.len(), 6);
    // Who asks makes no difference to the entries.
    assert_eq!(first, definition(&mail("", "A = \"mail.email_id\"").replace("\"id\"", "\"parent_id\"")));
    assert_eq!(
        first, 0xf49f_fd67_43ba_ee98,
        "the state keeps it: only a new version of what entries are may change it"
    );
}

#[test]
fn a_mappings_revision_follows_its_relations() {
    let revision = |text: &str| {
        let loaded = config(text);
        let compiled = World::of(TABLES).compile(&loaded).unwrap().revision();
        assert_eq!(compiled, super::super::super::revision_of(&loaded.config.mappings["m"], "Europe/Paris"));
        compiled
    };
    let fields = "fields = { A = \"name\" }";
    // One that nobody asks for makes no difference.
    assert_eq!(revision(fields), revision(&format!("{COUNTRY}{fields}")));
    let fields = "fields = { A = \"country.code\" }";
    let texts = [
        format!("{COUNTRY}{fields}"),
        format!("{COUNTRY}{fields}").replace("\"country_id\"", "\"parent_id\""),
        format!("{COUNTRY}{fields}").replace("country.code", "land.code").replace("with.country", "with.land"),
        format!("{COUNTRY}{fields}").replace("{ table", "{ where = \"id > 0\", table"),
    ];
    let all: std::collections::BTreeSet<u64> = texts.iter().map(|text| revision(text)).collect();
    assert_eq!(all.len(), texts.len());
}

#[test]
fn what_has_to_be_captured() {
    let loaded = config(
        "with.mail = { table = \"mail\", on = { partner_id = \"parent_id\" }, pick = \"is_primary desc\", with.c = { table = \"country\", on = { id = \"country_id\" } } }
with.o = { table = \"orders\", on = { partner_id = \"id\", live = \"1\" }, where = \"state == 'sale'\", rollup = { n = \"count(shop, distinct)\", t = \"sum(total, within = '30d', by = day)\" } }
with.idle = { table = \"meta\", on = { user_id = \"raw\" }, with.b = { table = \"att\", on = { id = \"id\" } } }
fields = { A = \"mail.c.code\", B = \"o.n\", C = \"[name, mail.email_id]\" }",
    );
    let config = &loaded.config.mappings["m"];
    let tables: Vec<String> = tables_of(config)
        .into_iter()
        .map(|(table, columns)| format!("{table}: {}", columns.into_iter().collect::<Vec<_>>().join(" ")))
        .collect();
    assert_eq!(
        tables,
        [
            "public.country: code id",
            "public.mail: country_id email_id is_primary partner_id",
            "public.orders: day live partner_id shop state total",
        ]
    );
    assert_eq!(columns_of(config).unwrap().into_iter().collect::<Vec<_>>(), ["id", "name", "parent_id"]);
    let unused: Vec<_> = unused_relations(config).into_iter().map(|(path, _)| path).collect();
    assert_eq!(unused, ["idle"]);
    assert_eq!(loaded.warnings.len(), 1);
}

#[test]
fn without_the_tables_related_rows_are_absent() {
    let loaded = config(&format!("{COUNTRY}fields = {{ A = \"country.code\", B = \"name\" }}"));
    let world = World::of(TABLES);
    let columns = &world.0["partner"].known.columns;
    let parents = |_: &str| None;
    let mapping =
        super::super::super::Mapping::compile(&loaded.config.mappings["m"], &Compile::new(columns, &parents, "UTC"))
            .unwrap();
    assert!(mapping.relations().is_empty() && mapping.scope().asks().is_empty());
    let row = world.0["partner"].rows.values().next().unwrap();
    assert_eq!(shown(&mapping, &mapping.evaluate(Cells::new(row), &[])), "A? B=Ada");
}

#[test]
fn a_trace_shows_what_related_rows_gave() {
    let loaded = config(&format!(
        "{COUNTRY}with.mail = {{ table = \"mail\", on = {{ partner_id = \"id\" }} }}\nfields = {{ A = \"name ~ mail.email_id\", B = \"[country.code, name] | join('-') | lower\", C = \"country.code | lower\" }}"
    ));
    let world = World::of(TABLES);
    let mapping = world.compile(&loaded).unwrap();
    let config = &loaded.config.mappings["m"];
    let row = world.0["partner"].rows.values().next().unwrap();
    let found = world.found(&mapping, mapping.scope(), Cells::new(row), NOW);
    let related = |name: &passerelle_change::TableName| world.table(name).map(|table| table.known.clone());
    let own = &world.0["partner"].known.columns;
    let with = Compile { related: Some(&related), ..Compile::new(own, &|_| None, "Europe/Paris") };
    let steps = |expr: &str| -> Vec<String> {
        let trace = Trace::of(expr, config, &with).unwrap();
        trace
            .run(Cells::new(row), &found)
            .into_iter()
            .map(|step| format!("{} = {:?}", step.text, step.value.unwrap()))
            .collect()
    };
    assert_eq!(
        steps("[country.code, name] | join('-') | lower"),
        [
            "country.code = Text(\"FR\")",
            "[country.code, name] = List([Text(\"FR\"), Text(\"Ada\")])",
            "join('-') = Text(\"FR-Ada\")",
            "lower = Text(\"fr-ada\")",
        ]
    );
    assert_eq!(steps("country.code | lower"), ["country.code = Text(\"FR\")", "lower = Text(\"fr\")"]);
    assert_eq!(steps("name ~ mail.email_id")[0], "mail.email_id = Text(\"second@x\")");
}

#[test]
fn a_relation_that_nobody_asks_for_needs_no_table() {
    let loaded = config(&format!(
        "{COUNTRY}with.idle = {{ table = \"nowhere\", on = {{ id = \"id\" }} }}\nfields = {{ A = \"country.code\" }}"
    ));
    let world = World::of(TABLES);
    let related = |name: &passerelle_change::TableName| world.table(name).map(|table| table.known.clone());
    let own = &world.0["partner"].known.columns;
    let with = Compile { related: Some(&related), ..Compile::new(own, &|_| None, "Europe/Paris") };
    let config = &loaded.config.mappings["m"];
    assert!(super::super::super::Mapping::compile(config, &with).is_ok());
    let faults = super::super::super::Mapping::compile(config, &Compile { check_unused: true, ..with }).unwrap_err();
    assert_eq!(faults[0].message, "there is no table public.nowhere");
}
