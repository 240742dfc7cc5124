//! `delivery = { cron = "…" }`: times of the calendar, in a time zone.

use std::time::Duration;

use cronexpr::{Crontab, MakeTimestamp, parse_crontab};
use jiff::Timestamp;

use super::fault::Fault;
use super::model::Place;
use super::section::Found;
use super::tree::Value;

/// How many times in a row are looked at for the longest wait between two: a week of what comes daily.
const LOOKED_AT: usize = 8;
/// Where that begins: 2024-01-01, a Monday of a leap year.
const FIRST_SECOND: i64 = 1_704_067_200;
/// `cron` has five fields; what stands behind them is its time zone.
const FIELDS: usize = 5;

/// Reads `cron`. Without a time zone of its own it has the source's.
pub(super) fn read(found: &Found<'_>, zone: &str) -> Option<String> {
    const FORM: &str = "minute, hour, day, month, day of the week, and perhaps a time zone: \"0 2 * * *\", \"30 6 * * MON-FRI Europe/Paris\"";
    let text = found.text()?;
    let written = text.split_whitespace().collect::<Vec<_>>();
    let whole = if written.len() == FIELDS { format!("{} {zone}", written.join(" ")) } else { written.join(" ") };
    if written.len() < FIELDS {
        let message = format!("`cron` has five fields, and here are {}", written.len());
        return match short_form(text) {
            Some(ours) => found.fault(format!("`cron` has no word for \"{text}\""), format!("write {ours}")),
            None => found.fault(message, FORM),
        };
    }
    let Ok(crontab) = parse_crontab(&whole) else {
        return match wrong_field(&written) {
            Some((word, what)) => {
                let fault = Fault::error(format!("`{word}` cannot be {what}")).hint(FORM);
                found.context.note(fault.at(&place_of(found, word)));
                None
            }
            None => found.fault(format!("`cron` cannot be \"{text}\""), FORM),
        };
    };
    let Some(first) = next(&crontab, Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(FIRST_SECOND)) else {
        return found.fault(format!("\"{text}\" is a time that never comes"), FORM);
    };
    // A second one: the calendar has days that come once.
    next(&crontab, first).map(|_| whole)
}

/// Where a word of the text stands.
fn place_of(found: &Found<'_>, word: &str) -> Place {
    let Value::Text(text, inside) = &found.node.value else { return found.node.place.clone() };
    // Without escapes, of which times have none, the text stands in the file as it is.
    let whole = format!(" {text} ");
    match whole.find(&format!(" {word} ")) {
        Some(at) => Place { file: inside.file, span: inside.span.start + at..inside.span.start + at + word.len() },
        None => found.node.place.clone(),
    }
}

/// What stands for a schedule in a word.
fn short_form(text: &str) -> Option<&'static str> {
    Some(match text.trim().to_lowercase().as_str() {
        "@hourly" | "hourly" | "every hour" => "delivery = { every = \"1h\" }",
        "@daily" | "@midnight" | "daily" | "every day" | "nightly" => "cron = \"0 0 * * *\"",
        "@weekly" | "weekly" | "every week" => "cron = \"0 0 * * SUN\"",
        "@monthly" | "monthly" | "every month" => "cron = \"0 0 1 * *\"",
        "every minute" => "delivery = { every = \"1m\" }",
        _ => return None,
    })
}

/// The first word that makes no schedule among `*`, and what it should be.
fn wrong_field<'t>(words: &[&'t str]) -> Option<(&'t str, &'static str)> {
    const NAMES: [&str; 6] = [
        "the minute, 0 to 59",
        "the hour, 0 to 23",
        "the day of the month, 1 to 31",
        "the month, 1 to 12 or JAN to DEC",
        "the day of the week, 0 to 7 or MON to SUN",
        "the time zone, a name like Europe/Paris",
    ];
    if words.len() > NAMES.len() {
        return words.get(NAMES.len()).map(|word| (*word, "a part of `cron`, which has five fields and a time zone"));
    }
    words.iter().zip(NAMES).enumerate().find_map(|(at, (word, name))| {
        let mut alone = ["*", "*", "*", "*", "*", "UTC"];
        alone[at] = word;
        parse_crontab(&alone.join(" ")).is_err().then_some((*word, name))
    })
}

/// The first time of a schedule after another; `None` when there is none within the calendar.
pub(crate) fn next_after(schedule: &str, after: Timestamp) -> Option<Timestamp> {
    next(&parse_crontab(schedule).ok()?, after)
}

/// The longest time between two times of a schedule, days apart on which the clocks change.
pub(super) fn longest_wait(schedule: &str) -> Duration {
    let Ok(crontab) = parse_crontab(schedule) else { return Duration::ZERO };
    let begin = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(FIRST_SECOND);
    let times = std::iter::successors(next(&crontab, begin), |at| next(&crontab, *at));
    let times: Vec<Timestamp> = times.take(LOOKED_AT).collect();
    let waits = times.windows(2).filter_map(|pair| Duration::try_from(pair[1].duration_since(pair[0])).ok());
    waits.max().unwrap_or_default()
}

fn next(crontab: &Crontab, after: Timestamp) -> Option<Timestamp> {
    crontab.find_next(MakeTimestamp(after)).ok().map(|at| at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(schedule: &str, from: &str) -> String {
        next_after(schedule, from.parse().unwrap()).map_or("never".into(), |at| at.to_string())
    }

    #[test]
    fn the_next_time_is_in_the_schedules_zone() {
        let paris = "0 2 * * * Europe/Paris";
        assert_eq!(after(paris, "2026-01-15T00:30:00Z"), "2026-01-15T01:00:00Z");
        assert_eq!(after(paris, "2026-01-15T01:00:00Z"), "2026-01-16T01:00:00Z", "not the same again");
        assert_eq!(after(paris, "2026-07-15T00:30:00Z"), "2026-07-16T00:00:00Z", "in summer");
        assert_eq!(after("30 6 * * MON-FRI UTC", "2026-11-20T07:00:00Z"), "2026-11-23T06:30:00Z");
    }

    #[test]
    fn a_night_without_that_hour_has_no_run() {
        let paris = "30 2 * * * Europe/Paris";
        let from = |from: &str| {
            let mut at: Timestamp = from.parse().unwrap();
            let until = at + jiff::SignedDuration::from_hours(48);
            let mut runs = 0;
            while let Some(next) = next_after(paris, at).filter(|next| *next < until) {
                (at, runs) = (next, runs + 1);
            }
            runs
        };
        assert_eq!(from("2026-03-28T12:00:00Z"), 1, "the clock goes forward");
        assert!((2..=3).contains(&from("2026-10-24T12:00:00Z")), "the clock goes back");
    }

    #[test]
    fn the_longest_wait_is_over_a_week() {
        assert_eq!(longest_wait("0 * * * * UTC"), Duration::from_hours(1));
        assert_eq!(longest_wait("0 2 * * MON-FRI UTC"), Duration::from_hours(72));
        assert_eq!(longest_wait("0 2 * * * Europe/Paris"), Duration::from_hours(24));
        assert_eq!(longest_wait("nonsense"), Duration::ZERO);
    }
}
