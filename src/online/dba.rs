//! What a database's administrator has to run, as one script with a reason for every statement. Pure.
//!
//! Faults stand as statements; advice, and what needs a thought first, stands as comments. Running the script twice does no
//! harm: what SQL has no `IF NOT EXISTS` for is asked first.

use std::fmt::Write;

use passerelle_change::{Finding, Severity};
use passerelle_postgres::sql;

use crate::config::model::{Flavor, Mysql, SourceKind};

/// One source and what was found there.
#[derive(Debug)]
pub struct SourcePart<'f> {
    /// Its name in the configuration.
    pub name: &'f str,
    /// Its kind: whose SQL it takes.
    pub kind: &'f SourceKind,
    /// Where it is: address and database.
    pub at: String,
    /// What was found.
    pub findings: &'f [Finding],
}

/// Findings after which nothing else could be looked at.
const FIRST: [&str; 10] =
    ["connect", "pg_hba", "role", "password", "database", "connections", "pooler", "host", "tls", "proxy"];
/// Findings whose statements end or remove something: read first, never run as they are.
const ON_PURPOSE: [&str; 5] = ["open_transaction", "slot_kind", "slot_active", "slot_lost", "slots"];
/// What a statement begins with.
const VERBS: [&str; 7] =
    ["ALTER ", "CREATE ", "GRANT ", "DROP ", "SELECT pg_reload_conf", "SET GLOBAL ", "SET PERSIST "];

/// The script.
pub fn script(sources: &[SourcePart<'_>]) -> String {
    let mut out = String::from(
        "-- What passerelle needs of the database, as `passerelle check` found it. Run each part in its database with the client\n\
         -- that it names, as a superuser or the owner of the tables. Running it again does no harm.\n",
    );
    for source in sources {
        // Writing to a `String` has no error.
        let client = client(source.kind);
        let _ = writeln!(out, "\n-- ---- source {}: {}, with {client}", comment(source.name), comment(&source.at));
        if source.findings.is_empty() {
            out.push_str("-- Nothing to do: it is ready.\n");
        }
        for finding in source.findings {
            part(&mut out, finding, source.kind);
        }
        if source.findings.iter().any(|finding| FIRST.contains(&finding.code)) {
            out.push_str("\n-- Nothing else could be asked. When this is mended, write the script again: there may be more to do.\n");
        }
    }
    out
}

/// The program that people run SQL with.
fn client(kind: &SourceKind) -> &'static str {
    match kind {
        SourceKind::Postgres(_) => "psql",
        SourceKind::Mysql(Mysql { flavor: Flavor::Mysql, .. }) => "mysql",
        SourceKind::Mysql(Mysql { flavor: Flavor::Mariadb, .. }) => "mariadb",
    }
}

fn part(out: &mut String, finding: &Finding, kind: &SourceKind) {
    let word = match finding.severity {
        Severity::Fault => "",
        Severity::Warning => "advice: ",
    };
    let _ = writeln!(out, "\n-- {word}{}", comment(&finding.title));
    for line in finding.detail.lines() {
        let _ = writeln!(out, "--   {}", comment(line));
    }
    let Some(remedy) = &finding.remedy else { return };
    let is_run = finding.severity == Severity::Fault && !ON_PURPOSE.contains(&finding.code);
    for piece in remedy.lines().flat_map(pieces) {
        let is_statement = VERBS.iter().any(|verb| piece.starts_with(verb)) && !piece.contains('…');
        if is_statement && is_run {
            let statement = match kind {
                SourceKind::Postgres(_) => repeatable(&piece),
                // What these servers are told can be told again.
                SourceKind::Mysql(_) => format!("{piece};"),
            };
            let _ = writeln!(out, "{statement}");
        } else if is_statement {
            let _ = writeln!(out, "-- {};", comment(&piece));
        } else {
            let _ = writeln!(out, "--   {}", comment(&piece));
        }
    }
}

/// The parts between semicolons that stand in no quotes.
fn pieces(text: &str) -> Vec<String> {
    let (mut pieces, mut piece, mut quote) = (Vec::new(), String::new(), None);
    for c in text.chars() {
        match (quote, c) {
            (None, ';') => pieces.push(std::mem::take(&mut piece)),
            (None, '\'' | '"' | '`') => {
                quote = Some(c);
                piece.push(c);
            }
            (open, c) => {
                if open == Some(c) {
                    quote = None;
                }
                piece.push(c);
            }
        }
    }
    pieces.push(piece);
    pieces.iter().map(|piece| piece.trim().to_owned()).filter(|piece| !piece.is_empty()).collect()
}

