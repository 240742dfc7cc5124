//! `passerelle pause` and `passerelle resume`.

use serde_json::json;

use super::client::Client;
use super::{Failure, Global, print_done};
use crate::control::Target;

/// What is paused or resumed.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// A mapping, CRM or source by its name; `mapping/NAME`, `crm/NAME` or `source/NAME` where two have one name
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Every write to every CRM; changes are still captured
    #[arg(long)]
    writes: bool,
    /// Everything: sources too, whose servers keep their log meanwhile
    #[arg(long)]
    all: bool,
}

/// `pause`: it holds until `resume`, over restarts.
pub(super) async fn pause(global: &Global, which: &Which) -> Result<(), Failure> {
    let body = json!({ "target": target(which) });
    let done = Client::new(global)?.post("/v1/pause", &body).await?;
    print_done(global, &done)
}

/// `resume`.
pub(super) async fn resume(global: &Global, which: &Which, confirm: bool) -> Result<(), Failure> {
    let body = json!({ "target": target(which), "confirm": confirm });
    let done = Client::new(global)?.post("/v1/resume", &body).await?;
    print_done(global, &done)
}

/// `reload`: says what changes, then the daemon runs it.
pub(super) async fn reload(global: &Global, dry_run: bool) -> Result<(), Failure> {
    let done = Client::new(global)?.post("/v1/reload", &json!({ "dry_run": dry_run })).await?;
    print_done(global, &done)
}

fn target(which: &Which) -> Target {
    match &which.name {
        None if which.writes => Target::Writes,
        None => Target::All,
        Some(name) => match name.split_once('/') {
            Some(("mapping", name)) => Target::Mapping(name.to_owned()),
            Some(("crm", name)) => Target::Crm(name.to_owned()),
            Some(("source", name)) => Target::Source(name.to_owned()),
            Some(_) | None => Target::Named(name.clone()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let check = |name: Option<&str>, writes, expect| {
            let which = Which { name: name.map(str::to_owned), writes, all: name.is_none() && !writes };
            assert_eq!(target(&which), expect);
        };
        check(None, true, Target::Writes);
        check(None, false, Target::All);
        check(Some("contacts"), false, Target::Named("contacts".to_owned()));
        check(Some("crm/sales"), false, Target::Crm("sales".to_owned()));
        check(Some("source/erp"), false, Target::Source("erp".to_owned()));
    }
}
