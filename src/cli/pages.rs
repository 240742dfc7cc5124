//! `passerelle completions` and `passerelle man`, for packagers.

use std::path::Path;

use clap::Command;

use super::Failure;

/// Prints the completions of a shell.
pub(super) fn completions(command: &mut Command, shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, command, "passerelle", &mut text);
    super::print(&String::from_utf8_lossy(&text))
}

/// Writes a manual page for the program and one for each verb.
pub(super) fn man(command: Command, folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    Ok(clap_mangen::generate_to(command, folder)?)
}