/// A statement of PostgreSQL that may be run again. `CREATE PUBLICATION` and `CREATE ROLE` know no `IF NOT EXISTS`.
fn repeatable(statement: &str) -> String {
    let (catalogue, name) = if let Some(rest) = statement.strip_prefix("CREATE PUBLICATION ") {
        ("pg_publication WHERE pubname", rest)
    } else if let Some(rest) = statement.strip_prefix("CREATE ROLE ") {
        ("pg_roles WHERE rolname", rest)
    } else {
        return format!("{statement};");
    };
    let Some(name) = first_identifier(name) else { return format!("{statement};") };
    let mut tag = "$do$".to_owned();
    while statement.contains(&tag) {
        tag.insert(1, 'x');
    }
    format!(
        "DO {tag} BEGIN\n  IF NOT EXISTS (SELECT FROM {catalogue} = {}) THEN\n    {statement};\n  END IF;\nEND {tag};",
        sql::literal(&name)
    )
}

/// The quoted name that a text begins with.
fn first_identifier(text: &str) -> Option<String> {
    let mut rest = text.strip_prefix('"')?.chars().peekable();
    let mut name = String::new();
    while let Some(c) = rest.next() {
        if c != '"' {
            name.push(c);
        } else if rest.next_if_eq(&'"').is_some() {
            name.push('"');
        } else {
            return Some(name);
        }
    }
    None
}

/// A text that stays within its comment.
fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{Postgres, PublishColumns, Tinyint1, ZeroDates};

    fn finding(code: &'static str, severity: Severity, remedy: &str) -> Finding {
        let (title, detail) = ("what is so".to_owned(), "what follows".to_owned());
        Finding { code, severity, title, detail, remedy: Some(remedy.to_owned()) }
    }

    fn postgres() -> SourceKind {
        SourceKind::Postgres(Postgres {
            slot: "erp".into(),
            publication: "erp".into(),
            publish_columns: PublishColumns::All,
        })
    }

    fn mariadb() -> SourceKind {
        let (zero_dates, tinyint1) = (ZeroDates::Null, Tinyint1::Bool);
        SourceKind::Mysql(Mysql { flavor: Flavor::Mariadb, server_id: None, zero_dates, tinyint1 })
    }

    fn statements(finding: Finding) -> Vec<String> {
        statements_of(&postgres(), finding)
    }

    fn statements_of(kind: &SourceKind, finding: Finding) -> Vec<String> {
        let script = script(&[SourcePart { name: "erp", kind, at: "db:5432, odoo".into(), findings: &[finding] }]);
        script.lines().filter(|line| !line.starts_with("-- ") && !line.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn faults_are_statements_and_words_are_comments() {
        let wal = "ALTER SYSTEM SET wal_level = 'logical'; then restart the server";
        assert_eq!(statements(finding("wal_level", Severity::Fault, wal)), ["ALTER SYSTEM SET wal_level = 'logical';"]);
        let grant = "GRANT SELECT (\"a;b\") ON \"public\".\"t\" TO \"erp\";";
        assert_eq!(statements(finding("select", Severity::Fault, grant)), [grant]);
        assert!(statements(finding("wal_keep", Severity::Warning, "ALTER SYSTEM SET x = 1;")).is_empty());
        assert!(statements(finding("slot_kind", Severity::Fault, "DROP PUBLICATION \"x\";")).is_empty());
        assert!(statements(finding("role", Severity::Fault, "CREATE ROLE \"erp\" PASSWORD '…';")).is_empty());
    }

    #[test]
    fn what_cannot_be_made_twice_is_asked_first() {
        let made =
            statements(finding("publication", Severity::Fault, "CREATE PUBLICATION \"a\"\"b'\" FOR TABLE ONLY \"t\";"));
        assert_eq!(
            made,
            [
                "DO $do$ BEGIN",
                "  IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = 'a\"b''') THEN",
                "    CREATE PUBLICATION \"a\"\"b'\" FOR TABLE ONLY \"t\";",
                "  END IF;",
                "END $do$;",
            ]
        );
    }

    #[test]
    fn statements_of_mariadb_stand_as_they_are() {
        let made = |remedy: &str| statements_of(&mariadb(), finding("grants", Severity::Fault, remedy));
        let grant = "GRANT SELECT (`a;b`) ON `shop`.`t` TO 'erp'@'%';";
        assert_eq!(made(grant), [grant]);
        let set = "SET GLOBAL binlog_format = 'ROW'; and in [mysqld]: binlog_format = ROW";
        assert_eq!(made(set), ["SET GLOBAL binlog_format = 'ROW';"]);
    }

    #[test]
    fn nothing_to_do_is_said() {
        let script = script(&[SourcePart { name: "erp", kind: &mariadb(), at: "db:3306, shop".into(), findings: &[] }]);
        assert!(script.contains("-- ---- source erp: db:3306, shop, with mariadb\n"), "{script}");
        assert!(script.contains("-- Nothing to do: it is ready."), "{script}");
    }
}
