//! Integers, decimals and floats as the canonical text that PostgreSQL's codec has, too.

use crate::wire::{Malformed, Reader, decimal_bytes};

/// Appends an integer.
pub(super) fn push_uint(mut n: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + (n % 10) as u8;
        }
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// Appends an integer with a sign.
pub(super) fn push_int(n: i64, out: &mut Vec<u8>) {
    if n < 0 {
        out.push(b'-');
    }
    push_uint(n.unsigned_abs(), out);
}

/// Appends `n` in `width` digits at least.
pub(super) fn push_padded(n: u64, width: usize, out: &mut Vec<u8>) {
    let mut limit = 10_u64;
    for _ in 1..width {
        if n < limit {
            out.push(b'0');
        }
        limit = limit.saturating_mul(10);
    }
    // Each zero stood for a digit that `n` does not have; the order does not matter, they are all alike.
    push_uint(n, out);
}

/// The sign bit of a little-endian integer of `bytes` bytes carried up (MY-66: MEDIUMINT has three).
pub(super) fn signed(n: u64, bytes: u8) -> i64 {
    let shift = 64 - u32::from(bytes.clamp(1, 8)) * 8;
    (n << shift).cast_signed() >> shift
}

/// Appends a decimal from its packed form (MY-69): big-endian groups of nine digits, the sign in the first bit, all
/// bits of a negative one turned round.
pub(super) fn push_decimal(bytes: &[u8], precision: u8, scale: u8, out: &mut Vec<u8>) -> Result<(), Malformed> {
    const WRONG: Malformed = Malformed("a decimal with digits that are none");
    let Some((&first, _)) = bytes.split_first() else { return Err(WRONG) };
    if bytes.len() != decimal_bytes(precision, scale) {
        return Err(WRONG);
    }
    let is_negative = first & 0x80 == 0;
    let mut plain = [0_u8; 32];
    let plain = plain.get_mut(..bytes.len()).ok_or(WRONG)?;
    for (to, from) in plain.iter_mut().zip(bytes) {
        *to = if is_negative { !from } else { *from };
    }
    if let Some(first) = plain.first_mut() {
        *first ^= 0x80;
    }
    let start = out.len();
    out.push(b'-');
    let mut read = Reader(plain);
    let whole = precision.saturating_sub(scale);
    let mut is_zero = true;
    for digits in std::iter::once(whole % 9).chain(std::iter::repeat_n(9, usize::from(whole / 9))) {
        let group = group(&mut read, digits)?;
        if !is_zero {
            push_padded(group, usize::from(digits), out);
        } else if group != 0 {
            is_zero = false;
            push_uint(group, out);
        }
    }
    if is_zero {
        out.push(b'0');
    }
    if scale > 0 {
        out.push(b'.');
        for digits in std::iter::repeat_n(9, usize::from(scale / 9)).chain(std::iter::once(scale % 9)) {
            let group = group(&mut read, digits)?;
            is_zero &= group == 0;
            if digits > 0 {
                push_padded(group, usize::from(digits), out);
            }
        }
    }
    if !is_negative || is_zero {
        out.remove(start);
    }
    Ok(())
}

fn group(read: &mut Reader<'_>, digits: u8) -> Result<u64, Malformed> {
    let n = read.uint_be(usize::from(digits.div_ceil(2)).min(4))?;
    if n < 10_u64.pow(u32::from(digits)) { Ok(n) } else { Err(Malformed("a decimal with digits that are none")) }
}

/// Appends a float of eight bytes: the shortest digits that read back, laid out as PostgreSQL does.
pub(super) fn push_double(n: f64, out: &mut Vec<u8>) {
    if push_special(n, out) {
        return;
    }
    push_float(&format!("{n:e}"), 15, out);
}

/// The same of four bytes.
pub(super) fn push_single(n: f32, out: &mut Vec<u8>) {
    if push_special(f64::from(n), out) {
        return;
    }
    push_float(&format!("{n:e}"), 6, out);
}

