//! Filters on dates and times.

use super::{Filter, Op, Param};
use crate::mapping::filters::time::Form;
use crate::mapping::kind::Kind;

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "date",
        takes: "text, a date, a date and time, an instant",
        params: &[
            Param {
                name: "format",
                default: Some("'YYYY-MM-DD'"),
                about: "how text is written: YYYY, YY, MM, DD, HH, mm, ss, or strptime's % directives",
            },
            Param {
                name: "zone",
                default: Some("the source's"),
                about: "zone in which the date of an instant, or of a naive time of the source's zone, is taken",
            },
        ],
        gives: "a date",
        about: "The date of a time, or the date that text says. MySQL's zero date, `0000-00-00`, is null.",
        errors: "text of another form",
        examples: &[
            ("'31/01/2024' | date('DD/MM/YYYY')", "2024-01-31"),
            ("'2024-06-30T23:30:00Z' | datetime | date(zone='Europe/Paris')", "2024-07-01"),
            ("'0000-00-00' | date", "null"),
            ("'soon' | date", "bad: not a date of the expected form"),
        ],
        accepts: |kind| kind.is_text() || matches!(kind, Kind::Date | Kind::DateTime | Kind::Timestamp),
        build: |call| {
            let form = call.time_form(0, 1, Form::new)?;
            Ok((Op::Date(form.with_naive_in(call.zone.clone())), Kind::Date))
        },
    },
    Filter {
        name: "datetime",
        takes: "text, a date, a date and time, an instant",
        params: &[
            Param {
                name: "format",
                default: Some("ISO 8601"),
                about: "how text is written: YYYY, YY, MM, DD, HH, mm, ss, or strptime's % directives",
            },
            Param { name: "zone", default: Some("the source's"), about: "zone in which a naive time is read" },
        ],
        gives: "an instant",
        about: "The instant of a naive time; of a date, its midnight. MySQL's zero date, `0000-00-00 00:00:00`, is null.",
        errors: "text of another form",
        examples: &[
            ("'2024-01-31 10:00:00' | datetime(zone='Europe/Paris')", "2024-01-31T09:00:00Z"),
            ("'31.01.2024 10:00' | datetime('DD.MM.YYYY HH:mm')", "2024-01-31T10:00:00Z"),
            ("'0000-00-00 00:00:00' | datetime", "null"),
            ("'soon' | datetime", "bad: not a date and time of the expected form"),
        ],
        accepts: |kind| kind.is_text() || matches!(kind, Kind::Date | Kind::DateTime | Kind::Timestamp),
        build: |call| Ok((Op::DateTime(call.time_form(0, 1, Form::new)?), Kind::Timestamp)),
    },
    Filter {
        name: "time",
        takes: "text, a time of day, a date and time, an instant",
        params: &[
            Param {
                name: "format",
                default: Some("'HH:mm:ss'"),
                about: "how text is written: HH, mm, ss, or strptime's % directives",
            },
            Param {
                name: "zone",
                default: Some("the source's"),
                about: "zone in which the time of day of an instant, or of a naive time of the source's zone, is taken",
            },
        ],
        gives: "a time of day",
        about: "The time of day of a time, or the one that text says.",
        errors: "text of another form",
        examples: &[
            ("'10:20' | time", "10:20:00"),
            ("'10h20' | time('HHhmm')", "10:20:00"),
            ("'2024-06-30T22:30:00Z' | datetime | time(zone='Europe/Paris')", "00:30:00"),
            ("'noon' | time", "bad: not a time of day of the expected form"),
        ],
        accepts: |kind| kind.is_text() || matches!(kind, Kind::Time | Kind::DateTime | Kind::Timestamp),
        build: |call| {
            let form = call.time_form(0, 1, Form::of_times)?;
            Ok((Op::Time(form.with_naive_in(call.zone.clone())), Kind::Time))
        },
    },
];
