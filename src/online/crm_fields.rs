//! What a CRM's administrator has to make, as a page to follow or a table for a spreadsheet. Pure.

use std::fmt::Write;
use std::path::Path;

use super::Wish;

/// The columns.
const HEAD: [&str; 10] =
    ["To do", "Object", "Field label", "API name", "Type", "Length", "External ID", "Unique", "Note", "For mapping"];

/// What became of one CRM.
#[derive(Debug)]
pub struct CrmPart<'w> {
    /// Its name in the configuration.
    pub name: &'w str,
    /// What is to be done there; `None` where it could not be asked.
    pub wishes: Option<&'w [Wish]>,
}

/// The text of the file: comma-separated values where its name ends in `.csv`, else a Markdown page.
pub fn text(file: &Path, crms: &[CrmPart<'_>]) -> String {
    let is_csv = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    if is_csv { csv(crms) } else { page(crms) }
}

fn page(crms: &[CrmPart<'_>]) -> String {
    let mut out = String::from("# What the CRM needs for passerelle\n");
    for crm in crms {
        // Writing to a `String` has no error.
        let _ = writeln!(out, "\n## {}\n", crm.name);
        match crm.wishes {
            None => out.push_str("It could not be asked: mend that first, then write this list again.\n"),
            Some([]) => {
                out.push_str("Nothing to do: every object and field that is mapped is there and can be written.\n");
            }
            Some(wishes) => {
                out.push_str(
                    "New fields: Setup, Object Manager, the object, Fields & Relationships, New. The API name is the field\n\
                     name there and `__c`. Let the integration user's permission set see and edit each of them.\n\n",
                );
                line(&mut out, HEAD.map(str::to_owned));
                line(&mut out, HEAD.map(|_| "---".to_owned()));
                for wish in wishes {
                    line(&mut out, cells(crm.name, wish));
                }
            }
        }
    }
    out
}

fn line(out: &mut String, cells: [String; 10]) {
    let cells = cells.map(|cell| cell.replace('|', "\\|").replace(['\n', '\r'], " "));
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

/// Without a line of its own for what there is nothing to do: a table has rows, and a comment is none in such a file.
fn csv(crms: &[CrmPart<'_>]) -> String {
    let mut out = String::new();
    record(&mut out, &HEAD.map(str::to_owned));
    for crm in crms {
        let note = match crm.wishes {
            None => Some("it could not be asked: mend that first, then write this list again"),
            Some([]) => Some("every object and field that is mapped is there and can be written"),
            Some(_) => None,
        };
        if let Some(note) = note {
            let mut cells = HEAD.map(|_| String::new());
            "nothing".clone_into(&mut cells[0]);
            cells[8] = format!("{}: {note}", crm.name);
            record(&mut out, &cells);
        }
        for wish in crm.wishes.unwrap_or_default() {
            record(&mut out, &cells(crm.name, wish));
        }
    }
    out
}

/// RFC 4180: quotes where they are needed, doubled inside.
fn record(out: &mut String, cells: &[String]) {
    let quoted = cells.iter().map(|cell| {
        let plain = !cell.contains([',', '"', '\n', '\r']);
        if plain { cell.clone() } else { format!("\"{}\"", cell.replace('"', "\"\"")) }
    });
    out.push_str(&quoted.collect::<Vec<_>>().join(","));
    out.push_str("\r\n");
}

fn cells(crm: &str, wish: &Wish) -> [String; 10] {
    let yes = |is: bool| if is { "yes" } else { "" }.to_owned();
    [
        wish.action.to_owned(),
        wish.object.clone(),
        wish.label.clone(),
        wish.api_name.clone(),
        wish.kind.clone(),
        wish.length.clone(),
        yes(wish.external_id),
        yes(wish.unique),
        wish.note.clone(),
        format!("{} ({crm})", wish.mapping),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish() -> Wish {
        Wish {
            object: "Account".into(),
            action: "create field",
            api_name: "Erp_Id__c".into(),
            label: "Erp Id".into(),
            kind: "Text".into(),
            length: "18".into(),
            external_id: true,
            unique: true,
            note: "a \"key\", say".into(),
            mapping: "accounts".into(),
        }
    }

    #[test]
    fn a_page_an_administrator_can_follow() {
        let wishes = [wish()];
        let text = text(Path::new("x.md"), &[CrmPart { name: "sales", wishes: Some(&wishes) }]);
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(
            rows,
            [
                "| To do | Object | Field label | API name | Type | Length | External ID | Unique | Note | For mapping |",
                "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
                "| create field | Account | Erp Id | Erp_Id__c | Text | 18 | yes | yes | a \"key\", say | accounts (sales) |",
            ]
        );
    }

    #[test]
    fn a_table_for_a_spreadsheet() {
        let wishes = [wish()];
        let text = text(Path::new("x.CSV"), &[CrmPart { name: "sales", wishes: Some(&wishes) }]);
        let row = text.split("\r\n").nth(1);
        let expect = "create field,Account,Erp Id,Erp_Id__c,Text,18,yes,yes,\"a \"\"key\"\", say\",accounts (sales)";
        assert_eq!(row, Some(expect));
    }

    #[test]
    fn nothing_to_do_is_said() {
        for (file, wishes, expect) in [
            ("x.md", Some(&[][..]), "Nothing to do"),
            ("x.md", None, "could not be asked"),
            ("x.csv", Some(&[][..]), "nothing,"),
        ] {
            let text = text(Path::new(file), &[CrmPart { name: "sales", wishes }]);
            assert!(text.contains(expect), "{file}: {text}");
        }
    }
}
