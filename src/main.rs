//! The program `passerelle`; everything is in the library beside it.

fn main() -> std::process::ExitCode {
    passerelle::cli::main()
}
