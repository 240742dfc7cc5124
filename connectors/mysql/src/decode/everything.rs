//! Decodes a whole file of the log, whatever is in it: for the fuzzer.

use std::sync::Arc;

use passerelle_change::{Batch, KnownName, TableId, TableName};

use super::{Decoded, Decoder, Settings, WantedTable};
use crate::catalog::{KnownColumn, KnownTable, KnownTables, Special};
use crate::value::{Charset, ZeroDates};
use crate::wire::file_events;

/// Decodes `bytes` as a file of the log, with `shop.t` wanted of it, as far as it can be read. Answers how many events came
/// of it; never panics.
pub fn read_everything(bytes: &[u8]) -> usize {
    let columns = ["id", "a", "b", "c", "d", "e"];
    let name = TableName { schema: "shop".into(), name: "t".into() };
    let known = KnownTable { columns: columns.iter().map(|name| column(name)).collect(), cascades: true };
    // A column that nobody has heard of may be one that has another name now.
    let known_name = |name: &&str| KnownName { name: (*name).to_owned(), type_name: "int".into() };
    let names = columns.iter().map(ToString::to_string).collect();
    let wanted = WantedTable {
        renamed: [("a".to_owned(), ["aa".to_owned()].into())].into(),
        known: columns.iter().map(known_name).collect(),
        ..WantedTable::new(TableId(1), name.clone(), names, vec!["id".into()])
    };
    let settings = Settings { zero_dates: ZeroDates::Text, names_ignore_case: true, ..Settings::default() };
    let mut decoder = Decoder::new(vec![wanted], KnownTables::from([(name, known)]), Arc::default(), settings);
    let (mut batch, mut seen) = (Batch::new(), 0);
    for event in file_events(bytes).map_while(Result::ok) {
        let mut decoded = decoder.event(event, &mut batch);
        while let Ok(Decoded::Partly) = decoded {
            seen += batch.events().len();
            batch.clear();
            decoder.handed_on();
            decoded = decoder.more(&mut batch);
        }
        if decoded.is_err() {
            break;
        }
    }
    seen + batch.events().len()
}

/// A column that could be anything.
fn column(name: &str) -> KnownColumn {
    KnownColumn {
        name: name.to_owned(),
        unsigned: false,
        charset: Charset::named("utf16"),
        char_bytes: 4,
        labels: vec!["x".into(), "y".into()],
        digits: 3,
        special: if name == "e" { Special::Inet6 } else { Special::None },
    }
}
