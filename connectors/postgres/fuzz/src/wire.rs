//! No byte from a server makes the decoder of the replication protocol panic or allocate without bound.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    passerelle_postgres::wire::read_everything(bytes);
});
