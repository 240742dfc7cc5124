//! Every character set of both servers to UTF-8 (MY-74).
//!
//! Sets of one byte go by the servers' own tables; `encoding_rs` reads the multi-byte ones, which it does as the servers
//! do but for a few symbols, listed here. Characters that the servers keep in private areas are not read.

mod tables;

use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, SHIFT_JIS};

use tables::High;

/// A character set.
#[derive(Clone, Copy, Debug)]
pub enum Charset {
    /// `utf8mb4` and `utf8mb3`: as it is.
    Utf8,
    /// `binary`: no text at all.
    Binary,
    /// ASCII, and nothing above.
    Ascii,
    /// ASCII below 128, a table above.
    High(&'static High),
    /// The Swedish seven-bit set.
    Swe7,
    /// `utf16`, which is big-endian, and `ucs2`.
    Utf16Be,
    /// `utf16le`.
    Utf16Le,
    /// `utf32`, which is big-endian.
    Utf32,
    /// A set of several bytes, and which characters the servers read otherwise.
    Multi(&'static Encoding, &'static [(u16, u16)]),
}

impl PartialEq for Charset {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::High(a), Self::High(b)) => std::ptr::eq(*a, *b),
            (Self::Multi(a, x), Self::Multi(b, y)) => a == b && x.as_ptr() == y.as_ptr(),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Eq for Charset {}

/// Bytes that are no text in their character set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotText;

/// What the servers read otherwise than the web: full-width forms are the plain symbols.
const SJIS: &[(u16, u16)] = &[
    (0x2225, 0x2016),
    (0xff0d, 0x2212),
    (0xff3c, 0x005c),
    (0xff5e, 0x301c),
    (0xffe0, 0x00a2),
    (0xffe1, 0x00a3),
    (0xffe2, 0x00ac),
];
const GB2312: &[(u16, u16)] = &[(0x00b7, 0x30fb), (0x2014, 0x2015)];

impl Charset {
    /// The set of a name in `information_schema`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "utf8mb4" | "utf8mb3" | "utf8" => Self::Utf8,
            "binary" => Self::Binary,
            "ascii" => Self::Ascii,
            "latin1" => Self::High(&tables::LATIN1),
            "latin2" => Self::High(&tables::LATIN2),
            "latin5" => Self::High(&tables::LATIN5),
            "latin7" => Self::High(&tables::LATIN7),
            "cp850" => Self::High(&tables::CP850),
            "cp852" => Self::High(&tables::CP852),
            "cp866" => Self::High(&tables::CP866),
            "cp1250" => Self::High(&tables::CP1250),
            "cp1251" => Self::High(&tables::CP1251),
            "cp1256" => Self::High(&tables::CP1256),
            "cp1257" => Self::High(&tables::CP1257),
            "dec8" => Self::High(&tables::DEC8),
            "hp8" => Self::High(&tables::HP8),
            "koi8r" => Self::High(&tables::KOI8R),
            "koi8u" => Self::High(&tables::KOI8U),
            "hebrew" => Self::High(&tables::HEBREW),
            "greek" => Self::High(&tables::GREEK),
            "tis620" => Self::High(&tables::TIS620),
            "armscii8" => Self::High(&tables::ARMSCII8),
            "geostd8" => Self::High(&tables::GEOSTD8),
            "keybcs2" => Self::High(&tables::KEYBCS2),
            "macce" => Self::High(&tables::MACCE),
            "macroman" => Self::High(&tables::MACROMAN),
            "swe7" => Self::Swe7,
            "ucs2" | "utf16" => Self::Utf16Be,
            "utf16le" => Self::Utf16Le,
            "utf32" => Self::Utf32,
            "big5" => Self::Multi(BIG5, tables::BIG5),
            "gbk" => Self::Multi(GBK, &[]),
            "gb2312" => Self::Multi(GBK, GB2312),
            "gb18030" => Self::Multi(GB18030, &[]),
            "cp932" => Self::Multi(SHIFT_JIS, &[]),
            "sjis" => Self::Multi(SHIFT_JIS, SJIS),
            "eucjpms" => Self::Multi(EUC_JP, &[]),
            "ujis" => Self::Multi(EUC_JP, SJIS),
            "euckr" => Self::Multi(EUC_KR, &[]),
            _ => return None,
        })
    }

    /// The set of a collation's number, as table maps have it.
    pub fn of_collation(number: u32) -> Option<Self> {
        Self::named(charset_name(number)?)
    }

    /// The most bytes that a character takes, by which lengths in bytes become lengths in characters.
    pub fn max_bytes_of(collation: u32) -> u32 {
        charset_name(collation).map_or(1, Self::max_bytes_named)
    }

    /// The same, by the name of the set.
    pub fn max_bytes_named(name: &str) -> u32 {
        match name {
            "utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030" => 4,
            "utf8mb3" | "utf8" | "ujis" | "eucjpms" => 3,
            "ucs2" | "big5" | "gbk" | "gb2312" | "cp932" | "sjis" | "euckr" => 2,
            _ => 1,
        }
    }

    /// Appends the text in UTF-8. Bytes of UTF-8 sets are passed on unseen: who reads the cell finds what is wrong.
    pub fn push_utf8(self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), NotText> {
        match self {
            Self::Utf8 | Self::Binary => out.extend_from_slice(bytes),
            Self::Ascii | Self::High(_) if bytes.is_ascii() => out.extend_from_slice(bytes),
            Self::Ascii => return Err(NotText),
            Self::High(table) => push_each(bytes.iter().map(|&byte| high(table, byte)), out)?,
            Self::Swe7 => push_each(bytes.iter().map(|&byte| swe7(byte)), out)?,
            Self::Utf16Be => utf16(bytes, u16::from_be_bytes, out)?,
            Self::Utf16Le => utf16(bytes, u16::from_le_bytes, out)?,
            Self::Utf32 => {
                let (chars, rest) = bytes.as_chunks::<4>();
                if !rest.is_empty() {
                    return Err(NotText);
                }
                push_each(chars.iter().map(|&four| char::from_u32(u32::from_be_bytes(four))), out)?;
            }
            Self::Multi(encoding, others) => multi(encoding, others, bytes, out)?,
        }
        Ok(())
    }
}

