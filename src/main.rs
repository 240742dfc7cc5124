//! The program `passerelle`; everything is in the library beside it.

/// Memory of Rust and of RocksDB alike. See `.cargo/config.toml` for how it is set.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    passerelle::cli::main()
}
