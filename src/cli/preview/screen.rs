//! The preview on a terminal: pure.

use std::fmt::Write;

use passerelle_change::FieldValue;

use super::words::{cut, field, quoted, value};
use crate::cli::humane::{counted, tame};
use crate::cli::table::{Paint, Side, Table, Tone};
use crate::config::model::{Delivery, Departure, Mapping, Missing};
use crate::mapping::{Step, StepKind};
use crate::preview::{
    Fate, FieldView, MOST_LOOKED_AT, MOST_RELATED, Origin, Outcome, PivotRow, Preview, RowView, Shown,
};

/// The widest line of a row's columns.
const WIDEST: usize = 110;

/// Everything.
pub(super) fn screen(mapping: &Mapping, preview: &Preview, paint: Paint) -> String {
    let mut out = String::new();
    let head =
        format!("{}: {} of {} to {} in {}", mapping.name, mapping.table, mapping.source, mapping.object, mapping.crm);
    // Writing to a `String` has no error.
    let _ = writeln!(out, "{}", paint.text(Tone::Bold, &tame(&head)));
    out.push_str("Nothing is sent. Each record is shown whole, as it goes to a CRM that has none of it yet;\n");
    out.push_str("of a record that is there, only what differs is sent.\n");
    for note in notes(mapping) {
        let _ = writeln!(out, "{}: {note}", paint.text(Tone::Warning, "note"));
    }
    for row in &preview.rows {
        out.push('\n');
        out.push_str(&one(mapping, row, paint));
    }
    out.push_str(&end(preview, paint));
    out
}

/// Settings of the mapping that keep records from being written, or from being written at once.
fn notes(mapping: &Mapping) -> Vec<String> {
    let mut notes = Vec::new();
    if mapping.observe {
        notes.push("mode = \"observe\": nothing of this mapping is written".to_owned());
    }
    if let Some(limit) = mapping.canary.limit {
        notes.push(format!("limit: at most {} are written", counted(limit, "record", "records")));
    }
    if let Some(only) = &mapping.canary.only {
        notes.push(format!("only: the rows {} are written", tame(&only.join("; "))));
    }
    match &mapping.delivery {
        Delivery::Realtime => {}
        Delivery::Every(interval) => {
            notes.push(format!("delivery: changes are sent together, every {}", humantime::format_duration(*interval)));
        }
        Delivery::Cron(times) => notes.push(format!("delivery: changes are sent together, at \"{times}\"")),
    }
    if let Some(quiet) = mapping.quiet {
        let still = humantime::format_duration(quiet);
        notes.push(format!("quiet: a changed row is sent once it has been still for {still}"));
    }
    notes
}

fn end(preview: &Preview, paint: Paint) -> String {
    let mut words = Vec::new();
    if preview.rows.is_empty() {
        words.push("the table has no row".to_owned());
    }
    if preview.left_out > 0 {
        let rows = counted(preview.left_out as u64, "row was left out", "rows were left out");
        words.push(format!("{rows} by `where`; --key shows one"));
    }
    if preview.more {
        words.push(if preview.left_out >= MOST_LOOKED_AT / 2 {
            format!("no more than {MOST_LOOKED_AT} rows were looked at")
        } else {
            "there are more rows; --limit shows more".to_owned()
        });
    }
    if words.is_empty() { String::new() } else { format!("\n{}\n", paint.text(Tone::Soft, &words.join("; "))) }
}

fn one(mapping: &Mapping, row: &RowView, paint: Paint) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}", paint.text(Tone::Bold, &format!("row {} of {}", tame(&row.row_key), mapping.table)));
    out.push_str(&columns(row));
    out.push('\n');
    let head = [("FIELD", Side::Left), ("FROM", Side::Left), ("VALUE", Side::Left), ("OF", Side::Left)];
    // Without relations everything is of the row itself.
    let mut table = Table::new(if row.related.is_empty() { &head[..3] } else { &head });
    let conditions = [("where", row.filter.as_ref()), ("deleted", row.deleted.as_ref())];
    for (name, shown) in conditions {
        if let Some(shown) = shown {
            steps(&mut table, row, (name, Tone::Soft), shown);
        }
    }
    // What a row that is left out would have become is nobody's question.
    if !matches!(row.outcome, Outcome::Left | Outcome::Deleted) {
        steps(&mut table, row, (&format!("key {}", mapping.key_field), Tone::Soft), &row.key);
        for view in &row.fields {
            of_field(&mut table, row, view);
        }
    }
    for line in table.render(paint).lines() {
        let _ = writeln!(out, "  {line}");
    }
    out.push('\n');
    out.push_str(&outcome(mapping, &row.outcome, paint));
    out
}

/// The row's columns, as many on a line as fit.
fn columns(row: &RowView) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for step in &row.columns {
        let cell = format!("{} = {}", tame(&step.text), of_step(step).0);
        if !line.is_empty() && line.chars().count() + cell.chars().count() + 5 > WIDEST {
            let _ = writeln!(out, "  {line},");
            line.clear();
        }
        if !line.is_empty() {
            line.push_str(", ");
        }
        line.push_str(&cell);
    }
    let _ = writeln!(out, "  {line}");
    out
}

