//! `passerelle check`: what is wrong with the configuration, and with `--online` what stands in the way at the databases
//! and the CRMs, each with what mends it; and as files what others have to do for it.

mod databases;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use passerelle_change::{self as change, Finding};
use serde_json::{Value, json};

use super::humane::{counted, tame};
use super::table::{Paint, Tone};
use super::{Failure, Global, print, print_json, stdout_paint, waiting};
use crate::config::{self, Config, Fault, Files, Severity};
use crate::online::{Wish, crm_fields, dba};
use crate::{mapping, source};

/// What to look at, and what to write.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct CheckArgs {
    /// Ask the databases and the CRMs too: settings, rights, tables, columns, objects, fields
    #[arg(long)]
    online: bool,
    /// Write what the databases' administrator has to run, as SQL with a reason for each statement; asks as --online
    #[arg(long, value_name = "FILE")]
    sql_for_dba: Option<PathBuf>,
    /// Write what the CRM's administrator has to create, as Markdown, or as CSV where FILE ends in .csv; asks as --online
    #[arg(long, value_name = "FILE")]
    crm_fields: Option<PathBuf>,
}

impl CheckArgs {
    fn asks(&self) -> bool {
        self.online || self.sql_for_dba.is_some() || self.crm_fields.is_some()
    }
}

/// What is so with one source or CRM.
#[derive(Debug)]
struct Report {
    name: String,
    /// It answers, and what it says of the mappings stands in the files.
    told_in_files: bool,
    findings: Vec<Finding>,
}

/// What the databases and CRMs said.
#[derive(Debug, Default)]
struct Asked {
    sources: Vec<Report>,
    crms: Vec<Report>,
    /// For each CRM what is to be made there; `None` where it could not be asked.
    wishes: Vec<Option<Vec<Wish>>>,
    /// What they say of the mappings.
    faults: Vec<Fault>,
}

/// Checks, prints, and fails with the status of a wrong configuration where anything is a fault.
pub(super) fn check(global: &Global, args: &CheckArgs) -> Result<(), Failure> {
    let loaded = match config::load(&global.config) {
        Ok(loaded) => loaded,
        Err(faults) => {
            let told = told(global, None, &faults.list, &faults.files, None);
            not_written(args);
            return told;
        }
    };
    let mut faults = loaded.warnings;
    let mut language = language_faults(&loaded.config, &loaded.files);
    let mut asked = None;
    // A mapping whose columns are not known says nothing about the database.
    if args.asks() && !any_error(&faults) && loaded.config.mappings.values().all(can_be_read) {
        let mut answers = waiting_for(async { Ok(databases::check(&loaded.config, &loaded.files).await) })?;
        // With the columns' types known the same is said once more, and better.
        language.retain(|fault| !answers.faults.iter().any(|known| known.place == fault.place));
        faults.append(&mut answers.faults);
        asked = Some(answers);
    }
    faults.append(&mut language);
    faults.sort_by_key(|fault| fault.place.as_ref().map(|place| (place.file, place.span.start)));
    let told = told(global, Some(&loaded.config), &faults, &loaded.files, asked.as_ref());
    match &asked {
        Some(asked) => write_files(global, args, &loaded.config, asked)?,
        None => not_written(args),
    }
    told
}

/// Writes the files that were asked for.
fn write_files(global: &Global, args: &CheckArgs, config: &Config, asked: &Asked) -> Result<(), Failure> {
    if let Some(file) = &args.sql_for_dba {
        let parts = asked.sources.iter().zip(config.sources.values());
        let parts = parts.map(|(report, source)| dba::SourcePart {
            name: &report.name,
            kind: &source.kind,
            at: format!("{}, database {}", source::address(source), source.database),
            findings: &report.findings,
        });
        write_file(global, file, &dba::script(&parts.collect::<Vec<_>>()))?;
    }
    if let Some(file) = &args.crm_fields {
        let parts = asked.crms.iter().zip(&asked.wishes);
        let parts = parts.map(|(report, wishes)| crm_fields::CrmPart { name: &report.name, wishes: wishes.as_deref() });
        write_file(global, file, &crm_fields::text(file, &parts.collect::<Vec<_>>()))?;
    }
    Ok(())
}

fn write_file(global: &Global, file: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(file, text)
        .map_err(|fault| Failure::Other(anyhow::anyhow!("cannot write {}: {fault}", file.display())))?;
    // With --json stdout is the document's.
    if global.json { Ok(()) } else { print(&format!("written: {}\n", file.display())) }
}

/// The configuration is too faulty to ask anybody.
fn not_written(args: &CheckArgs) {
    for file in [&args.sql_for_dba, &args.crm_fields].into_iter().flatten() {
        eprintln!("{} was not written: nobody is asked before the faults above are mended", file.display());
    }
}

/// Whether all expressions of a mapping can be read.
fn can_be_read(mapping: &config::model::Mapping) -> bool {
    mapping::columns_of(mapping).is_ok()
}

