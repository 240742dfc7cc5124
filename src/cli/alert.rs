//! `passerelle alert`.

use serde_json::json;

use super::client::Client;
use super::{Failure, Global, print_done};

/// What is done with the channels of alerts.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Send a test through each channel, or through one, and say what became of it
    Test {
        /// The channel: [alert.NAME] of the configuration
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
}

/// Asks the daemon for it: it has the secrets, and the receivers see it from where alerts come.
pub(super) async fn alert(global: &Global, verb: Verb) -> Result<(), Failure> {
    let Verb::Test { name } = verb;
    let done = Client::new(global)?.post("/v1/alert/test", &json!({ "name": name })).await?;
    print_done(global, &done)
}
