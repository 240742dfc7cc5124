//! Rows to records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use passerelle_change::{Column, ColumnId, FieldValue, TableName, Type, key};

use super::super::{Compile, Desired, Mapping, MappingFault, ParentInfo, Record, Target};
use super::{columns, packed};
use crate::config::model::{
    self, Canary, Check, Delivery, Departure, Expr, Field, FieldMap, FieldSource, Guard, MapOther, Missing, OnBad,
    OnCollision, OnGone, OnKeyChange, OnTruncate, Place,
};

fn place(start: usize, length: usize) -> Place {
    Place { file: 0, span: start..start + length }
}

fn expr(text: &str) -> Expr {
    Expr { text: text.into(), place: place(100, text.len()) }
}

fn field(name: &str, value: FieldSource) -> Field {
    let place = place(500, 5);
    Field {
        name: name.into(),
        value,
        map: None,
        required: false,
        on_bad: OnBad::Omit,
        create_only: false,
        urgent: false,
        enforce: false,
        when: None,
        on_create: None,
        check: None,
        missing: Missing::Omit,
        place,
    }
}

fn value(name: &str, text: &str) -> Field {
    field(name, FieldSource::Value(expr(text)))
}

fn reference(name: &str, mapping: &str, text: &str) -> Field {
    field(
        name,
        FieldSource::Reference { mappings: mapping.split(' ').map(str::to_owned).collect(), value: Some(expr(text)) },
    )
}

fn unkept(name: &str, text: &str, missing: Missing) -> Field {
    let (object, by) = ("User".into(), "Email".into());
    Field { missing, ..field(name, FieldSource::Unkept { object, by, value: expr(text) }) }
}

fn mapping(fields: Vec<Field>) -> model::Mapping {
    model::Mapping {
        name: "contacts".into(),
        source: "erp".into(),
        table: TableName { schema: "public".into(), name: "res_partner".into() },
        crm: "sales".into(),
        object: "Contact".into(),
        key_field: "Erp_Id__c".into(),
        key_value: expr("id"),
        filter: None,
        deleted: None,
        on_delete: Departure::Delete,
        on_leave: Departure::Ignore,
        on_truncate: OnTruncate::Ignore,
        on_gone: OnGone::Recreate,
        on_key_change: OnKeyChange::Rename,
        on_collision: OnCollision::Reject,
        on_drift: None,
        guard: Guard { share: 0.01, count: 50, within: Duration::from_hours(1) },
        delivery: Delivery::Realtime,
        freshness: Duration::from_mins(1),
        quiet: None,
        canary: Canary::default(),
        observe: false,
        urgent: false,
        owner: None,
        purpose: None,
        standard: Arc::default(),
        fields,
        association_of: None,
        with: Vec::new(),
        place: place(0, 10),
    }
}

fn parents(name: &str) -> Option<ParentInfo> {
    let text = Type::Text { max_chars: None };
    let key: Vec<(&str, Type)> = match name {
        "accounts" => vec![("id", Type::Int)],
        "shops" => vec![("code", text)],
        "prices" => vec![("shop", Type::Int), ("day", Type::Date)],
        _ => return None,
    };
    let key = key.into_iter().map(|(name, ty)| (name.to_owned(), ty)).collect();
    Some(ParentInfo { mapping: 3, key, key_field: "Erp_Id__c".into() })
}

fn compile(config: &model::Mapping) -> Result<Mapping, Vec<MappingFault>> {
    Mapping::compile(config, &Compile::new(&columns(), &parents, "UTC"))
}

fn desired(config: &model::Mapping, cells: &[(&str, Option<&str>)]) -> Desired {
    let columns: Vec<Column> = columns();
    let mapping = compile(config).unwrap_or_else(|faults| panic!("{faults:?}"));
    mapping.evaluate(packed(&columns, cells).as_cells(), &[])
}

fn record(config: &model::Mapping, cells: &[(&str, Option<&str>)]) -> Record {
    match desired(config, cells) {
        Desired::Present(record) => record,
        other => panic!("no record: {other:?}"),
    }
}

fn text(text: &str) -> Target {
    Target::Set(FieldValue::Text(text.into()))
}

fn number(text: &str) -> Target {
    Target::Set(FieldValue::Number(text.into()))
}