/// A line a step; the first has the name.
fn steps(table: &mut Table, row: &RowView, (name, tone): (&str, Tone), shown: &Shown) {
    for (at, step) in shown.steps.iter().enumerate() {
        let name = if at == 0 { tame(name) } else { String::new() };
        table.row([(name, tone), (from(step), Tone::Plain), of_step(step), origin(row, step)]);
    }
}

fn from(step: &Step) -> String {
    let text = cut(&step.text);
    if step.kind == StepKind::Filter { format!("| {text}") } else { text }
}

/// The rows behind what a relation gave.
fn origin(row: &RowView, step: &Step) -> (String, Tone) {
    let Some((related, name)) = row.relation(step) else { return (String::new(), Tone::Plain) };
    let tables = related.tables.join(" or ");
    let (mut text, mut tone) = match &related.origin {
        Origin::Row { row_key, of: 1, .. } => (format!("row {row_key} of {tables}"), Tone::Soft),
        Origin::Row { row_key, of, picked: true } => {
            (format!("row {row_key} of {tables}, the first of {of} by `pick`"), Tone::Soft)
        }
        Origin::Row { row_key, of, picked: false } => {
            (format!("row {row_key} of {tables}, of {of} the one with the lowest key"), Tone::Warning)
        }
        Origin::Pivot(rows) => match rows.iter().find(|row| row.name == name) {
            Some(PivotRow { table, row_key, .. }) => (format!("row {row_key} of {table}"), Tone::Soft),
            None => (format!("no row of {tables} with that name"), Tone::Soft),
        },
        Origin::Figures(rows) => (format!("{} of {tables}", counted(*rows as u64, "row", "rows")), Tone::Soft),
        Origin::Nothing => (format!("no row of {tables}"), Tone::Soft),
        Origin::NoKey => (format!("no row of {tables}: what it is joined by is null"), Tone::Soft),
        Origin::Unknown(why) => (format!("{tables} is not known: {why}"), Tone::Warning),
    };
    if related.more {
        let _ = write!(text, "; only {MOST_RELATED} rows were read, and there are more");
        tone = Tone::Warning;
    }
    (tame(&text), tone)
}

fn of_step(step: &Step) -> (String, Tone) {
    match &step.value {
        Ok(known) => (value(known), Tone::Plain),
        Err(reason) => (format!("bad: {reason}"), Tone::Bad),
    }
}

fn of_field(table: &mut Table, row: &RowView, view: &FieldView) {
    let mut name = view.name.as_str();
    if let Some(when) = &view.when {
        // Behind what related rows give to it.
        let start = when.steps.iter().position(|step| step.kind == StepKind::Start).unwrap_or(0);
        for (at, step) in when.steps.iter().enumerate() {
            let from = if at == start { format!("when {}", from(step)) } else { from(step) };
            let name = (std::mem::take(&mut name).to_owned(), Tone::Plain);
            table.row([name, (from, Tone::Soft), of_step(step), origin(row, step)]);
        }
    }
    if let Some(shown) = &view.value {
        steps(table, row, (name, Tone::Plain), shown);
        name = "";
    }
    for (from, text, tone) in fate(view) {
        table.row([(std::mem::take(&mut name).to_owned(), Tone::Plain), (from, Tone::Soft), (text, tone)]);
    }
}

