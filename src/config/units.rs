//! Durations, sizes, shares and the guard's rule, as people write them. An error says how to write it.

use std::time::Duration;

use super::model::Guard;

/// `250ms`, `30s`, `1m`, `1h`, `2d`, and together: `1h30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    const FORM: &str = "a number and ms, s, m, h or d: \"250ms\", \"30s\", \"1m\", \"1h30m\"";
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(FORM.to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|char: char| char.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().map_err(|_| FORM.to_owned())?;
        rest = &rest[digits..];
        let letters = rest.len() - rest.trim_start_matches(|char: char| char.is_alphabetic()).len();
        let millis = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(FORM.to_owned()),
        };
        rest = rest[letters..].trim_start();
        let part = number.checked_mul(millis).ok_or("less than that")?;
        total = total.checked_add(Duration::from_millis(part)).ok_or("less than that")?;
    }
    Ok(total)
}

/// `500MiB`, `20GiB`, `1.5TiB`; also the decimal units (`20GB`). In bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    const FORM: &str = "a number and MiB, GiB or TiB: \"500MiB\", \"20GiB\"";
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|char: char| char.is_ascii_digit() || char == '.').len();
    let number: f64 = text[..digits].parse().map_err(|_| FORM.to_owned())?;
    let unit: f64 = match text[digits..].trim() {
        "B" => 1.0,
        "KiB" => 1_024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        "TiB" => 1_099_511_627_776.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        _ => return Err(FORM.to_owned()),
    };
    let bytes = number * unit;
    // Far above any disk, far below where a float stops being exact.
    if !(0.0..=1e15).contains(&bytes) {
        return Err("less than that".to_owned());
    }
    #[allow(clippy::cast_sign_loss)] // checked above
    Ok(bytes as u64)
}

/// `10%` as 0.1.
pub(super) fn share(text: &str) -> Result<f64, String> {
    const FORM: &str = "a share from \"0%\" to \"100%\"";
    let number = text.trim().strip_suffix('%').ok_or(FORM)?.trim_end();
    let percent: f64 = number.parse().map_err(|_| FORM.to_owned())?;
    if (0.0..=100.0).contains(&percent) { Ok(percent / 100.0) } else { Err(FORM.to_owned()) }
}

/// `1% or 50 in 1h`, `1% in 1h`, `50 in 1h`; `100%` switches the guard off.
pub(super) fn guard(text: &str) -> Result<Guard, String> {
    const FORM: &str = "\"1% or 50 in 1h\": a share of the mapping's records, a number, and a time; \"100%\" alone switches the guard off";
    let form = || FORM.to_owned();
    if share(text) == Ok(1.0) {
        return Ok(Guard { share: 1.0, count: 0, within: Duration::from_hours(1) });
    }
    let Some((amount, within)) = text.split_once(" in ") else {
        let amount = text.split(" per ").next().unwrap_or(text).trim();
        let counts = |part: &str| share(part).is_ok() || whole(part).is_some();
        return Err(if amount.split(" or ").all(counts) {
            format!("in which time? \"{amount} in 1h\"")
        } else {
            form()
        });
    };
    let within = duration(within).map_err(|_| form())?;
    let above = |part: &str| {
        part.trim().strip_suffix('%').and_then(|n| n.trim().parse::<f64>().ok()).is_some_and(|n| n > 100.0)
    };
    if amount.split(" or ").any(above) {
        return Err("a share is at most 100% of the mapping's records: \"5% in 1h\"".to_owned());
    }
    let (part, count) = match amount.split_once(" or ") {
        Some((part, count)) => (share(part).map_err(|_| form())?, whole(count).ok_or_else(form)?),
        None if amount.contains('%') => (share(amount).map_err(|_| form())?, 0),
        None => (0.0, whole(amount).ok_or_else(form)?),
    };
    if within.is_zero() { Err(form()) } else { Ok(Guard { share: part, count, within }) }
}

fn whole(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{duration, guard, share, size};
    use crate::config::model::Guard;
    use std::time::Duration;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("1m", 60_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("1h 5s", 3_605_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in
            ["", "1", "1M", "m", "-1s", "1.5h", "1 minute", "1h-", "99999999999999999999s", "99999999999999999d", "1é"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("1B", 1), ("500MiB", 500 << 20), ("20GiB", 20 << 30), ("1.5 GiB", 3 << 29), ("2GB", 2_000_000_000)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "20", "20G", "GiB", "-1GiB", "1.2.3GiB", "9999999TiB", "20 gibibytes"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares() {
        assert_eq!(share("10%"), Ok(0.1));
        assert_eq!(share("0.5 %"), Ok(0.005));
        for text in ["", "10", "101%", "-1%", "nan%", "x%", "%"] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn guards() {
        let guard_of = |share, count, secs| Ok(Guard { share, count, within: Duration::from_secs(secs) });
        assert_eq!(guard("1% or 50 in 1h"), guard_of(0.01, 50, 3600));
        assert_eq!(guard("5% in 10m"), guard_of(0.05, 0, 600));
        assert_eq!(guard("50 in 1d"), guard_of(0.0, 50, 86_400));
        assert_eq!(guard("100%"), guard_of(1.0, 0, 3600));
        for text in [
            "",
            "5%",
            "1% and 50 in 1h",
            "50 or 1% in 1h",
            "1% or 50",
            "1% or 50 in",
            "1% or 50 in 0s",
            "50",
            "-1 in 1h",
        ] {
            assert!(guard(text).is_err(), "{text}");
        }
    }
}
