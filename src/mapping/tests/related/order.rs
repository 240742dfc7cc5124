//! What does not depend on an order: of relations, of `on`, of rows.

use proptest::prelude::*;

use super::world::{World, config};

const RELATIONS: [&str; 4] = [
    "a = { table = \"a\", on = { x = \"x\", y = \"y\" } }",
    "b = { table = \"b\", on = { id = \"a.b_id\" } }",
    "c = { table = \"a\", on = { b_id = \"b.id\" }, rollup = { n = \"count()\", t = \"sum(v)\", l = \"list(v, sep = '+')\", z = \"last(v, by = id)\" } }",
    "p = { table = \"a\", on = { b_id = \"b.id\" }, pick = \"v desc\" }",
];
const FIELDS: &str =
    "fields = { A = \"a.v\", B = \"b.name\", N = \"c.n\", T = \"c.t\", L = \"c.l\", Z = \"c.z\", P = \"p.v\" }";

fn relations(order: &[usize]) -> String {
    order.iter().flat_map(|&at| ["with.", RELATIONS[at], "\n"]).collect()
}

type Row = (i64, u8, u8, u8, i32);

fn world(rows: &[Row]) -> World {
    let mut world = World::of(
        "partner: id int, x int, y text; id
            1 1 a
            2 2 b
         a: id int, x int, y ci, b_id int, v int; id
         b: id int, name text; id
            0 zero
            1 one",
    );
    for (id, x, y, b, v) in rows {
        let y = ["a", "A_", "b", "-"][usize::from(y % 4)];
        let b = if *b > 1 { "-".to_owned() } else { b.to_string() };
        world.put("a", &[&id.to_string(), &x.to_string(), y, &b, &v.to_string()]);
    }
    world
}

/// The same by hand, for a partner.
fn expected(rows: &[Row], partner: u8) -> String {
    let wanted: &[u8] = if partner == 1 { &[0, 1] } else { &[2] };
    let a = rows.iter().filter(|row| row.1 == partner && wanted.contains(&(row.2 % 4))).min_by_key(|row| row.0);
    let b = a.map(|row| row.3).filter(|b| *b <= 1);
    let c: Vec<&Row> = rows.iter().filter(|row| row.3 <= 1 && Some(row.3) == b).collect();
    let shown = |value: Option<String>| value.unwrap_or_else(|| "null".to_owned());
    let mut values: Vec<i32> = c.iter().map(|row| row.4).collect();
    values.sort_unstable();
    let list = values.iter().map(ToString::to_string).collect::<Vec<_>>().join("+");
    format!(
        "A={} B={} N={} T={} L={} Z={} P={}",
        shown(a.map(|row| row.4.to_string())),
        shown(b.map(|b| ["zero", "one"][usize::from(b)].to_owned())),
        c.len(),
        shown((!c.is_empty()).then(|| c.iter().map(|row| i64::from(row.4)).sum::<i64>().to_string())),
        shown((!c.is_empty()).then_some(list)),
        shown(c.iter().max_by_key(|row| row.0).map(|row| row.4.to_string())),
        shown(values.last().map(ToString::to_string)),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn relations_give_the_same_in_whatever_order_they_are_written(
        order in Just(vec![0_usize, 1, 2, 3]).prop_shuffle(),
        rows in proptest::collection::btree_map(1_i64..40, (1_u8..3, 0_u8..4, 0_u8..3, -50..50_i32), 0..12),
    ) {
        let rows: Vec<Row> = rows.into_iter().map(|(id, (x, y, b, v))| (id, x, y, b, v)).collect();
        let loaded = config(&format!("{}{FIELDS}", relations(&order)));
        let world = world(&rows);
        let mapping = world.compile(&loaded).unwrap();
        for x in [1, 2] {
            prop_assert_eq!(world.record(&mapping, i64::from(x), 0), expected(&rows, x));
        }
    }

    #[test]
    fn any_text_in_a_relation_ends_without_panic(text in "[a-z0-9.,'|=() ]{0,30}") {
        let _ = super::super::super::syntax::order(&text);
        let _ = super::super::super::syntax::figure(&text);
        let text = text.replace('\'', "''");
        for form in ["pick", "where"] {
            let toml = format!("with.a = {{ table = \"a\", on = {{ x = \"x\" }}, {form} = \"{text} \" }}\nfields = {{ A = \"a.v\" }}");
            if let Ok(loaded) = crate::config::from_text(&format!("{}{toml}", super::world::HEAD)) {
                let _ = world(&[]).compile(&loaded);
            }
        }
        let toml = format!("with.a = {{ table = \"a\", on = {{ x = \"x\" }}, rollup = {{ v = \"count({text})\" }} }}\nfields = {{ A = \"a.v\" }}");
        if let Ok(loaded) = crate::config::from_text(&format!("{}{toml}", super::world::HEAD)) {
            let _ = world(&[]).compile(&loaded);
        }
    }
}