/// The lines behind a field's steps: where from, what, and how good that is.
fn fate(view: &FieldView) -> Vec<(String, String, Tone)> {
    let line = |from: &str, text: String, tone| (from.to_owned(), text, tone);
    let last = view.value.as_ref().and_then(|shown| shown.steps.last());
    let mut lines = match &view.fate {
        None => Vec::new(),
        Some(Fate::Set(set)) => {
            // A value that goes as it was shown needs no line of its own.
            let bare = |text: &str| text.trim_matches('"').to_owned();
            let same = last.is_some_and(|step| bare(&of_step(step).0) == bare(&field(set)));
            match (&view.value, view.has_map, same) {
                (None, _, _) => vec![line("const", field(set), Tone::Plain)],
                (Some(_), true, _) => vec![line("map", field(set), Tone::Plain)],
                (Some(_), false, true) => Vec::new(),
                (Some(_), false, false) => vec![line("as sent", field(set), Tone::Plain)],
            }
        }
        Some(Fate::Refers { mapping, row_key, parent, without }) => {
            let row = format!("row {} of mapping {mapping}", tame(row_key));
            match parent {
                Ok(FieldValue::Reference { key_field, key }) => {
                    vec![line("reference", format!("{row}: the record with {key_field} = {}", quoted(key)), Tone::Good)]
                }
                Ok(other) => vec![line("reference", format!("{row}: {}", field(other)), Tone::Good)],
                Err(why) => {
                    let then = match without {
                        Missing::Omit => "left out, and sent once the record is there".to_owned(),
                        Missing::Null => "cleared, and sent once the record is there".to_owned(),
                        Missing::Reject => "a dead letter until the record is there".to_owned(),
                        Missing::Wait(time) => {
                            let time = humantime::format_duration(*time);
                            format!("waited for, {time} at most; then left out, and sent once the record is there")
                        }
                    };
                    vec![
                        line("reference", format!("{row}: none, {}", tame(why)), Tone::Warning),
                        line("", then, Tone::Soft),
                    ]
                }
            }
        }
        Some(Fate::Finds { object, by, value }) => {
            vec![line("crm", format!("the {object} whose {by} is {}, if the CRM has one", quoted(value)), Tone::Plain)]
        }
        Some(Fate::Nobody) => {
            vec![line("", "left out: it names no record, or `when` is not true".to_owned(), Tone::Soft)]
        }
        Some(Fate::Bad { reason, cleared }) => {
            let is_shown = last.is_some_and(|step| step.value.is_err());
            let from = if view.has_map { "map" } else { "check" };
            let mut lines = if is_shown { Vec::new() } else { vec![line(from, format!("bad: {reason}"), Tone::Bad)] };
            let then = if *cleared { "cleared (on_bad = \"null\")" } else { "left out (on_bad = \"omit\")" };
            lines.push(line("", then.to_owned(), Tone::Soft));
            lines
        }
        Some(Fate::LeftOut) => vec![line("", "left out: `when` is not true".to_owned(), Tone::Soft)],
        Some(Fate::Absent) => vec![line("", "not known: the stream does not carry a column".to_owned(), Tone::Warning)],
    };
    let then = match &view.fate {
        Some(Fate::Set(_)) => "; a second write brings the value",
        // Nothing follows what is bad, unless it is cleared.
        Some(Fate::Bad { cleared: false, .. }) => " and keeps it",
        Some(Fate::Bad { cleared: true, .. }) => "; a second write clears it",
        Some(Fate::Refers { .. } | Fate::Finds { .. } | Fate::Nobody | Fate::LeftOut | Fate::Absent) | None => {
            return lines;
        }
    };
    if let Some(first) = &view.on_create {
        lines.push(line("on_create", format!("a new record begins with {}{then}", field(first)), Tone::Soft));
    }
    lines
}

fn outcome(mapping: &Mapping, outcome: &Outcome, paint: Paint) -> String {
    match outcome {
        Outcome::Upsert { key, record } => {
            let head = format!("upsert of {} by {} = {}", mapping.object, mapping.key_field, quoted(key));
            format!("  {}\n{}", paint.text(Tone::Good, &head), indented(record))
        }
        Outcome::Left => {
            let head = "no record: `where` leaves the row out";
            format!("  {}; {}\n", paint.text(Tone::Warning, head), departure("on_leave", &mapping.on_leave))
        }
        Outcome::Deleted => {
            let head = "no record: `deleted` is true";
            format!("  {}; {}\n", paint.text(Tone::Warning, head), departure("on_delete", &mapping.on_delete))
        }
        Outcome::Apart => {
            let head = "no association: there is nothing to join";
            format!("  {}; one that is there goes\n", paint.text(Tone::Warning, head))
        }
        Outcome::Refused(refusal) => {
            format!("  {} {}: {}\n", paint.text(Tone::Bad, "dead letter"), refusal.code, tame(&refusal.message))
        }
        Outcome::Incomplete(columns) => {
            let head = paint.text(Tone::Warning, "no record:");
            format!("  {head} the stream does not carry {}\n", tame(&columns.join(", ")))
        }
    }
}

/// What becomes of a record that is there.
fn departure(setting: &str, policy: &Departure) -> String {
    match policy {
        Departure::Delete => format!("a record that is there is deleted ({setting} = \"delete\")"),
        Departure::Ignore => format!("a record that is there stays ({setting} = \"ignore\")"),
        Departure::Set(fields) => {
            let fields = fields.iter().map(|(name, set)| format!("{name} = {}", field(set)));
            format!("on a record that is there, {} ({setting})", fields.collect::<Vec<_>>().join(", "))
        }
    }
}

/// The record as it stands in the request, a field a line.
fn indented(record: &str) -> String {
    use serde_json::value::RawValue;
    // Raw values keep their digits.
    let fields: Result<Fields<'_>, _> = serde_json::from_str(record);
    let Ok(Fields(fields)) = fields else { return format!("    {}\n", tame(record)) };
    let mut out = String::from("    {\n");
    for (at, (name, raw)) in fields.iter().enumerate() {
        let comma = if at + 1 < fields.len() { "," } else { "" };
        let raw: &RawValue = raw;
        let _ = writeln!(out, "      \"{name}\": {}{comma}", tame(raw.get()));
    }
    out.push_str("    }\n");
    out
}

/// A JSON object's fields in their order, as they stand there.
struct Fields<'r>(Vec<(String, &'r serde_json::value::RawValue)>);

impl<'de> serde::Deserialize<'de> for Fields<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_field_a_line_with_its_digits() {
        let record = r#"{"attributes":{"type":"Account"},"Amount":12345678901234567890.10,"Name":"a\nb"}"#;
        let expect = "    {\n      \"attributes\": {\"type\":\"Account\"},\n      \"Amount\": 12345678901234567890.10,\n      \
                      \"Name\": \"a\\nb\"\n    }\n";
        assert_eq!(indented(record), expect);
    }
}
