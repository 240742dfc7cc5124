//! `passerelle check`: what is wrong with the configuration, and with `--online` what stands in the way at the
//! databases, each with what mends it.

mod databases;

use std::fmt::Write;
use std::path::Path;

use passerelle_postgres::preflight;
use serde_json::{Value, json};

use super::humane::{counted, tame};
use super::table::{Paint, Tone};
use super::{Failure, Global, print, print_json, stdout_paint, waiting};
use crate::config::{self, Config, Fault, Files, Severity};
use crate::mapping;

/// What is so with one source.
#[derive(Debug)]
struct SourceReport {
    name: String,
    findings: Vec<preflight::Finding>,
}

/// Checks, prints, and fails with the status of a wrong configuration where anything is a fault.
pub(super) fn check(global: &Global, online: bool) -> Result<(), Failure> {
    let loaded = match config::load(&global.config) {
        Ok(loaded) => loaded,
        Err(faults) => return told(global, None, &faults.list, &faults.files, &[], online),
    };
    let mut faults = loaded.warnings;
    faults.extend(language_faults(&loaded.config));
    let mut sources = Vec::new();
    // A mapping whose columns are not known says nothing about the database.
    if online && !any_error(&faults) {
        let asked = async { Ok(databases::check(&loaded.config).await) };
        let (reports, more) = waiting_for(asked)?;
        sources = reports;
        faults.extend(more);
    }
    told(global, Some(&loaded.config), &faults, &loaded.files, &sources, online)
}

/// Faults of the expressions that show without the database: their syntax.
fn language_faults(config: &Config) -> Vec<Fault> {
    let faults = config.mappings.values().filter_map(|mapping| mapping::columns_of(mapping).err());
    faults.flatten().map(of_mapping).collect()
}

fn of_mapping(fault: mapping::MappingFault) -> Fault {
    Fault::error(fault.message).at(&fault.place).maybe_hint(fault.hint)
}

fn any_error(faults: &[Fault]) -> bool {
    faults.iter().any(|fault| fault.severity == Severity::Error)
}

fn any_finding(sources: &[SourceReport]) -> bool {
    let findings = sources.iter().flat_map(|source| &source.findings);
    findings.into_iter().any(|finding| finding.severity == preflight::Severity::Fault)
}

/// Prints what was found: what is wrong with the files goes to stderr, the rest to stdout.
fn told(
    global: &Global,
    config: Option<&Config>,
    faults: &[Fault],
    files: &Files,
    sources: &[SourceReport],
    online: bool,
) -> Result<(), Failure> {
    let good = !any_error(faults) && !any_finding(sources);
    if global.json {
        print_json(&document(good, faults, files, sources))?;
    } else {
        if !faults.is_empty() {
            config::print(faults, files);
        }
        print(&screen(config.filter(|_| good), &global.config, sources, online, stdout_paint()))?;
    }
    if good { Ok(()) } else { Err(Failure::Config) }
}

/// The screen without the faults of the files.
fn screen(good: Option<&Config>, from: &Path, sources: &[SourceReport], online: bool, paint: Paint) -> String {
    let mut text = String::new();
    for source in sources {
        text.push_str(&paragraph(source, paint));
    }
    if let Some(config) = good {
        let counts = [
            counted(config.sources.len() as u64, "source", "sources"),
            counted(config.crms.len() as u64, "CRM", "CRMs"),
            counted(config.mappings.len() as u64, "mapping", "mappings"),
        ];
        let asked = if online { "" } else { "; the databases were not asked, --online does" };
        // Writing to a `String` has no error.
        let _ = writeln!(text, "{} is good: {}{asked}", from.display(), counts.join(", "));
    }
    text
}

fn paragraph(source: &SourceReport, paint: Paint) -> String {
    if source.findings.is_empty() {
        return format!("source {}: {}\n", source.name, paint.text(Tone::Good, "ready"));
    }
    let mut text = format!("source {}:\n", source.name);
    for finding in &source.findings {
        let (word, tone) = match finding.severity {
            preflight::Severity::Fault => ("fault", Tone::Bad),
            preflight::Severity::Warning => ("warning", Tone::Warning),
        };
        // Writing to a `String` has no error.
        let _ = writeln!(text, "\n  {}: {}", paint.text(tone, word), tame(&finding.title));
        for line in finding.detail.lines() {
            let _ = writeln!(text, "    {}", tame(line));
        }
        for line in finding.remedy.iter().flat_map(|remedy| remedy.lines()) {
            let _ = writeln!(text, "      {}", paint.text(Tone::Bold, &tame(line)));
        }
    }
    text.push('\n');
    text
}

fn document(good: bool, faults: &[Fault], files: &Files, sources: &[SourceReport]) -> Value {
    let faults = faults.iter().map(|fault| {
        let severity = match fault.severity {
            Severity::Error => "fault",
            Severity::Warning => "warning",
        };
        json!({
            "severity": severity,
            "place": fault.place.as_ref().map(|place| files.locate(place)),
            "message": fault.message,
            "hint": fault.hint,
        })
    });
    let source = |source: &SourceReport| {
        let findings = source.findings.iter().map(|finding| {
            let severity = match finding.severity {
                preflight::Severity::Fault => "fault",
                preflight::Severity::Warning => "warning",
            };
            json!({
                "severity": severity,
                "code": finding.code,
                "title": finding.title,
                "detail": finding.detail,
                "remedy": finding.remedy,
            })
        });
        json!({ "name": source.name, "findings": findings.collect::<Vec<_>>() })
    };
    json!({
        "good": good,
        "configuration": faults.collect::<Vec<_>>(),
        "sources": sources.iter().map(source).collect::<Vec<_>>(),
    })
}

/// Runs what asks the databases, and hands on what it found.
fn waiting_for<T>(asked: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut found = None;
    waiting(async {
        found = Some(asked.await?);
        Ok(())
    })?;
    found.ok_or_else(|| Failure::Other(anyhow::anyhow!("the databases were not asked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_come_with_what_mends_them() {
        let finding = preflight::Finding {
            code: "wal_level",
            severity: preflight::Severity::Fault,
            title: "wal_level is replica".to_owned(),
            detail: "logical decoding needs logical".to_owned(),
            remedy: Some("ALTER SYSTEM SET wal_level = 'logical';\nthen restart the server".to_owned()),
        };
        let sources = [
            SourceReport { name: "erp".to_owned(), findings: vec![finding] },
            SourceReport { name: "shop".to_owned(), findings: vec![] },
        ];
        let expect = "\
source erp:

  fault: wal_level is replica
    logical decoding needs logical
      ALTER SYSTEM SET wal_level = 'logical';
      then restart the server

source shop: ready
";
        assert_eq!(screen(None, Path::new("/etc/passerelle"), &sources, true, Paint(false)), expect);
        assert!(any_finding(&sources));
        let document = document(false, &[], &Files::default(), &sources);
        assert_eq!(document["sources"][0]["findings"][0]["code"], "wal_level");
    }
}
