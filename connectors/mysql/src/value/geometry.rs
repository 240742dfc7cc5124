//! Geometry as WKT (MY-78), as `ST_AsText` of MySQL prints it. The coordinates are in the order stored.

use super::push_gcvt;
use crate::wire::{Malformed, Reader};

/// As deep as collections may nest here.
const MAX_DEPTH: usize = 32;

const WRONG: Malformed = Malformed("a geometry that is damaged");

/// Appends the text of a reference system's number, which is left out, and a WKB behind it.
pub(super) fn push_text(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut read = Reader(bytes);
    read.u32()?;
    let mut wkb = Wkb { read, big_endian: false };
    wkb.geometry(0, out)?;
    if wkb.read.is_empty() { Ok(()) } else { Err(WRONG) }
}

struct Wkb<'a> {
    read: Reader<'a>,
    big_endian: bool,
}

impl Wkb<'_> {
    fn head(&mut self) -> Result<u32, Malformed> {
        self.big_endian = match self.read.u8()? {
            0 => true,
            1 => false,
            _ => return Err(WRONG),
        };
        self.number()
    }

    fn number(&mut self) -> Result<u32, Malformed> {
        let n = self.read.u32()?;
        Ok(if self.big_endian { n.swap_bytes() } else { n })
    }

    fn geometry(&mut self, depth: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed("a geometry that is nested too deep"));
        }
        let kind = self.head()?;
        let name: &[u8] = match kind {
            1 => b"POINT",
            2 => b"LINESTRING",
            3 => b"POLYGON",
            4 => b"MULTIPOINT",
            5 => b"MULTILINESTRING",
            6 => b"MULTIPOLYGON",
            7 => b"GEOMETRYCOLLECTION",
            _ => return Err(WRONG),
        };
        out.extend_from_slice(name);
        match kind {
            1 => self.point(out),
            2 => self.list(out, Self::coordinates),
            3 => self.list(out, |wkb, out| wkb.list(out, Self::coordinates)),
            7 => {
                if self.is_empty_list() {
                    out.extend_from_slice(b" EMPTY");
                }
                self.list(out, |wkb, out| wkb.geometry(depth + 1, out))
            }
            _ => self.list(out, |wkb, out| {
                if wkb.head()? != kind - 3 {
                    return Err(WRONG);
                }
                match kind {
                    4 => wkb.point(out),
                    5 => wkb.list(out, Self::coordinates),
                    _ => wkb.list(out, |wkb, out| wkb.list(out, Self::coordinates)),
                }
            }),
        }
    }

    fn is_empty_list(&self) -> bool {
        self.read.0.starts_with(&[0; 4])
    }

    fn point(&mut self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        out.push(b'(');
        self.coordinates(out)?;
        out.push(b')');
        Ok(())
    }

    fn coordinates(&mut self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        for separator in [b"".as_slice(), b" "] {
            out.extend_from_slice(separator);
            let bits = self.read.u64()?;
            push_gcvt(f64::from_bits(if self.big_endian { bits.swap_bytes() } else { bits }), out);
        }
        Ok(())
    }

    /// As many as it says, in parentheses: each takes bytes, so that a number that lies ends where they do.
    fn list(
        &mut self,
        out: &mut Vec<u8>,
        mut item: impl FnMut(&mut Self, &mut Vec<u8>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let count = self.number()?;
        if count == 0 {
            return Ok(());
        }
        out.push(b'(');
        for at in 0..count {
            out.extend_from_slice(if at > 0 { b"," } else { b"" });
            item(self, out)?;
        }
        out.push(b')');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn point(x: f64, y: f64) -> Vec<u8> {
        [&[1, 1, 0, 0, 0][..], &x.to_le_bytes(), &y.to_le_bytes()].concat()
    }

    fn text(wkb: &[u8]) -> String {
        let mut out = Vec::new();
        match push_text(&[&[0xe6, 0x10, 0, 0], wkb].concat(), &mut out) {
            Ok(()) => String::from_utf8(out).unwrap(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn my_78_geometries() {
        assert_eq!(text(&point(1.0, -2.5)), "POINT(1 -2.5)");
        let two = [&[1, 4, 0, 0, 0, 2, 0, 0, 0][..], &point(1.0, 2.0), &point(1e20, 1e-7)].concat();
        assert_eq!(text(&two), "MULTIPOINT((1 2),(1e20 0.0000001))");
        let nested = [&[1, 7, 0, 0, 0, 1, 0, 0, 0][..], &point(3.0, 4.0)].concat();
        assert_eq!(text(&nested), "GEOMETRYCOLLECTION(POINT(3 4))");
        assert_eq!(text(&[1, 7, 0, 0, 0, 0, 0, 0, 0]), "GEOMETRYCOLLECTION EMPTY");
        let big = [&[0, 0, 0, 0, 1][..], &1.5_f64.to_be_bytes(), &2_f64.to_be_bytes()].concat();
        assert_eq!(text(&big), "POINT(1.5 2)");
        assert_eq!(text(&[1, 9, 0, 0, 0]), "a geometry that is damaged");
        assert_eq!(text(&[point(1.0, 1.0), vec![0]].concat()), "a geometry that is damaged");
        assert_eq!(text(&[1, 7, 0, 0, 0, 1, 0, 0, 0].repeat(40)), "a geometry that is nested too deep");
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_panic(kind in 0..9_u8, count in 0..4_u8, rest: Vec<u8>) {
            text(&rest);
            text(&[&[1, kind, 0, 0, 0, count, 0, 0, 0][..], &rest].concat());
        }
    }
}
