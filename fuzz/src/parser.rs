//! No text makes the parser of the mapping language, or the check of its types, panic, loop or allocate without bound.
#![no_main]

mod table;

use passerelle::mapping::{self, Expression};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let parsed = mapping::columns(text);
    let compiled = Expression::compile(text, &table::columns(), "Europe/Paris");
    // What the parser refuses, the check does too; a fault points into the text.
    assert!(parsed.is_ok() || compiled.is_err());
    for fault in compiled.err().into_iter().flatten() {
        assert!(text.get(fault.span).is_some());
    }
});
