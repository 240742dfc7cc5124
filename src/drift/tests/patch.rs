//! Decisions as they are applied.

use passerelle_change::{Column, ColumnId, Type};

use super::super::{Needed, Part, Patch, columns_for, patched};
use super::World;

fn fields(patch: &Patch) -> Result<String, Needed> {
    let world =
        World::new("where = \"active\"", "A = \"a\"\nB = \"a ~ b\"\nC = { const = 1 }\nD = \"d\"", "id integer key");
    let mapping = patched(&world.mapping, patch)?;
    Ok(mapping.fields.iter().map(|field| field.name.to_string()).collect::<Vec<_>>().join(" "))
}

#[test]
fn fields_without_their_columns_are_left_out() {
    let mut patch = Patch::default();
    assert!(patch.is_empty());
    assert_eq!(fields(&patch).unwrap(), "A B C D");
    patch.leave_out("b");
    assert_eq!(fields(&patch).unwrap(), "A C D");
    patch.leave_out("a");
    assert_eq!(fields(&patch).unwrap(), "C D");
    patch.make_null("a", Type::Int);
    assert_eq!(fields(&patch).unwrap(), "A C D", "a null is a value");
    patch.rename("b", "c");
    assert_eq!(fields(&patch).unwrap(), "A B C D");
    patch.leave_out("active");
    let needed = fields(&patch).unwrap_err();
    assert_eq!((&needed.part, needed.to_string().as_str()), (&Part::Where, "`where` needs active"));
    patch.leave_out("id");
    assert_eq!(fields(&patch).unwrap_err().to_string(), "`key` needs id");
}

/// `1 phone, 2 tel` as the mapping calls them after these renames.
fn named(renames: &str, columns: &str) -> String {
    let mut patch = Patch::default();
    for (name, to) in renames.split_whitespace().filter_map(|pair| pair.split_once('=')) {
        patch.rename(name, to);
    }
    let column = |text: &str| {
        let (id, name) = text.split_once(' ').expect("an id and a name");
        let id = ColumnId(id.parse().expect("a number"));
        Column { id, name: name.to_owned(), ty: Type::Int, type_name: "integer".to_owned(), nullable: false }
    };
    let columns = columns_for(&patch, columns.split(", ").map(column).collect());
    columns.iter().map(|column| format!("{} {}", column.id.0, column.name)).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_renamed_column_has_the_cells_of_all_its_names_the_newest_last() {
    assert_eq!(named("", "1 id, 2 phone"), "1 id, 2 phone");
    assert_eq!(named("phone=tel", "1 id, 2 phone, 3 tel"), "1 id, 3 tel, 2 phone, 3 phone");
    // Ids are no order: what it is called now is newest.
    assert_eq!(named("phone=tel", "3 phone, 2 tel"), "2 tel, 3 phone, 2 phone");
    assert_eq!(named("phone=tel phone=fon", "1 phone, 2 tel, 3 fon"), "2 tel, 3 fon, 1 phone, 2 phone, 3 phone");
    // There and back again: rows captured in between have it under the other name.
    assert_eq!(named("phone=tel phone=phone", "1 phone, 2 tel"), "2 tel, 2 phone, 1 phone");
    assert_eq!(
        named("phone=tel phone=phone phone=fon", "1 phone, 2 tel, 3 fon"),
        "2 tel, 3 fon, 2 phone, 1 phone, 3 phone"
    );
    assert_eq!(named("a=b b=a", "1 a, 2 b"), "1 a, 2 a, 2 b, 1 b");
}

#[test]
fn a_patch_is_kept_as_json_and_an_older_one_is_read() {
    let mut patch = Patch::default();
    patch.rename("phone", "tel");
    patch.rename("phone", "fon");
    patch.make_null("fax", Type::Int);
    patch.make_null("fax", Type::Bool);
    let text = serde_json::to_string(&patch).unwrap();
    assert_eq!(text, r#"{"renamed":{"phone":"fon"},"formerly":{"phone":["tel"]},"dropped":[],"nulls":{"fax":"Int"}}"#);
    assert_eq!(serde_json::from_str::<Patch>(&text).unwrap(), patch);
    assert_eq!(serde_json::from_str::<Patch>(r#"{"dropped":["a"]}"#).unwrap().dropped.len(), 1);
}