fn push_special(n: f64, out: &mut Vec<u8>) -> bool {
    let text: &[u8] = match n {
        _ if n.is_nan() => b"NaN",
        f64::INFINITY => b"Infinity",
        f64::NEG_INFINITY => b"-Infinity",
        _ => return false,
    };
    out.extend_from_slice(text);
    true
}

/// From Rust's `-d.dddeN` to digits with a point where the exponent is in `-4..most`, else to `-d.ddde+NN`.
fn push_float(scientific: &str, most: i32, out: &mut Vec<u8>) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..most).contains(&exponent) {
        out.extend_from_slice(mantissa.as_bytes());
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        push_padded(u64::from(exponent.unsigned_abs()), 2, out);
        return;
    }
    let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
    out.extend_from_slice(if unsigned.len() < mantissa.len() { b"-" } else { b"" });
    let digits: Vec<u8> = unsigned.bytes().filter(u8::is_ascii_digit).collect();
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', exponent.unsigned_abs() as usize - 1));
        out.extend_from_slice(&digits);
        return;
    }
    let whole = exponent as usize + 1;
    out.extend(digits.iter().copied().chain(std::iter::repeat(b'0')).take(whole));
    if let Some(fraction @ [_, ..]) = digits.get(whole..) {
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn my_66_integers_of_every_width() {
        for (n, bytes, want) in
            [(0xff_ffff, 3, -1), (0x80_0000, 3, -8_388_608), (0x7f_ffff, 3, 8_388_607), (0x80, 1, -128)]
        {
            assert_eq!(signed(n, bytes), want);
        }
        assert_eq!(signed(u64::MAX, 8), -1);
        assert_eq!(text(|out| push_uint(u64::MAX, out)), "18446744073709551615");
        assert_eq!(text(|out| push_int(i64::MIN, out)), "-9223372036854775808");
    }

    fn decimal(bytes: &[u8], precision: u8, scale: u8) -> String {
        let mut out = Vec::new();
        match push_decimal(bytes, precision, scale, &mut out) {
            Ok(()) => String::from_utf8(out).unwrap(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn my_69_decimals_are_exact() {
        assert_eq!(decimal(&[0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2], 14, 4), "1234567890.1234");
        assert_eq!(decimal(&[0x7e, 0xf2, 0x04, 0xc7, 0x2d, 0xfb, 0x2d], 14, 4), "-1234567890.1234");
        assert_eq!(decimal(&[0x80, 0x05], 4, 2), "0.05");
        assert_eq!(decimal(&[0x7f, 0xff], 4, 2), "0.00");
        assert_eq!(decimal(&[0x80, 0x00, 0x05], 4, 2), "a decimal with digits that are none");
        assert_eq!(decimal(&[0x80], 1, 0), "0");
        assert_eq!(decimal(&[0xe4, 0x64], 4, 2), "a decimal with digits that are none");
    }

    #[test]
    fn floats_are_printed_as_postgresql_prints_them() {
        for (n, want) in [
            (0.1, "0.1"),
            (1.5, "1.5"),
            (-0.0, "-0"),
            (100.0, "100"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e15, "1e+15"),
            (1.25e-5, "1.25e-05"),
            (0.0001, "0.0001"),
            (1e300, "1e+300"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(text(|out| push_double(n, out)), want);
        }
        assert_eq!(text(|out| push_single(0.1, out)), "0.1");
        assert_eq!(text(|out| push_single(1e6, out)), "1e+06");
        assert_eq!(text(|out| push_single(123_456.0, out)), "123456");
    }

    proptest! {
        #[test]
        fn floats_read_back(n: f64) {
            let read: f64 = text(|out| push_double(n, out)).parse().unwrap();
            prop_assert!(read.to_bits() == n.to_bits() || n.is_nan());
        }

        #[test]
        fn padded_numbers(n in 0..10_000_000_u64, width in 1..9_usize) {
            prop_assert_eq!(text(|out| push_padded(n, width, out)), format!("{n:0width$}"));
        }

        #[test]
        fn any_decimal_ends_without_panic(bytes: Vec<u8>, precision in 0..=65_u8, scale in 0..=65_u8) {
            let _ = push_decimal(&bytes, precision, scale, &mut Vec::new());
        }
    }
}
