use passerelle_change::Type;

use super::column::Raw;
use super::*;
use crate::Flavor;

fn column(flavor: Flavor, raw: &Raw<'_>) -> ColumnFacts {
    ColumnFacts::new(raw, flavor, Readings::default())
}

#[allow(clippy::needless_pass_by_value)]
fn check(column_type: &str, charset: Option<&str>, ty: Type, name: &str) {
    for flavor in [Flavor::Mysql, Flavor::Mariadb] {
        let facts = column(flavor, &Raw { name: "c", column_type, charset, ..Raw::default() });
        assert_eq!((facts.ty, facts.type_name.as_str()), (ty.clone(), name), "{column_type} of {flavor}");
    }
}

#[test]
fn types_by_the_text_of_the_catalogue() {
    let text = |max_chars| Type::Text { max_chars };
    check("int(10) unsigned", None, Type::Int, "int unsigned");
    check("bigint", None, Type::Int, "bigint");
    check("year(4)", None, Type::Int, "year");
    check("decimal(10,2) unsigned", None, Type::Decimal { precision: Some((10, 2)) }, "decimal(10,2) unsigned");
    check("double(7,2)", None, Type::Float, "double");
    check("datetime(6)", None, Type::DateTime, "datetime(6)");
    check("timestamp", None, Type::Timestamp, "timestamp");
    check("varchar(255)", Some("utf8mb4"), text(Some(255)), "varchar(255)");
    check("varchar(50) /*M!100301 COMPRESSED*/", Some("latin1"), text(Some(50)), "varchar(50)");
    check("char(4)", Some("ucs2"), text(Some(4)), "char(4)");
    check("mediumtext", Some("utf8mb3"), text(None), "mediumtext");
    check("longblob /*!100301 COMPRESSED*/", None, Type::Bytes, "longblob");
    check("binary(16)", None, Type::Bytes, "binary(16)");
    check("enum('a','b,c')", Some("latin1"), Type::Enum { labels: vec!["a".into(), "b,c".into()] }, "enum");
    check("set('a','b')", Some("latin1"), text(None), "set");
    check("bit(10)", None, Type::Other("bit(10)".into()), "bit(10)");
    check("polygon", None, Type::Other("geometry".into()), "geometry");
    check("what(3)", None, Type::Other("what(3)".into()), "what(3)");
    check("", None, Type::Other(String::new()), "");
}

#[test]
fn types_that_one_of_them_has() {
    let vector = Raw { name: "c", column_type: "vector(3)", ..Raw::default() };
    assert_eq!(column(Flavor::Mysql, &vector).type_name, "vector(3)");
    assert_eq!(column(Flavor::Mariadb, &vector).type_name, "varbinary(12)");
    let uuid = column(Flavor::Mariadb, &Raw { name: "c", column_type: "uuid", ..Raw::default() });
    assert_eq!((uuid.ty, uuid.type_name.as_str()), (Type::Uuid, "uuid"));
    let json = column(Flavor::Mysql, &Raw { name: "c", column_type: "json", ..Raw::default() });
    assert_eq!(json.ty, Type::Json);
}

#[test]
fn my_76_longtext_with_a_check_is_json() {
    let raw = Raw { name: "c", column_type: "longtext", charset: Some("utf8mb4"), json: true, ..Raw::default() };
    let json = column(Flavor::Mariadb, &raw);
    assert_eq!((&json.ty, json.type_name.as_str(), json.known().special), (&Type::Json, "json", Special::Json));
    let text = column(Flavor::Mariadb, &Raw { column_type: "text", ..raw });
    assert_eq!((text.ty.clone(), text.known().special), (Type::Text { max_chars: None }, Special::None));
}