fn high(table: &High, byte: u8) -> Option<char> {
    if byte.is_ascii() {
        return Some(char::from(byte));
    }
    match table.get(usize::from(byte - 128)) {
        Some(0) | None => None,
        Some(&code) => char::from_u32(u32::from(code)),
    }
}

fn swe7(byte: u8) -> Option<char> {
    Some(match byte {
        b'@' => 'É',
        b'[' => 'Ä',
        b'\\' => 'Ö',
        b']' => 'Å',
        b'^' => 'Ü',
        b'`' => 'é',
        b'{' => 'ä',
        b'|' => 'ö',
        b'}' => 'å',
        b'~' => 'ü',
        0x7f.. => return None,
        _ => char::from(byte),
    })
}

fn utf16(bytes: &[u8], unit: impl Fn([u8; 2]) -> u16, out: &mut Vec<u8>) -> Result<(), NotText> {
    let (units, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(NotText);
    }
    push_each(char::decode_utf16(units.iter().map(|&two| unit(two))).map(Result::ok), out)
}

fn multi(encoding: &'static Encoding, others: &[(u16, u16)], bytes: &[u8], out: &mut Vec<u8>) -> Result<(), NotText> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes).ok_or(NotText)?;
    if others.is_empty() || bytes.is_ascii() {
        out.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    let as_server = |char: char| match u16::try_from(u32::from(char)) {
        Ok(code) => match others.binary_search_by_key(&code, |&(web, _)| web) {
            Ok(at) => others
                .get(at)
                .filter(|(_, server)| *server != 0)
                .and_then(|(_, server)| char::from_u32(u32::from(*server))),
            Err(_) => Some(char),
        },
        Err(_) => Some(char),
    };
    push_each(text.chars().map(as_server), out)
}

fn push_each(chars: impl Iterator<Item = Option<char>>, out: &mut Vec<u8>) -> Result<(), NotText> {
    let mut buffer = [0; 4];
    for char in chars {
        out.extend_from_slice(char.ok_or(NotText)?.encode_utf8(&mut buffer).as_bytes());
    }
    Ok(())
}

/// The set of a collation's number, of either server: their numbers do not contradict each other.
fn charset_name(number: u32) -> Option<&'static str> {
    Some(match number {
        // MariaDB's collations without padding are the others', 1024 higher.
        1025..=2047 => return charset_name(number - 1024),
        2048..=2303 | 33 | 76 | 83 | 192..=223 | 576..=578 => "utf8mb3",
        2304..=2559 | 45 | 46 | 224..=247 | 255..=323 | 608..=610 => "utf8mb4",
        2560..=2815 | 35 | 90 | 128..=159 | 640..=642 => "ucs2",
        2816..=3071 | 54 | 55 | 101..=124 | 672..=674 => "utf16",
        3072..=3327 | 60 | 61 | 160..=183 | 736..=738 => "utf32",
        56 | 62 => "utf16le",
        63 => "binary",
        11 | 65 => "ascii",
        5 | 8 | 15 | 31 | 47..=49 | 94 => "latin1",
        2 | 9 | 21 | 27 | 77 => "latin2",
        30 | 78 => "latin5",
        20 | 41 | 42 | 79 => "latin7",
        4 | 80 => "cp850",
        40 | 81 => "cp852",
        36 | 68 => "cp866",
        26 | 34 | 44 | 66 | 99 => "cp1250",
        14 | 23 | 50..=52 => "cp1251",
        57 | 67 => "cp1256",
        29 | 58 | 59 => "cp1257",
        3 | 69 => "dec8",
        6 | 72 => "hp8",
        7 | 74 => "koi8r",
        22 | 75 => "koi8u",
        16 | 71 => "hebrew",
        25 | 70 => "greek",
        18 | 89 => "tis620",
        32 | 64 => "armscii8",
        92 | 93 => "geostd8",
        37 | 73 => "keybcs2",
        38 | 43 => "macce",
        39 | 53 => "macroman",
        10 | 82 => "swe7",
        1 | 84 => "big5",
        28 | 87 => "gbk",
        24 | 86 => "gb2312",
        248..=250 => "gb18030",
        95 | 96 => "cp932",
        13 | 88 => "sjis",
        97 | 98 => "eucjpms",
        12 | 91 => "ujis",
        19 | 85 => "euckr",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(name: &str, bytes: &[u8], want: Option<&str>) {
        let mut out = Vec::new();
        let got = Charset::named(name).unwrap().push_utf8(bytes, &mut out).is_ok();
        assert_eq!(got.then(|| String::from_utf8(out).unwrap()).as_deref(), want, "{name} {bytes:02x?}");
    }

    #[test]
    fn my_74_sets_of_one_byte() {
        check("latin1", b"caf\xe9 \x80\x81", Some("café €\u{81}"));
        check("latin2", b"\xa1", Some("Ą"));
        check("cp850", b"\x9b\x80", Some("øÇ"));
        check("cp852", b"\xa5", Some("ą"));
        check("cp866", b"\x8f", Some("П"));
        check("cp1251", b"\xcf\x98", None);
        check("koi8r", b"\xf0", Some("П"));
        check("greek", b"\xe1", Some("α"));
        check("hebrew", b"\xe0", Some("א"));
        check("tis620", b"\xa1", Some("ก"));
        check("ascii", b"ab", Some("ab"));
        check("ascii", b"\x80", None);
        check("swe7", b"a[b", Some("aÄb"));
        check("swe7", b"\x7f", None);
    }

    #[test]
    fn my_74_sets_of_several_bytes() {
        check("ucs2", b"\x00a\x20\xac", Some("a€"));
        check("ucs2", b"\x00", None);
        check("utf16", b"\xd8\x3d\xde\x00", Some("😀"));
        check("utf16", b"\xd8\x3d", None);
        check("utf16le", b"\x3d\xd8\x00\xde", Some("😀"));
        check("utf32", b"\x00\x01\xf6\x00", Some("😀"));
        check("utf32", b"\x00\x11\x00\x00", None);
        check("gbk", b"\xc4\xe3\xba\xc3", Some("你好"));
        check("gb2312", b"\xa1\xaa", Some("―"));
        check("gb18030", b"\x94\x39\xda\x33", Some("💩"));
        check("big5", b"\xa7\x41\xa1\x45", Some("你•"));
        check("sjis", b"\x82\xa0\x81\x60\\", Some("あ〜\\"));
        check("cp932", b"\x82\xa0\x81\x60", Some("あ～"));
        check("ujis", b"\xa4\xa2\xa1\xc1", Some("あ〜"));
        check("eucjpms", b"\x8f\xb0\xa1", Some("丂"));
        check("euckr", b"\xb0\xa1", Some("가"));
        check("euckr", b"\xb0", None);
    }

    #[test]
    fn collations_of_both_servers_have_their_sets() {
        for (number, name) in [
            (45, "utf8mb4"),
            (255, "utf8mb4"),
            (1069, "utf8mb4"),
            (2304, "utf8mb4"),
            (2100, "utf8mb3"),
            (1071, "latin1"),
            (8, "latin1"),
            (63, "binary"),
        ] {
            assert_eq!(charset_name(number), Some(name), "{number}");
        }
        assert_eq!(charset_name(0), None);
        assert_eq!((0..5_000).filter_map(charset_name).filter(|name| Charset::named(name).is_none()).count(), 0);
        assert!(SJIS.is_sorted() && GB2312.is_sorted() && tables::BIG5.is_sorted());
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_panic(number in 0..4_000_u32, bytes: Vec<u8>) {
            if let Some(charset) = Charset::of_collation(number) {
                let mut out = Vec::new();
                let read = charset.push_utf8(&bytes, &mut out);
                let is_bytes = matches!(charset, Charset::Utf8 | Charset::Binary);
                prop_assert!(is_bytes || read.is_err() || String::from_utf8(out).is_ok());
            }
        }
    }
}
