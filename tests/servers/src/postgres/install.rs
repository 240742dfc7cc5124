//! Where PostgreSQL is installed, and a data folder made once and copied for every server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};

use crate::spawn::RunAs;

/// Names the folder of the server's programs, where it is not the newest one installed.
const CHOSEN: &str = "PASSERELLE_PG_BIN";
/// Without these a folder holds no server.
const SERVER_PROGRAMS: [&str; 2] = ["postgres", "initdb"];

/// One installed PostgreSQL.
#[derive(Clone, Debug)]
pub(super) struct Install {
    bin: PathBuf,
    /// Where `psql` is: beside the server, or of another version, which speaks with every server.
    clients: PathBuf,
    /// What `postgres --version` prints.
    version: String,
}

impl Install {
    /// The one that `PASSERELLE_PG_BIN` names, else the newest one found.
    pub(super) fn find() -> Result<Self> {
        if let Some(bin) = std::env::var_os(CHOSEN).map(PathBuf::from) {
            let wrong = || format!("{CHOSEN}={} is no PostgreSQL to start servers from", bin.display());
            return Self::at(&bin).with_context(wrong);
        }
        let newest = candidates().iter().filter_map(|bin| Self::at(bin).ok()).max_by_key(Self::major);
        newest.with_context(|| {
            format!(
                "no PostgreSQL server found in /usr/lib/postgresql/*/bin, by pg_config or in PATH; \
                 install one (Debian: apt-get install postgresql) or set {CHOSEN} to its bin folder"
            )
        })
    }

    fn at(bin: &Path) -> Result<Self> {
        if let Some(missing) = SERVER_PROGRAMS.iter().find(|program| !bin.join(program).is_file()) {
            bail!("there is no {missing} in it");
        }
        let printed = Command::new(bin.join("postgres")).arg("--version").output().context("postgres does not run")?;
        if !printed.status.success() {
            bail!("postgres --version fails: {}", String::from_utf8_lossy(&printed.stderr).trim());
        }
        let version = String::from_utf8(printed.stdout).context("postgres --version prints no text")?.trim().to_owned();
        let has_psql = |folder: &PathBuf| folder.join("psql").is_file();
        let clients = std::iter::once(bin.to_owned()).chain(candidates()).find(has_psql);
        let clients = clients.context("there is no psql, neither in it nor installed")?;
        Ok(Self { bin: bin.to_owned(), clients, version })
    }

    /// One of its programs; one that is not beside the server is that of the clients.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        let beside = self.bin.join(name);
        if beside.is_file() { beside } else { self.clients.join(name) }
    }

    /// The major version, 15 for 15.18.
    pub(super) fn major(&self) -> u32 {
        let digits = self.version.trim_start_matches(|c: char| !c.is_ascii_digit());
        digits.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(0)
    }

    /// Fills `data` with a fresh cluster. All copies of the template have one system identifier; with
    /// `own_system_id` a cluster of its own is made, which takes a second longer.
    pub(super) fn fill(&self, data: &Path, run_as: RunAs, own_system_id: bool) -> Result<()> {
        if own_system_id {
            return self.initdb(data, run_as);
        }
        let template = self.template(run_as)?;
        copy(&template, data)?;
        run_as.own(data)
    }

    /// Makes the template where it is not there yet. It outlives the process, so that each machine runs initdb once
    /// for a version.
    fn template(&self, run_as: RunAs) -> Result<PathBuf> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock();
        let cache = cache_folder()?;
        let name: String =
            self.version.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        let template = cache.join(format!("initdb-{name}"));
        if template.join("PG_VERSION").is_file() {
            return Ok(template);
        }
        std::fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
        let made_in = tempfile::Builder::new().prefix("passerelle-initdb-").tempdir()?;
        run_as.own(made_in.path())?;
        let data = made_in.path().join("data");
        self.initdb(&data, run_as)?;
        let staged = tempfile::Builder::new().prefix("staged-").tempdir_in(&cache)?;
        copy(&data, &staged.path().join("data"))?;
        match std::fs::rename(staged.path().join("data"), &template) {
            Ok(()) => Ok(template),
            // Another process was faster.
            Err(_) if template.join("PG_VERSION").is_file() => Ok(template),
            Err(error) => Err(error).context("cannot keep the template of a data folder"),
        }
    }

    fn initdb(&self, data: &Path, run_as: RunAs) -> Result<()> {
        let done = run_as
            .command(&self.program("initdb"), "KILL")
            .arg("--pgdata")
            .arg(data)
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"])
            .arg("--no-sync")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .output()
            .context("cannot run initdb")?;
        if !done.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&done.stderr));
        }
        Ok(())
    }
}

fn candidates() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let by_version = Path::new("/usr/lib/postgresql").read_dir();
    found.extend(by_version.into_iter().flatten().flatten().map(|entry| entry.path().join("bin")));
    if let Ok(printed) = Command::new("pg_config").arg("--bindir").output() {
        found.push(PathBuf::from(String::from_utf8_lossy(&printed.stdout).trim()));
    }
    found.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    found
}

fn cache_folder() -> Result<PathBuf> {
    let home = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    Ok(home.context("neither XDG_CACHE_HOME nor HOME is set")?.join("passerelle/test-servers"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let done = Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to).output()?;
    if !done.status.success() {
        bail!("cannot copy {}: {}", from.display(), String::from_utf8_lossy(&done.stderr));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a folder with these programs in it, each a script.
    fn refused(programs: &[(&str, &str)]) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, script) in programs {
            let file = folder.path().join(name);
            std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("it is written");
            let runs = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&file, runs).expect("it is set");
        }
        format!("{:#}", Install::at(folder.path()).expect_err("it is no server"))
    }

    #[test]
    fn a_folder_without_a_server_says_what_is_wrong() {
        assert_eq!(refused(&[]), "there is no postgres in it");
        assert_eq!(refused(&[("postgres", "true")]), "there is no initdb in it");
        let broken = refused(&[("postgres", "echo 'no libpq' >&2; exit 127"), ("initdb", "true")]);
        assert_eq!(broken, "postgres --version fails: no libpq");
    }
}
