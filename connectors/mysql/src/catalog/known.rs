//! What the decoder of the log needs of the catalogue. Pure.
//!
//! Where `binlog_row_metadata` is `FULL` the table map has names, signs, character sets and labels itself, and only what
//! no table map has is taken from here, by name: that a column is a yes or no, a UUID, an address, JSON of MariaDB, or the
//! end of a row's time in a system-versioned table. Otherwise everything is, by place (MY-52).

use passerelle_change::TableName;
use serde::{Deserialize, Serialize};

use crate::value::Charset;

/// A table as the catalogue has it, hidden columns among the others (MY-59).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownTable {
    /// Its columns in order.
    pub columns: Vec<KnownColumn>,
    /// Rows of it may change because of a foreign key, which the log does not say (MY-31).
    pub cascades: bool,
}

/// The tables that are known, by name.
pub type KnownTables = std::collections::HashMap<TableName, KnownTable>;

/// A column as the catalogue has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownColumn {
    /// Its name.
    pub name: String,
    /// Whether it is unsigned.
    pub unsigned: bool,
    /// Its character set; `None` for what is no text.
    pub charset: Option<Charset>,
    /// The most bytes that a character of it takes.
    pub char_bytes: u32,
    /// Labels of ENUM and SET.
    pub labels: Vec<Box<str>>,
    /// Digits of fractions, of a column of time.
    pub digits: u8,
    /// What the log does not say of its type.
    pub special: Special,
}

/// What the log never says of a column's type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Special {
    /// Nothing.
    #[default]
    None,
    /// UUID of MariaDB.
    Uuid,
    /// INET4 of MariaDB.
    Inet4,
    /// INET6 of MariaDB.
    Inet6,
    /// TINYINT(1) with a sign that is a yes or no: what BOOL means (MY-70).
    Bool,
    /// JSON of MariaDB: LONGTEXT with a check (MY-76).
    Json,
    /// The end of the time that a row of a system-versioned table was there (MY-58).
    RowEnd,
}

impl KnownColumn {
    /// A column from `COLUMN_TYPE` and `CHARACTER_SET_NAME` of `information_schema.columns`.
    pub fn parse(name: &str, column_type: &str, charset: Option<&str>) -> Self {
        let lower = column_type.to_ascii_lowercase();
        let word = lower.split(|char: char| !char.is_ascii_alphanumeric()).next().unwrap_or_default();
        let is_labelled = matches!(word, "enum" | "set");
        let is_temporal = matches!(word, "time" | "datetime" | "timestamp");
        let is_bytes =
            matches!(word, "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "vector");
        Self {
            name: name.to_owned(),
            unsigned: !is_labelled && lower.split(' ').any(|word| word == "unsigned" || word == "zerofill"),
            charset: if is_bytes { Some(Charset::Binary) } else { charset.and_then(Charset::named) },
            char_bytes: if is_bytes { 1 } else { charset.map_or(1, Charset::max_bytes_named) },
            labels: if is_labelled { labels(column_type) } else { Vec::new() },
            digits: if is_temporal { digits(&lower) } else { 0 },
            special: match word {
                "uuid" => Special::Uuid,
                "inet4" => Special::Inet4,
                "inet6" => Special::Inet6,
                _ => Special::None,
            },
        }
    }
}

fn digits(column_type: &str) -> u8 {
    let inside = column_type.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    inside.and_then(|(digits, _)| digits.parse().ok()).filter(|digits| *digits <= 6).unwrap_or(0)
}

/// `enum('a','it''s')`: quotes are doubled inside, and nothing else is escaped.
fn labels(column_type: &str) -> Vec<Box<str>> {
    let inside =
        column_type.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map_or("", |(inside, _)| inside);
    let mut labels = Vec::new();
    let mut chars = inside.chars().peekable();
    while chars.next_if_eq(&'\'').is_some() {
        let mut label = String::new();
        while let Some(char) = chars.next() {
            if char != '\'' || chars.next_if_eq(&'\'').is_some() {
                label.push(char);
            } else {
                break;
            }
        }
        labels.push(label.into());
        chars.next_if_eq(&',');
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_types_of_the_catalogue() {
        let column = |column_type| KnownColumn::parse("c", column_type, Some("latin1"));
        assert!(column("int(10) unsigned").unsigned && column("int unsigned zerofill").unsigned);
        assert!(!column("enum('unsigned')").unsigned && !column("bigint(20)").unsigned);
        assert_eq!(column("ENUM('a','it''s','x,y)','')").labels, ["a", "it's", "x,y)", ""].map(Box::from));
        assert_eq!([column("timestamp(6)").digits, column("time").digits, column("int(6)").digits], [6, 0, 0]);
        assert_eq!(
            [column("uuid").special, column("inet6").special, column("text").special],
            [Special::Uuid, Special::Inet6, Special::None]
        );
        assert_eq!(column("varbinary(4)").charset, Some(Charset::Binary));
        assert_eq!(column("varchar(4)").charset, Charset::named("latin1"));
    }
}
