//! Record ids as Salesforce writes them: a prefix of three characters that tells the object, twelve that tell the
//! record, and three more that make the id safe to compare without regard to case.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SUFFIX: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
/// The instance: the same for every id, as in an organisation.
const INSTANCE: &str = "PA00";
/// Base-62 digits of the record's number.
const NUMBER_DIGITS: usize = 8;

/// An id taken apart: the object's prefix and the record's number within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ParsedId {
    pub(super) prefix: [u8; 3],
    pub(super) number: u64,
}

/// The 18-character id of record `number` of the object with this prefix.
pub(super) fn format(prefix: [u8; 3], number: u64) -> String {
    let mut text = String::with_capacity(18);
    text.extend(prefix.iter().map(|&byte| char::from(byte)));
    text.push_str(INSTANCE);
    let mut digits = [b'0'; NUMBER_DIGITS];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    text.extend(digits.iter().map(|&byte| char::from(byte)));
    let suffix = checksum(text.as_bytes());
    text.extend(suffix.iter().map(|&byte| char::from(byte)));
    text
}

/// Reads a 15- or 18-character id; `None` if it is not one of ours in shape.
pub(super) fn parse(text: &str) -> Option<ParsedId> {
    let bytes = text.as_bytes();
    let base = match bytes.len() {
        15 => bytes,
        18 => {
            let (base, suffix) = bytes.split_at(15);
            if suffix != checksum(base) {
                return None;
            }
            base
        }
        _ => return None,
    };
    if &base[3..3 + INSTANCE.len()] != INSTANCE.as_bytes() {
        return None;
    }
    let mut number = 0_u64;
    for &byte in &base[15 - NUMBER_DIGITS..] {
        let digit = DIGITS.iter().position(|&known| known == byte)?;
        number = number * 62 + digit as u64;
    }
    Some(ParsedId { prefix: [base[0], base[1], base[2]], number })
}

/// One character for every five of the id, whose bits tell which of the five are capitals.
fn checksum(base: &[u8]) -> [u8; 3] {
    let mut suffix = [0_u8; 3];
    for (place, chunk) in suffix.iter_mut().zip(base.chunks(5)) {
        let capitals = chunk.iter().enumerate().filter(|(_, byte)| byte.is_ascii_uppercase());
        let bits = capitals.fold(0_usize, |bits, (index, _)| bits | (1 << index));
        *place = SUFFIX[bits];
    }
    suffix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_both_lengths() {
        for number in [0, 1, 61, 62, 123_456_789] {
            let long = format(*b"003", number);
            assert_eq!(long.len(), 18);
            let parsed = ParsedId { prefix: *b"003", number };
            assert_eq!(parse(&long), Some(parsed));
            assert_eq!(parse(&long[..15]), Some(parsed));
        }
    }

    #[test]
    fn suffix_is_the_published_one() {
        // The example of the vendor's article on 15 and 18 characters: 001A0000006Vm9r -> ...IAC.
        assert_eq!(&checksum(b"001A0000006Vm9r"), b"IAC");
    }

    #[test]
    fn others_are_refused() {
        for text in ["", "001", "0015g00000AbCdEAAA", "001PA00000000001AAB", "001PA0000000000é"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
