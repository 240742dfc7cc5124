//! Every type of MySQL, as a server of version 9.7 wrote it (the statements are those of [`crate::types::statements`], each
//! a compressed transaction) and as it answered.

use passerelle_mysql::catalog::{KnownColumn, KnownTable};

use crate::columns::{self, Column};
use crate::log::Wanted;
use crate::types::{compare, known_column};

const ANSWER: &str = include_str!("../fixtures/mysql-9.7.types.tsv");
const COLUMNS: &str = include_str!("../fixtures/mysql-9.7.columns.tsv");

fn check(log: &[u8], batch_bytes: usize) {
    let columns: Vec<Column> = columns::COMMON.iter().chain(columns::MYSQL).copied().collect();
    let known: Vec<KnownColumn> = COLUMNS.lines().map(known_column).collect();
    let wanted = Wanted {
        table: "t",
        columns: columns.iter().map(|column| column.name).collect(),
        key: "id",
        known: Some(KnownTable { columns: known, cascades: false }),
        batch_bytes,
    };
    compare(&columns, &wanted.decode(&[log.to_vec()]), ANSWER);
}

#[test]
fn my_44_my_52_my_75_every_type_with_full_metadata() {
    check(include_bytes!("../fixtures/mysql-9.7.types-full"), 0);
}

#[test]
fn my_44_my_52_every_type_with_minimal_metadata() {
    check(include_bytes!("../fixtures/mysql-9.7.types-minimal"), 1 << 20);
}