/// Faults of the expressions that show without the database: their syntax, filters, arguments.
fn language_faults(config: &Config, files: &Files) -> Vec<Fault> {
    let faults = config.mappings.values().flat_map(|mapping| {
        let zone = config.sources.get(&mapping.source).map_or("UTC", |source| source.time_zone.as_str());
        mapping::faults_without_types(mapping, zone)
    });
    faults.map(|fault| fault.shown(files)).collect()
}

fn any_error(faults: &[Fault]) -> bool {
    faults.iter().any(|fault| fault.severity == Severity::Error)
}

fn any_finding(reports: &[Report]) -> bool {
    let findings = reports.iter().flat_map(|report| &report.findings);
    findings.into_iter().any(|finding| finding.severity == change::Severity::Fault)
}

/// Prints what was found: what is wrong with the files goes to stderr, the rest to stdout. `asked` is `None` where nobody
/// was asked.
fn told(
    global: &Global,
    config: Option<&Config>,
    faults: &[Fault],
    files: &Files,
    asked: Option<&Asked>,
) -> Result<(), Failure> {
    let silent = Asked::default();
    let answers = asked.unwrap_or(&silent);
    let good = !any_error(faults) && !any_finding(&answers.sources) && !any_finding(&answers.crms);
    if global.json {
        print_json(&document(good, faults, files, answers))?;
    } else {
        if !faults.is_empty() {
            config::print(faults, files);
        }
        print(&screen(config.filter(|_| good), &global.config, asked, stdout_paint()))?;
    }
    if good { Ok(()) } else { Err(Failure::Config) }
}

/// The screen without the faults of the files.
fn screen(good: Option<&Config>, from: &Path, asked: Option<&Asked>, paint: Paint) -> String {
    let mut text = String::new();
    if let Some(asked) = asked {
        asked.sources.iter().for_each(|source| text.push_str(&paragraph("source", source, paint)));
        asked.crms.iter().for_each(|crm| text.push_str(&paragraph("crm", crm, paint)));
    }
    if let Some(config) = good {
        let counts = [
            counted(config.sources.len() as u64, "source", "sources"),
            counted(config.crms.len() as u64, "CRM", "CRMs"),
            counted(config.mappings.len() as u64, "mapping", "mappings"),
        ];
        let silent = if asked.is_some() { "" } else { "; the databases and CRMs were not asked, --online does" };
        // Writing to a `String` has no error.
        let _ = writeln!(text, "{} is good: {}{silent}", from.display(), counts.join(", "));
    }
    text
}

fn paragraph(what: &str, report: &Report, paint: Paint) -> String {
    let name = &report.name;
    if report.findings.is_empty() {
        let word = if what == "crm" || report.told_in_files { "answers" } else { "ready" };
        return format!("{what} {name}: {}\n", paint.text(Tone::Good, word));
    }
    let mut text = format!("{what} {name}:\n");
    for finding in &report.findings {
        let (word, tone) = match finding.severity {
            change::Severity::Fault => ("fault", Tone::Bad),
            change::Severity::Warning => ("warning", Tone::Warning),
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

fn document(good: bool, faults: &[Fault], files: &Files, asked: &Asked) -> Value {
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
    let report = |report: &Report| {
        let findings = report.findings.iter().map(|finding| {
            let severity = match finding.severity {
                change::Severity::Fault => "fault",
                change::Severity::Warning => "warning",
            };
            json!({
                "severity": severity,
                "code": finding.code,
                "title": finding.title,
                "detail": finding.detail,
                "remedy": finding.remedy,
            })
        });
        json!({ "name": report.name, "findings": findings.collect::<Vec<_>>() })
    };
    json!({
        "good": good,
        "configuration": faults.collect::<Vec<_>>(),
        "sources": asked.sources.iter().map(report).collect::<Vec<_>>(),
        "crms": asked.crms.iter().map(report).collect::<Vec<_>>(),
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
        let finding = Finding {
            code: "wal_level",
            severity: change::Severity::Fault,
            title: "wal_level is replica".to_owned(),
            detail: "logical decoding needs logical".to_owned(),
            remedy: Some("ALTER SYSTEM SET wal_level = 'logical';\nthen restart the server".to_owned()),
        };
        let sources = vec![
            Report { name: "erp".to_owned(), told_in_files: false, findings: vec![finding] },
            Report { name: "shop".to_owned(), told_in_files: false, findings: vec![] },
            Report { name: "web".to_owned(), told_in_files: true, findings: vec![] },
        ];
        let crms = vec![Report { name: "sales".to_owned(), told_in_files: false, findings: vec![] }];
        let asked = Asked { sources, crms, ..Asked::default() };
        let expect = "\
source erp:

  fault: wal_level is replica
    logical decoding needs logical
      ALTER SYSTEM SET wal_level = 'logical';
      then restart the server

source shop: ready
source web: answers
crm sales: answers
";
        assert_eq!(screen(None, Path::new("/etc/passerelle"), Some(&asked), Paint(false)), expect);
        assert!(any_finding(&asked.sources));
        let document = document(false, &[], &Files::default(), &asked);
        assert_eq!(document["sources"][0]["findings"][0]["code"], "wal_level");
    }
}
