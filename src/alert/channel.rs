//! The ways a message goes out. Each is tried once here, within the channel's time; whoever asks tries again.

mod command;
mod email;
mod webhook;

use std::sync::OnceLock;
use std::time::Duration;

use super::model::Message;
use super::outbox::Unsent;
use crate::config::model::{AlertChannel, ChannelKind};

/// A channel, ready to send.
#[derive(Debug)]
pub(super) struct Sender {
    way: Way,
    timeout: Duration,
}

#[derive(Debug)]
enum Way {
    Webhook(webhook::Webhook),
    Command(command::Command),
    Email(Box<email::Email>),
    /// It can't be made: a file that can't be read, an address that is none. The next configuration may be better.
    Broken(String),
}

impl Sender {
    /// Makes it ready. What is wrong with it each message is told.
    pub(super) fn new(channel: &AlertChannel) -> Self {
        let timeout = channel.timeout;
        let way = match &channel.kind {
            ChannelKind::Webhook(webhook) => webhook::Webhook::new(webhook, timeout).map(Way::Webhook),
            ChannelKind::Command { argv } => Ok(Way::Command(command::Command::new(argv.clone(), timeout))),
            ChannelKind::Email(email) => email::Email::new(email, timeout).map(Box::new).map(Way::Email),
        };
        Self { way: way.unwrap_or_else(Way::Broken), timeout }
    }

    /// Sends a message, within the channel's time.
    ///
    /// # Errors
    /// [`Unsent`]: the receiver does not have it, or it is not known that it has.
    pub(super) async fn send(&self, message: &Message) -> Result<(), Unsent> {
        let sent = async {
            match &self.way {
                Way::Webhook(webhook) => webhook.send(message, host()).await,
                Way::Command(command) => command.send(message, host()).await,
                Way::Email(email) => email.send(message, host()).await,
                Way::Broken(why) => Err(Unsent::Later(why.clone())),
            }
        };
        // Each has a limit of its own that says more; this one is for what they do not count.
        let limit = self.timeout + Duration::from_secs(2);
        tokio::time::timeout(limit, sent)
            .await
            .unwrap_or_else(|_| Err(Unsent::Later(format!("not done within {} s", self.timeout.as_secs_f64()))))
    }
}

/// The name of this machine; messages say where they come from.
fn host() -> &'static str {
    static HOST: OnceLock<String> = OnceLock::new();
    HOST.get_or_init(|| {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        if name.is_empty() { "localhost".to_owned() } else { name }
    })
}

/// An error with its causes, without what it repeats of them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