#[test]
fn my_70_tinyint_1_is_a_yes_or_no_where_it_has_a_sign() {
    let raw = |column_type| Raw { name: "c", column_type, ..Raw::default() };
    for (column_type, tinyint1, ty, special, name) in [
        ("tinyint(1)", Tinyint1::Bool, Type::Bool, Special::Bool, "tinyint(1)"),
        ("tinyint(1)", Tinyint1::Int, Type::Int, Special::None, "tinyint"),
        ("tinyint(4)", Tinyint1::Bool, Type::Int, Special::None, "tinyint"),
        ("tinyint", Tinyint1::Bool, Type::Int, Special::None, "tinyint"),
        ("tinyint(1) unsigned", Tinyint1::Bool, Type::Int, Special::None, "tinyint unsigned"),
        ("tinyint(1) unsigned zerofill", Tinyint1::Bool, Type::Int, Special::None, "tinyint unsigned"),
    ] {
        let readings = Readings { tinyint1, ..Readings::default() };
        let facts = ColumnFacts::new(&raw(column_type), Flavor::Mysql, readings);
        assert_eq!((&facts.ty, facts.known().special, facts.type_name.as_str()), (&ty, special, name), "{column_type}");
    }
}

#[test]
fn my_60_generated_and_hidden_columns() {
    let of = |extra, expression| {
        let raw = Raw { name: "c", column_type: "int(11)", extra, expression, ..Raw::default() };
        let facts = column(Flavor::Mariadb, &raw);
        (facts.generated, facts.hidden, facts.special)
    };
    assert_eq!(of("VIRTUAL GENERATED", Some("`id` + 1")), (Generated::Virtual, false, Special::None));
    assert_eq!(of("STORED GENERATED INVISIBLE", Some("`id` + 1")), (Generated::Stored, true, Special::None));
    assert_eq!(of("DEFAULT_GENERATED on update CURRENT_TIMESTAMP", Some("")), (Generated::No, false, Special::None));
    assert_eq!(of("STORED GENERATED, INVISIBLE", Some("ROW START")), (Generated::No, true, Special::None));
    assert_eq!(of("STORED GENERATED", Some("ROW END")), (Generated::No, false, Special::RowEnd));
}

fn table(kind: TableKind, primary: &[&str], unique: &[&[&str]]) -> TableFacts {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let column =
        |name| column(Flavor::Mariadb, &Raw { name, column_type: "int(11)", readable: true, ..Raw::default() });
    TableFacts {
        name: TableName { schema: "shop".into(), name: "o`rders".into() },
        kind,
        engine: Some("InnoDB".into()),
        columns: ["a", "b", "c"].map(column).to_vec(),
        primary_key: names(primary),
        unique_keys: unique.iter().map(|key| names(key)).collect(),
        cascades: Vec::new(),
        seen_whole: true,
        partitions: Vec::new(),
        estimated_rows: 7,
    }
}

#[test]
fn the_row_key_is_what_the_server_logs_of_a_row() {
    assert_eq!(table(TableKind::Base, &["b"], &[&["a"]]).row_key().unwrap(), ["b"]);
    assert_eq!(table(TableKind::Base, &[], &[&["c", "a"], &["b"]]).row_key().unwrap(), ["c", "a"]);
    let Err(Error::NoRowKey { remedy, .. }) = table(TableKind::Base, &[], &[]).row_key() else { panic!() };
    assert_eq!(remedy, "ALTER TABLE `shop`.`o``rders` ADD PRIMARY KEY (…)");
    assert!(table(TableKind::View, &[], &[]).row_key().is_err());
}

#[test]
fn wanted_columns_are_the_mapped_ones_and_the_key() {
    let facts = table(TableKind::Base, &["a"], &[]);
    let wanted = facts.wanted(TableId(3), &["c".to_owned()]).unwrap();
    assert_eq!(wanted.columns.iter().collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(wanted.key, ["a"]);
    let mut ids = ColumnIds::default();
    let schema = facts.schema(TableId(3), &["c".to_owned()], &mut ids).unwrap();
    assert_eq!(schema.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert!(facts.schema(TableId(3), &["x".to_owned()], &mut ids).is_err());
}

#[test]
fn catalogues_agree_whatever_is_estimated() {
    let catalog = Catalog { tables: vec![table(TableKind::Base, &["a"], &[])] };
    let mut other = catalog.clone();
    other.tables[0].estimated_rows = 1_000_000;
    other.tables[0].partitions = vec!["p0".into()];
    other.tables[0].columns[1].default = Some("7".into());
    assert!(catalog.agrees_with(&other));
    other.tables[0].columns[1].nullable = true;
    assert!(!catalog.agrees_with(&other));
}
