//! No byte from a server makes the decoder of the binary log panic or allocate without bound.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    passerelle_mysql::wire::read_everything(bytes);
    passerelle_mysql::decode::read_everything(bytes);
});
