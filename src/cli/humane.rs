//! Figures as people read them: pure.

use std::time::Duration;

use jiff::Timestamp;

/// What is not known.
pub(crate) const UNKNOWN: &str = "–";

/// A size: `0 B`, `640 B`, `1.4 GiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        // What would be printed as 1024.0 belongs to the next unit.
        if size < 1023.95 {
            break;
        }
        size /= 1024.0;
        unit = larger;
    }
    format!("{size:.1} {unit}")
}

/// A span of time: `0.4 s`, `42 s`, `3 min`, `4 h 12 min`, `3 d 4 h`.
pub(crate) fn span(seconds: f64) -> String {
    if seconds < 9.95 {
        return format!("{:.1} s", seconds.max(0.0));
    }
    let whole = Duration::try_from_secs_f64(seconds.round()).map_or(u64::MAX, |span| span.as_secs());
    let (days, hours, minutes) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60);
    match whole {
        0..60 => format!("{whole} s"),
        60..3_600 => format!("{minutes} min"),
        3_600..86_400 => format!("{hours} h {minutes} min"),
        86_400.. => format!("{days} d {hours} h"),
    }
}

/// How long ago something was.
pub(crate) fn ago(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map_or_else(|| UNKNOWN.to_owned(), |at| format!("{} ago", span(now.duration_since(at).as_secs_f64())))
}

/// A number with its thousands apart: `1 204 332`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut apart = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            apart.push(' ');
        }
        apart.push(digit);
    }
    apart
}

/// The figure, or [`UNKNOWN`].
pub(crate) fn known<T>(figure: Option<T>, print: impl FnOnce(T) -> String) -> String {
    figure.map_or_else(|| UNKNOWN.to_owned(), print)
}

/// A state as a person reads it: `catching_up` is `catching up`. The word is the document's own.
pub(crate) fn word(state: &impl serde::Serialize) -> String {
    match serde_json::to_value(state) {
        Ok(serde_json::Value::String(word)) => word.replace('_', " "),
        Ok(_) | Err(_) => UNKNOWN.to_owned(),
    }
}

/// `1 dead letter`, `2 dead letters`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// Text of a peer for a terminal: control characters are shown, not obeyed.
pub(crate) fn tame(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let check = |size, expect: &str| assert_eq!(bytes(size), expect);
        check(0, "0 B");
        check(1023, "1023 B");
        check(1024, "1.0 KiB");
        check(1024 * 1024 - 1, "1.0 MiB");
        check(1_503_238_554, "1.4 GiB");
        check(u64::MAX, "16.0 EiB");
    }

    #[test]
    fn spans() {
        let check = |seconds, expect: &str| assert_eq!(span(seconds), expect);
        check(-3.0, "0.0 s");
        check(3.24, "3.2 s");
        check(9.96, "10 s");
        check(59.4, "59 s");
        check(59.6, "1 min");
        check(3_599.7, "1 h 0 min");
        check(15_120.0, "4 h 12 min");
        check(86_400.0 * 3.0 + 3_600.0 * 4.0, "3 d 4 h");
    }

    #[test]
    fn numbers() {
        let check = |number, expect: &str| assert_eq!(count(number), expect);
        check(0, "0");
        check(999, "999");
        check(1_000, "1 000");
        check(1_204_332, "1 204 332");
    }

    #[test]
    fn what_a_peer_wrote_cannot_steer_the_terminal() {
        assert_eq!(tame("a\u{1b}[2Jb\nc é"), "a\\u{1b}[2Jb\\nc é");
    }
}
