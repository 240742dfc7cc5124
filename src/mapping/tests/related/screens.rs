//! What is said of relations whose names or types are wrong, as people see it: `screens/` holds a mapping's relations and
//! fields, a line of dashes, and what is shown.

use std::fmt::Write as _;
use std::path::Path;

use super::world::{World, config};
use crate::config::Faults;

const SEPARATOR: &str = "----------\n";

const TABLES: &str = "
    partner: id int, name text, country_id int, amount dec, doc json, day date, live flag, uid uuid, email text; id
    country: id int, code text, name text, name_id int; id
    orders: id int, partner_id int, total dec, state enum, at at, day date, doc json, tag text, raw bytes, n float; id
    meta: id int, user_id int, k text, v text, doc json; id
    numbers: id int, user_id text, k text, v bytes; id
    view: id int, code text
";

#[test]
fn screens_are_as_they_stand_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/mapping/tests/related/screens");
    let renew = std::env::var_os("PASSERELLE_RENEW").is_some();
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 5, "{}", paths.len());
    let mut different = String::new();
    for path in paths {
        let case = std::fs::read_to_string(&path).unwrap();
        let (text, expect) = case.split_once(SEPARATOR).unwrap_or((&case, ""));
        let actual = screen(text);
        assert!(!actual.is_empty(), "no fault in {}", path.display());
        if renew {
            std::fs::write(&path, format!("{text}{SEPARATOR}{actual}")).unwrap();
        } else if actual != expect {
            write!(different, "=== {}\n--- expected\n{expect}--- actual\n{actual}", path.display()).unwrap();
        }
    }
    assert!(different.is_empty(), "{different}\na run with PASSERELLE_RENEW=1 writes them anew");
}

fn screen(text: &str) -> String {
    let loaded = config(text);
    let faults = World::of(TABLES).compile(&loaded).err().unwrap_or_default();
    let faults = faults.into_iter().map(|fault| fault.shown(&loaded.files)).collect();
    Faults::new(faults, loaded.files).render(false)
}
