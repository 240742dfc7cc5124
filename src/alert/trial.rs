//! Trying channels: `passerelle alert test`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::channel::Sender;
use super::model::Message;
use crate::config::model::AlertChannel;
use crate::control::request::{CommandError, CommandFault, Done};

/// Where the outcome of a test goes.
pub type TestReply = oneshot::Sender<Result<Done, CommandError>>;

/// A wish to try channels.
#[derive(Debug)]
pub(super) struct Test {
    /// This one; `None` for all.
    pub name: Option<String>,
    /// Where the outcome goes.
    pub reply: TestReply,
}

/// Sends a test through a channel or all, side by side, and answers with a line for each.
pub(super) async fn try_channels(channels: BTreeMap<String, Arc<AlertChannel>>, test: Test) {
    let chosen: Vec<Arc<AlertChannel>> = match &test.name {
        Some(name) => channels.get(name).cloned().into_iter().collect(),
        None => channels.values().cloned().collect(),
    };
    if chosen.is_empty() {
        let _ = test.reply.send(Err(no_channel(test.name.as_deref(), &channels)));
        return;
    }
    let mut sending = JoinSet::new();
    for channel in &chosen {
        let channel = Arc::clone(channel);
        sending.spawn(async move {
            let message = Message::test(&channel.name, Timestamp::now());
            (channel.name.clone(), channel.kind.word(), Sender::new(&channel).send(&message).await)
        });
    }
    let mut lines = Vec::new();
    let mut failed = 0_u64;
    while let Some(sent) = sending.join_next().await {
        let Ok((name, kind, sent)) = sent else {
            failed += 1;
            continue;
        };
        lines.push(match sent {
            Ok(()) => format!("{name} ({kind}): told"),
            Err(why) => {
                failed += 1;
                format!("{name} ({kind}): not told: {why}")
            }
        });
    }
    lines.sort_unstable();
    let answer = if failed == 0 {
        let message = if chosen.len() == 1 { "the channel works" } else { "all channels work" };
        Ok(Done { lines, ..Done::new(message, chosen.len() as u64) })
    } else {
        Err(CommandError::new(CommandFault::Failed, lines.join("\n")))
    };
    let _ = test.reply.send(answer);
}

fn no_channel(name: Option<&str>, channels: &BTreeMap<String, Arc<AlertChannel>>) -> CommandError {
    let Some(name) = name else {
        return CommandError::new(CommandFault::NotFound, "no channel of alerts is configured")
            .hint("add [alert.NAME] to the configuration, and `passerelle reload`");
    };
    let fault = CommandError::new(CommandFault::NotFound, format!("no channel of alerts is named {name}"));
    match crate::config::nearest(name, channels.keys().map(String::as_str)) {
        Some(near) => fault.hint(format!("did you mean {near}?")),
        None => fault,
    }
}