const NULL: Target = Target::Set(FieldValue::Null);

#[test]
fn values_take_the_crms_forms() {
    let cases = [
        ("name", Some("Ada"), text("Ada")),
        ("name", Some(""), text("")),
        ("name", None, NULL),
        ("n", Some("7"), number("7")),
        ("amount", Some("12.50"), number("12.50")),
        ("amount", Some("123456789012345678901234567890.12"), number("123456789012345678901234567890.12")),
        ("amount", Some("NaN"), Target::Omitted),
        ("amount", Some("-Infinity"), Target::Omitted),
        ("ratio", Some("0.1"), number("0.1")),
        ("ratio", Some("1e+300"), number("1e300")),
        ("ratio", Some("NaN"), Target::Omitted),
        ("is_company", Some("t"), Target::Set(FieldValue::Bool(true))),
        ("state", Some("sale"), text("sale")),
        ("day", Some("2024-02-29"), text("2024-02-29")),
        ("day", Some("infinity"), Target::Omitted),
        ("clock", Some("10:00:00"), text("10:00:00")),
        ("naive", Some("2024-01-31 10:00:00"), text("2024-01-31T10:00:00Z")),
        ("at", Some("2024-01-31 10:00:00.123999+00"), text("2024-01-31T10:00:00.123Z")),
        ("at", Some("1969-12-31 23:59:59.999999+00"), text("1969-12-31T23:59:59.999Z")),
        ("uid", Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        ("doc", Some("{\"a\": 1}"), text("{\"a\": 1}")),
        ("tags", Some("{a,NULL,b}"), text("a;b")),
        ("tags", Some("{}"), NULL),
    ];
    for (column, cell, expect) in cases {
        let record = record(&mapping(vec![value("F", column)]), &[("id", Some("1")), (column, cell)]);
        assert_eq!(record.fields[0].target, expect, "{column} {cell:?}");
        assert_eq!(record.bad.len(), usize::from(expect == Target::Omitted));
    }
}

#[test]
fn an_absent_column_leaves_its_field_out() {
    let config = mapping(vec![value("Name", "name | default('?')"), value("Email", "email")]);
    let record = record(&config, &[("id", Some("1")), ("email", Some("a@b.org"))]);
    assert_eq!(record.fields[0].target, Target::Absent);
    assert_eq!(record.fields[1].target, text("a@b.org"));
    let mapping = compile(&config).expect("a mapping");
    assert!(!mapping.complete_for_create(&record));
    let row = packed(&columns(), &[("id", Some("1")), ("email", None)]);
    assert_eq!(mapping.absent_columns(row.as_cells(), &[]), ["name"]);
}

#[test]
fn where_deleted_and_key_decide_first() {
    let mut config = mapping(vec![value("Name", "name")]);
    config.filter = Some(expr("not is_company"));
    config.deleted = Some(expr("not active"));
    let row = |company, active| {
        desired(&config, &[("id", Some("1")), ("is_company", company), ("active", active), ("name", None)])
    };
    let (yes, no) = (Some("t"), Some("f"));
    assert!(matches!(row(no, yes), Desired::Present(_)));
    assert_eq!(row(yes, yes), Desired::Left);
    assert_eq!(row(None, yes), Desired::Left);
    assert_eq!(row(no, no), Desired::Deleted);
    assert!(matches!(row(no, None), Desired::Present(_)));
    let incomplete =
        |columns: &[&str]| Desired::Incomplete { columns: columns.iter().map(|name| (*name).to_owned()).collect() };
    assert_eq!(desired(&config, &[("id", Some("1"))]), incomplete(&["is_company"]));
    assert_eq!(desired(&config, &[("id", Some("1")), ("is_company", no)]), incomplete(&["active"]));
    assert_eq!(desired(&config, &[("is_company", no), ("active", yes)]), incomplete(&["id"]));
}

#[test]
fn keys_that_are_none_are_refused() {
    let mut config = mapping(vec![]);
    let code = |config: &model::Mapping, cells: &[(&str, Option<&str>)]| match desired(config, cells) {
        Desired::Refused(refusal) => refusal.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(&config, &[("id", None)]), "KEY_EMPTY");
    assert_eq!(code(&config, &[("id", Some("x"))]), "KEY_BAD");
    config.key_value = expr("name | trim");
    assert_eq!(code(&config, &[("name", Some("  "))]), "KEY_EMPTY");
    config.key_value = expr("'C-' ~ id");
    assert_eq!(record(&config, &[("id", Some("42"))]).key, "C-42");
}

#[test]
fn bad_values_follow_on_bad_and_required() {
    let with = |on_bad, required| {
        mapping(vec![Field { required, on_bad, ..value("Phone", "phone | phone") }, value("Name", "name")])
    };
    let row = [("id", Some("1")), ("phone", Some("12")), ("name", Some("Ada"))];
    let left_out = record(&with(OnBad::Omit, false), &row);
    assert_eq!(left_out.fields[0].target, Target::Omitted);
    assert_eq!(left_out.fields[1].target, text("Ada"));
    assert_eq!((&*left_out.bad[0].name, left_out.bad[0].reason), ("Phone", "not a valid phone number"));
    assert_eq!(record(&with(OnBad::Null, false), &row).fields[0].target, NULL);
    let refused = |config, row: &[(&str, Option<&str>)]| match desired(&config, row) {
        Desired::Refused(refusal) => format!("{} {} {:?}", refusal.code, refusal.message, refusal.fields),
        other => panic!("{other:?}"),
    };
    let bad = r#"FIELD_BAD `Phone` cannot be mapped: not a valid phone number ["Phone"]"#;
    assert_eq!(refused(with(OnBad::Reject, false), &row), bad);
    let required = r#"FIELD_REQUIRED `Phone` is required: not a valid phone number ["Phone"]"#;
    assert_eq!(refused(with(OnBad::Omit, true), &row), required);
    assert_eq!(refused(with(OnBad::Null, true), &row), required);
    let null = [("id", Some("1")), ("phone", None), ("name", None)];
    assert_eq!(
        refused(with(OnBad::Omit, true), &null),
        r#"FIELD_REQUIRED `Phone` is required: the value is null ["Phone"]"#
    );
    let absent = record(&with(OnBad::Omit, true), &[("id", Some("1")), ("name", None)]);
    assert_eq!(absent.fields[0].target, Target::Absent);
}

#[test]
fn maps_and_constants() {
    let other = |other| {
        let named = |text: &str| FieldValue::Text(text.into());
        let entries = [("sale".to_owned(), named("Activated")), ("cancel".to_owned(), FieldValue::Null)].into();
        let map = Some(FieldMap { entries, other });
        mapping(vec![Field { map, ..value("Status", "state") }, field("Type", FieldSource::Const(named("Customer")))])
    };
    let row = |state| [("id", Some("1")), ("state", state)];
    let status = |config: model::Mapping, state| record(&config, &row(state)).fields.swap_remove(0).target;
    assert_eq!(status(other(MapOther::Bad), Some("sale")), text("Activated"));
    assert_eq!(status(other(MapOther::Bad), Some("cancel")), NULL);
    assert_eq!(status(other(MapOther::Bad), None), NULL);
    assert_eq!(status(other(MapOther::Bad), Some("draft")), Target::Omitted);
    assert_eq!(status(other(MapOther::Keep), Some("draft")), text("draft"));
    assert_eq!(status(other(MapOther::Const(FieldValue::Text("Other".into()))), Some("draft")), text("Other"));
    assert!(matches!(desired(&other(MapOther::Reject), &row(Some("draft"))), Desired::Refused(_)));
    assert_eq!(record(&other(MapOther::Bad), &row(None)).fields[1].target, text("Customer"));
}

#[test]
fn references_give_the_parents_row_key() {
    let target = |mapping_name: &str, text: &str, cells: &[(&str, Option<&str>)]| {
        let mut cells = cells.to_vec();
        cells.push(("id", Some("1")));
        record(&mapping(vec![reference("Account", mapping_name, text)]), &cells).fields.swap_remove(0).target
    };
    let row_key = |write: &dyn Fn(&mut key::KeyBuf<'_>)| {
        let mut row_key = Vec::new();
        write(&mut key::KeyBuf(&mut row_key));
        Target::Reference { mappings: [3].into(), row_key }
    };
    assert_eq!(target("accounts", "parent_id", &[("parent_id", Some("17"))]), row_key(&|key| key.push_int(17)));
    assert_eq!(target("accounts", "parent_id", &[("parent_id", None)]), NULL);
    assert_eq!(target("accounts", "parent_id", &[]), Target::Absent);
    assert_eq!(target("accounts", "name | number", &[("name", Some("17.0"))]), row_key(&|key| key.push_int(17)));
    assert_eq!(target("accounts", "name | number", &[("name", Some("17.5"))]), Target::Omitted);
    assert_eq!(target("accounts", "parent_id if parent_id != id else none", &[("parent_id", Some("1"))]), NULL);
    assert_eq!(target("shops", "name", &[("name", Some("a b"))]), row_key(&|key| key.push_text(b"a b")));
    let both = row_key(&|key| {
        key.push_int(2);
        key.push_text(b"2024-01-31");
    });
    assert_eq!(target("prices", "[n, day]", &[("n", Some("2")), ("day", Some("2024-01-31"))]), both);
    assert_eq!(target("prices", "[n, day]", &[("n", Some("2")), ("day", None)]), NULL);
}

#[test]
fn a_record_that_no_mapping_keeps_is_found_by_text() {
    let target = |field: Field, name: &str, cell: Option<&str>| {
        record(&mapping(vec![field]), &[("id", Some("1")), (name, cell)]).fields.swap_remove(0).target
    };
    let email = |cell, missing| target(unkept("Owner", "email", missing), "email", cell);
    let wait = Missing::Wait(Duration::from_hours(1));
    assert_eq!(email(Some(" ada@x.example "), Missing::Omit), Target::Unkept("ada@x.example".into()));
    assert_eq!(target(unkept("Owner", "n", Missing::Omit), "n", Some("17")), Target::Unkept("17".into()));
    for (cell, missing, wanted) in [
        (None, Missing::Omit, Target::Omitted),
        (Some(" "), wait, Target::Omitted),
        (None, Missing::Null, NULL),
        (Some(""), Missing::Reject, NULL),
    ] {
        assert_eq!(email(cell, missing), wanted, "{cell:?} {missing:?}");
    }
    assert_eq!(email(Some(&"x".repeat(256)), Missing::Omit), Target::Omitted);
    let required = Field { required: true, ..unkept("Owner", "email", Missing::Omit) };
    let config = mapping(vec![required]);
    assert!(matches!(desired(&config, &[("id", Some("1")), ("email", None)]), Desired::Refused(_)));
}

#[test]
fn every_fault_is_found_at_once_and_in_its_place() {
    let mut config = mapping(vec![
        value("A", "nmae"),
        value("B", "raw"),
        reference("C", "nobody", "parent_id"),
        reference("D", "accounts", "name"),
        reference("E", "prices", "id"),
        reference("F", "prices", "[id, name]"),
        reference("G", "accounts shops", "parent_id"),
        unkept("H", "is_company", Missing::Omit),
    ]);
    config.filter = Some(expr("name"));
    config.key_value = expr("raw");
    config.fields[0].value = FieldSource::Value(Expr { text: "1 + nmae".into(), place: place(200, 8) });
    let faults = compile(&config).expect_err("faults");
    let printed: Vec<_> = faults.iter().map(|fault| format!("{:?} {}", fault.place.span, fault.message)).collect();
    assert_eq!(
        printed,
        [
            "100..104 a condition is due, and this is text",
            "100..103 a key is text or a whole number, and this is bytes",
            "204..208 the table has no column `nmae`",
            "100..103 bytes cannot be sent as they are",
            "500..505 there is no mapping `nobody` to refer to",
            "100..104 the parent's key `id` is an integer, and this is text",
            "100..102 the parent's key has 2 columns, and this gives 1",
            "105..109 the parent's key `day` is a date, and this is text",
            "500..505 the tables of [mapping.accounts] and [mapping.shops] have keys of other types",
            "100..110 a record is found by text or a number, and this is a boolean",
        ]
    );
}

#[test]
fn a_column_that_is_null_in_every_row_need_not_be_there() {
    let nulls = |names: &[&str]| -> BTreeMap<String, Type> {
        let ty = |name: &str| if name == "amount" { Type::Int } else { Type::Text { max_chars: None } };
        names.iter().map(|name| ((*name).to_owned(), ty(name))).collect()
    };
    let with_nulls = |config: &model::Mapping, columns: &[Column], names: &[&str]| {
        Mapping::compile(config, &Compile { nulls: &nulls(names), ..Compile::new(columns, &parents, "UTC") })
    };
    let config = mapping(vec![
        value("Fax", "fax"),
        value("Phone", "phone | default('?')"),
        value("Name", "'Ms ' ~ name"),
        value("Due", "amount * 2"),
    ]);
    let columns = columns();
    assert!(compile(&config).is_err(), "there is no column fax");
    let mapping = with_nulls(&config, &columns, &["fax", "phone", "amount"]).unwrap();
    let targets = |cells: &[(&str, Option<&str>)]| match mapping.evaluate(packed(&columns, cells).as_cells(), &[]) {
        Desired::Present(record) => record.fields.into_iter().map(|field| field.target).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    // What stands in its cell counts for nothing, and a row without it lacks nothing.
    let row = [("id", Some("1")), ("name", Some("Ada")), ("phone", Some("12"))];
    assert_eq!(targets(&row), [NULL, text("?"), text("Ms Ada"), NULL]);
    assert_eq!(targets(&row[..2]), [NULL, text("?"), text("Ms Ada"), NULL]);
    let revision = |names: &[&str]| {
        let config = super::records::mapping(vec![value("Name", "name")]);
        with_nulls(&config, &columns, names).unwrap().revision()
    };
    assert_ne!(revision(&[]), revision(&["name"]));
}

#[test]
fn a_column_that_is_null_is_of_the_type_that_it_had() {
    let number = Column { id: ColumnId(90), type_name: "integer".into(), ty: Type::Int, ..columns()[1].clone() };
    let columns = [columns(), vec![number]].concat();
    let config = mapping(vec![value("Name", "name | upper")]);
    let compile = |nulls: &[&str]| {
        let nulls = nulls.iter().map(|name| ((*name).to_owned(), Type::Text { max_chars: None })).collect();
        Mapping::compile(&config, &Compile { nulls: &nulls, ..Compile::new(&columns, &parents, "UTC") }).map(|_| ())
    };
    assert!(compile(&[]).is_err(), "a number has no upper case");
    assert_eq!(compile(&["name"]), Ok(()));
}

#[test]
fn one_column_may_have_two_names() {
    let config = mapping(vec![value("Phone", "phone"), value("Mobile", "mobile")]);
    let alias = Column { name: "mobile".into(), ..columns()[3].clone() };
    let columns = [columns(), vec![alias]].concat();
    let mapping = Mapping::compile(&config, &Compile::new(&columns, &parents, "UTC")).unwrap();
    match mapping.evaluate(packed(&columns, &[("id", Some("1")), ("phone", Some("12"))]).as_cells(), &[]) {
        Desired::Present(record) => assert!(record.fields.iter().all(|field| field.target == text("12")), "{record:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_revision_is_of_the_outcome_and_stays() {
    let revision = |config: &model::Mapping| compile(config).expect("a mapping").revision();
    let config = mapping(vec![value("Name", "name")]);
    let first = revision(&config);
    // Written in states: a change of it evaluates every row again.
    assert_eq!(first, 260_593_600_061_307_552);
    let mut same = config.clone();
    same.freshness = Duration::from_secs(5);
    same.place = place(9, 9);
    assert_eq!(revision(&same), first);
    let changes: [fn(&mut model::Mapping); 11] = [
        |config| config.key_value = expr("name"),
        |config| config.filter = Some(expr("active")),
        |config| config.deleted = Some(expr("active")),
        |config| config.fields[0].name = Arc::from("LastName"),
        |config| config.fields[0].required = true,
        |config| config.fields[0].when = Some(expr("active")),
        |config| config.fields[0].on_create = Some(FieldValue::Null),
        |config| config.fields[0].check = Some(Check::Vat),
        |config| config.fields[0].missing = Missing::Null,
        |config| config.observe = true,
        |config| config.canary.limit = Some(5),
    ];
    for change in changes {
        let mut changed = config.clone();
        change(&mut changed);
        assert_ne!(revision(&changed), first);
    }
}

#[test]
fn a_field_is_left_out_where_its_condition_is_not_true() {
    let locked = |required| Field { when: Some(expr("not is_company")), required, ..value("Name", "name") };
    let name = |required, is_company, name| {
        let cells = [("id", Some("1")), ("is_company", is_company), ("name", name)];
        match desired(&mapping(vec![locked(required)]), &cells) {
            Desired::Present(mut record) => record.fields.swap_remove(0).target,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(name(false, Some("f"), Some("Ada")), text("Ada"));
    assert_eq!(name(false, Some("t"), Some("Ada")), Target::Omitted);
    assert_eq!(name(false, None, Some("Ada")), Target::Omitted, "null is not true");
    assert_eq!(name(true, Some("t"), None), Target::Omitted, "what is left out is not missing");
    let absent = [("id", Some("1")), ("name", Some("Ada"))];
    assert_eq!(record(&mapping(vec![locked(false)]), &absent).fields[0].target, Target::Absent);
    assert_eq!(compile(&mapping(vec![locked(false)])).unwrap().columns().count(), 3, "its columns are captured");
    let wrong = Field { when: Some(expr("name")), ..value("Name", "nam") };
    assert_eq!(compile(&mapping(vec![wrong])).unwrap_err().len(), 2);
}

#[test]
fn a_value_that_fails_its_check_is_bad() {
    let checked = |on_bad, required| {
        mapping(vec![Field { check: Some(Check::Siret), on_bad, required, ..value("Siret__c", "name") }])
    };
    let siret = |on_bad, required, siret| desired(&checked(on_bad, required), &[("id", Some("1")), ("name", siret)]);
    let target = |desired| match desired {
        Desired::Present(Record { mut fields, bad, .. }) => (fields.swap_remove(0).target, bad.len()),
        other => panic!("{other:?}"),
    };
    assert_eq!(target(siret(OnBad::Omit, false, Some("732 829 320 00074"))), (text("732 829 320 00074"), 0));
    assert_eq!(target(siret(OnBad::Omit, false, Some("1"))), (Target::Omitted, 1));
    assert_eq!(target(siret(OnBad::Null, false, Some("1"))), (NULL, 1));
    assert_eq!(target(siret(OnBad::Omit, false, None)), (NULL, 0));
    for (on_bad, required, code) in [(OnBad::Reject, false, "FIELD_BAD"), (OnBad::Omit, true, "FIELD_REQUIRED")] {
        match siret(on_bad, required, Some("1")) {
            Desired::Refused(refusal) => {
                assert_eq!(refusal.code, code);
                assert!(refusal.message.ends_with("not a SIRET"), "{}", refusal.message);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_standard_holds_where_nothing_is_said() {
    let standard = model::Standard {
        country: Some("FR".into()),
        date: Some("DD/MM/YYYY".into()),
        empty_is_null: true,
        ..Default::default()
    };
    let fields = [
        "phone | phone",
        "phone | phone('GB')",
        "email | date",
        "email | date(zone='UTC')",
        "name | default('?')",
        "[phone] | map('phone')",
        "[phone] | map('phone', 'GB')",
        "[phone] | map(filter='phone', country='GB')",
        "[email] | map('date')",
        "[email] | map('date', zone='UTC')",
    ];
    let fields = fields.iter().enumerate().map(|(at, text)| value(&format!("F{at}"), text));
    let config = model::Mapping { standard: Arc::new(standard), ..mapping(fields.collect()) };
    let cells =
        [("id", Some("1")), ("phone", Some("01 42 68 53 00")), ("email", Some("31/01/2024")), ("name", Some(" "))];
    let targets: Vec<_> = record(&config, &cells).fields.into_iter().map(|field| field.target).collect();
    let day = text("2024-01-31");
    let phone = text("+33142685300");
    let said = [phone.clone(), Target::Omitted, day.clone(), day.clone(), text("?")];
    let of_items = [phone, Target::Omitted, Target::Omitted, day.clone(), day];
    assert_eq!(targets, [said, of_items].concat());
    assert_eq!(
        record(&config, &[("id", Some("1")), ("phone", Some("")), ("email", None), ("name", Some("A"))]).bad,
        []
    );
}
