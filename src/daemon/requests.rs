//! What people ask of the daemon: the one desk where requests are answered.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use passerelle_change::Micros;
use passerelle_change::key::printed;
use passerelle_state::{DeadLetter, Hold, MappingId, SourceId, StateError};
use tokio::sync::{mpsc, oneshot};

use super::reload::{self, Next};
use super::{ReadySource, Shared, drift};
use crate::config::{Loaded, model};
use crate::control::model::{self as doc, DeadLetterPage};
use crate::control::request::{AcceptDrift, CommandError, CommandFault, DeadLetterQuery, Done, Request, Retry, Target};
use crate::delivery::Command;
use crate::delivery::commands::Choice;
use crate::source;

/// Dead letters on a page, where nothing else is asked for, and at most.
const PAGE: usize = 100;
const LONGEST_PAGE: usize = 1_000;
/// Reckoning the dear figures takes at most one part in so many of the time, however often they are asked for. So they
/// are fresh while they are cheap, and a little old while a long backlog is walked.
const RECKON_SHARE: u32 = 10;
/// What a reckoning may take at any time: the questions to the databases are most of it.
const CHEAP: Duration = Duration::from_millis(20);
/// A CRM's delivery answers within this, or the figures stay as they were.
const PATIENCE: Duration = Duration::from_secs(5);

/// A mapping as the desk knows it.
struct KnownMapping {
    id: MappingId,
    source: String,
    /// The lanes in which changes of its related rows stand.
    related: Vec<MappingId>,
    revision: u64,
    crm: String,
}

/// Answers requests.
pub(super) struct Desk<'r> {
    shared: Arc<Shared>,
    inbox: &'r mut mpsc::Receiver<Request>,
    path: &'r Path,
    current: &'r Loaded,
    /// The configuration that was asked for, to be run next.
    next: Option<Loaded>,
    mappings: BTreeMap<String, KnownMapping>,
    crms: BTreeMap<String, Option<mpsc::Sender<Command>>>,
    sources: BTreeMap<String, (SourceId, model::Source)>,
    /// Each source as it was set up, for what people decide about its mappings.
    set_up: Vec<drift::Known>,
    configured: Vec<String>,
    /// Before this the figures are not reckoned again.
    reckon_after: Option<Instant>,
}

pub(super) type Answer<T> = Result<T, CommandError>;

impl From<StateError> for CommandError {
    fn from(error: StateError) -> Self {
        Self::new(CommandFault::Failed, error.to_string())
    }
}

impl<'r> Desk<'r> {
    pub(super) fn new(
        shared: Arc<Shared>,
        current: &'r Loaded,
        path: &'r Path,
        inbox: &'r mut mpsc::Receiver<Request>,
    ) -> Self {
        let config = &current.config;
        Self {
            shared,
            inbox,
            path,
            current,
            next: None,
            mappings: BTreeMap::new(),
            crms: config.crms.keys().map(|name| (name.clone(), None)).collect(),
            sources: BTreeMap::new(),
            set_up: Vec::new(),
            configured: config.sources.keys().cloned().collect(),
            reckon_after: None,
        }
    }

    /// A source is set up.
    pub(super) fn know(&mut self, source: &ReadySource) {
        self.sources.insert(source.config.name.clone(), (source.id, source.config.clone()));
        self.set_up.push(drift::Known {
            config: source.config.clone(),
            tables: Arc::clone(&source.tables),
            mappings: source.mappings.clone().into(),
        });
        for mapping in &source.mappings {
            let revision = mapping.mapping.revision();
            let known = KnownMapping {
                id: mapping.id,
                source: mapping.config.source.clone(),
                related: mapping.related.iter().map(|related| related.lane).collect(),
                revision,
                crm: mapping.config.crm.clone(),
            };
            self.mappings.insert(mapping.config.name.to_string(), known);
        }
    }

    pub(super) fn delivers(&self, crm: &str) -> bool {
        self.crms.get(crm).is_some_and(Option::is_some)
    }

    pub(super) fn delivered_by(&mut self, crm: &str, commands: mpsc::Sender<Command>) {
        self.crms.insert(crm.to_owned(), Some(commands));
    }

    /// The configuration to be run instead of this one, once it was asked for.
    pub(super) fn next(&mut self) -> Option<Loaded> {
        self.next.take()
    }

    /// Answers one request. Cancel-safe up to the receipt of a request; pends when nobody can ask any more.
    pub(super) async fn serve(&mut self) {
        let Some(request) = self.inbox.recv().await else { return std::future::pending().await };
        // One who has stopped waiting for an answer is no fault.
        match request {
            Request::ListDeadLetters { query, reply } => drop(reply.send(self.list(&query))),
            Request::ShowDeadLetter { mapping, key, reply } => drop(reply.send(self.show(&mapping, &key))),
            Request::RetryDeadLetters { retry, reply } => drop(reply.send(self.retry(retry).await)),
            Request::DropDeadLetter { mapping, key, reply } => drop(reply.send(self.forget(&mapping, key).await)),
            Request::AcceptDrift { accept, reply } => drop(reply.send(self.accept(&accept).await)),
            Request::Pause { target, reply } => drop(reply.send(self.pause(&target).await)),
            Request::Resume { target, confirm, reply } => drop(reply.send(self.resume(&target, confirm).await)),
            Request::Reload { dry_run, reply } => drop(reply.send(self.reload(dry_run).await)),
            // It answers by itself: a receiver may be slow.
            Request::TestAlerts { name, reply } => self.shared.alerts.test(name, reply),
            Request::Refresh { reply } => drop(reply.send(self.refresh().await)),
        }
    }

    async fn accept(&self, accept: &AcceptDrift) -> Answer<Done> {
        let id = self.mapping(&accept.mapping)?.id;
        let known = self.set_up.iter().find_map(|known| {
            let mapping = known.mappings.iter().find(|mapping| mapping.id == id)?;
            Some((known, mapping))
        });
        let Some((known, mapping)) = known else { return Err(drift::nothing_held(&accept.mapping)) };
        drift::accept(&self.shared, known, mapping, accept).await
    }

    async fn reload(&mut self, dry_run: bool) -> Answer<Done> {
        let running = |name: &str| self.mappings.get(name).map(|known| (known.id, known.revision));
        let current = reload::Current { files: &self.current.files, mapping: &running };
        let Next { loaded, lines } = reload::read(&self.shared, self.path, current).await?;
        let message = if dry_run { "nothing was done: --dry-run" } else { "the new configuration is in force" };
        if !dry_run {
            self.next = Some(loaded);
        }
        Ok(Done { lines, ..Done::new(message, u64::from(!dry_run)) })
    }

    fn mapping(&self, name: &str) -> Answer<&KnownMapping> {
        self.mappings.get(name).ok_or_else(|| {
            let fault = CommandError::new(CommandFault::NotFound, format!("no mapping is named {name}"));
            match crate::config::nearest(name, self.mappings.keys().map(String::as_str)) {
                Some(near) => fault.hint(format!("did you mean {near}?")),
                None => fault,
            }
        })
    }

    fn commands(&self, crm: &str) -> Answer<&mpsc::Sender<Command>> {
        let busy = || CommandError::new(CommandFault::Unavailable, "its delivery has not begun yet");
        self.crms.get(crm).and_then(Option::as_ref).ok_or_else(busy)
    }

    async fn ask(&self, crm: &str, make: impl FnOnce(oneshot::Sender<u64>) -> Command) -> Answer<u64> {
        let (reply, answer) = oneshot::channel();
        let gone = || CommandError::new(CommandFault::Unavailable, "the delivery is busy or has ended");
        self.commands(crm)?.try_send(make(reply)).map_err(|_| gone())?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(count)) => Ok(count),
            Ok(Err(_)) | Err(_) => Err(gone()),
        }
    }

    fn list(&self, query: &DeadLetterQuery) -> Answer<DeadLetterPage> {
        let limit = query.limit.unwrap_or(PAGE).clamp(1, LONGEST_PAGE);
        let names: Vec<&String> = match &query.mapping {
            Some(name) => {
                self.mapping(name)?;
                vec![name]
            }
            None => self.mappings.keys().collect(),
        };
        let after = query.after.as_deref().and_then(|after| after.split_once('/'));
        let mut page = DeadLetterPage::default();
        for name in names {
            let mapping = self.mapping(name)?;
            if after.is_some_and(|(last, _)| name.as_str() < last) {
                continue;
            }
            let mut skipping = after.filter(|(last, _)| name == last).map(|(_, key)| key.to_owned());
            let mut more = false;
            self.shared.store.dead_letters(mapping.id, |row_key, letter| {
                if let Some(last) = &skipping {
                    if hex(row_key) == *last {
                        skipping = None;
                    }
                    return true;
                }
                if page.dead_letters.len() == limit {
                    more = true;
                    return false;
                }
                page.next = Some(format!("{name}/{}", hex(row_key)));
                page.dead_letters.push(document(name, &mapping.crm, row_key, letter, false));
                true
            })?;
            if more {
                return Ok(page);
            }
        }
        page.next = None;
        Ok(page)
    }

    fn show(&self, mapping: &str, key: &str) -> Answer<doc::DeadLetter> {
        let known = self.mapping(mapping)?;
        let mut found = None;
        self.shared.store.dead_letters(known.id, |row_key, letter| {
            if printed(row_key) == key || letter.key == key {
                found = Some(document(mapping, &known.crm, row_key, letter, true));
            }
            found.is_none()
        })?;
        found.ok_or_else(|| no_letter(mapping, key))
    }

    async fn retry(&self, retry: Retry) -> Answer<Done> {
        if retry.mapping.is_none() && retry.code.is_none() && !retry.all {
            return Err(CommandError::new(CommandFault::Invalid, "name a mapping, a code, or --all"));
        }
        let names: Vec<String> = match &retry.mapping {
            Some(name) => vec![name.clone()],
            None => self.mappings.keys().cloned().collect(),
        };
        let mut affected = 0;
        for name in names {
            let mapping = self.mapping(&name)?;
            let choice = Choice { key: retry.key.clone(), code: retry.code.clone() };
            affected += self.ask(&mapping.crm, |reply| Command::Retry { mapping: mapping.id, choice, reply }).await?;
        }
        if affected == 0
            && let (Some(mapping), Some(key)) = (&retry.mapping, &retry.key)
        {
            return Err(no_letter(mapping, key));
        }
        Ok(Done::new(format!("{affected} dead letters are tried again"), affected))
    }

    async fn forget(&self, mapping: &str, key: String) -> Answer<Done> {
        let known = self.mapping(mapping)?;
        let id = known.id;
        let wanted = key.clone();
        match self.ask(&known.crm, |reply| Command::Drop { mapping: id, key: wanted, reply }).await? {
            0 => Err(no_letter(mapping, &key)),
            affected => Ok(Done::new("forgotten: its row is delivered again when it changes", affected)),
        }
    }

    async fn pause(&self, target: &Target) -> Answer<Done> {
        let names = self.held_names(target)?;
        let hold = Hold {
            reason: "paused by command".into(),
            since: Micros(Timestamp::now().as_microsecond()),
            by_person: true,
        };
        for name in &names {
            self.shared.store.set_hold(name, Some(&hold))?;
        }
        self.holds_changed(&names).await;
        Ok(Done::new(format!("paused {}", names.join(", ")), names.len() as u64))
    }

    async fn resume(&self, target: &Target, confirm: bool) -> Answer<Done> {
        let names = self.held_names(target)?;
        let held = self.shared.store.holds()?;
        let mut affected = 0;
        for name in &names {
            if held.iter().any(|(known, _)| known == name) {
                self.shared.store.set_hold(name, None)?;
                affected += 1;
            }
        }
        self.holds_changed(&names).await;
        let mut message = format!("resumed {}", names.join(", "));
        if confirm {
            let mut let_through = 0;
            for name in names.iter().filter_map(|name| name.strip_prefix("mapping/")) {
                let mapping = self.mapping(name)?;
                let id = mapping.id;
                let_through += self.ask(&mapping.crm, |reply| Command::Confirm { mapping: id, reply }).await?;
            }
            message = format!("{message}; {let_through} held deletions go now");
            affected += let_through;
        }
        Ok(Done::new(message, affected))
    }

    /// The names under which a target is held in the state. A mapping whose source is just being set up is known, too.
    fn held_names(&self, target: &Target) -> Answer<Vec<String>> {
        let mappings = &self.current.config.mappings;
        let mapping = |name: &str| format!("mapping/{name}");
        let unknown = |name: &str| {
            CommandError::new(CommandFault::NotFound, format!("nothing is named {name}"))
                .hint("`passerelle status` lists the mappings, CRMs and sources")
        };
        match target {
            Target::Writes => Ok(vec!["writes".into()]),
            Target::Mapping(name) if mappings.contains_key(name) => Ok(vec![mapping(name)]),
            Target::Mapping(name) => self.mapping(name).map(|_| vec![mapping(name)]),
            Target::Crm(name) if self.crms.contains_key(name) => Ok(vec![format!("crm/{name}")]),
            Target::Source(name) if self.configured.contains(name) => Ok(vec![format!("source/{name}")]),
            Target::Named(name) => {
                match (mappings.contains_key(name), self.crms.contains_key(name), self.configured.contains(name)) {
                    (true, false, false) => Ok(vec![mapping(name)]),
                    (false, true, false) => Ok(vec![format!("crm/{name}")]),
                    (false, false, true) => Ok(vec![format!("source/{name}")]),
                    (false, false, false) => Err(unknown(name)),
                    _ => Err(CommandError::new(CommandFault::Conflict, format!("more than one thing is named {name}"))
                        .hint(format!("say which: mapping/{name}, crm/{name} or source/{name}"))),
                }
            }
            Target::Crm(name) | Target::Source(name) => Err(unknown(name)),
            Target::All => Ok(mappings
                .keys()
                .map(|name| mapping(name))
                .chain(self.crms.keys().map(|name| format!("crm/{name}")))
                .chain(self.configured.iter().map(|name| format!("source/{name}")))
                .chain(["writes".to_owned()])
                .collect()),
        }
    }

    async fn holds_changed(&self, names: &[String]) {
        for commands in self.crms.values().flatten() {
            // A delivery that has ended reads the holds when it begins again.
            let _ = commands.send(Command::HoldsChanged).await;
        }
        if names.iter().any(|name| name == "writes") {
            let paused = self.shared.store.holds().is_ok_and(|holds| holds.iter().any(|(name, _)| name == "writes"));
            self.shared.board.daemon(|daemon| {
                daemon.state = if paused { doc::DaemonState::WritesPaused } else { doc::DaemonState::Running };
            });
        }
    }

    async fn refresh(&mut self) -> Answer<()> {
        let (begun, began_at) = (Instant::now(), Timestamp::now());
        if self.reckon_after.is_some_and(|at| begun < at) {
            return Ok(());
        }
        let names: Vec<String> =
            self.crms.iter().filter(|(_, known)| known.is_some()).map(|(name, _)| name.clone()).collect();
        let mut all = true;
        for crm in names {
            // A delivery that is busy leaves its old figures.
            all &= self.ask(&crm, |reply| Command::Refresh { reply }).await.is_ok();
        }
        for (id, config) in self.sources.values() {
            let ours = self.mappings.iter().filter(|(_, known)| known.source == config.name);
            let mappings: Vec<(Vec<MappingId>, Arc<str>)> = ours
                .map(|(name, known)| {
                    (std::iter::once(known.id).chain(known.related.iter().copied()).collect(), Arc::from(&**name))
                })
                .collect();
            source::refresh(config, *id, &mappings, &self.shared.store, &self.shared.board).await?;
        }
        let stale = crate::config::load_without_secrets(self.path);
        let stale = stale.map(|loaded| loaded.config.hash != self.current.config.hash);
        let bytes = self.shared.store.size_bytes();
        self.shared.board.daemon(|daemon| {
            daemon.config_stale = stale.ok().or(Some(true));
            daemon.state_bytes = Some(bytes);
            daemon.memory_bytes = resident_bytes();
            if all {
                daemon.reckoned_at = Some(began_at);
            }
        });
        let end = Instant::now();
        let took = (end - begun).saturating_sub(CHEAP);
        self.reckon_after = Some(end + took * RECKON_SHARE);
        Ok(())
    }
}

fn no_letter(mapping: &str, key: &str) -> CommandError {
    CommandError::new(CommandFault::NotFound, format!("mapping {mapping} has no dead letter {key}"))
        .hint(format!("`passerelle dead-letters list {mapping}`"))
}

fn document(mapping: &str, crm: &str, row_key: &[u8], letter: DeadLetter, whole: bool) -> doc::DeadLetter {
    doc::DeadLetter {
        mapping: mapping.to_owned(),
        key: printed(row_key),
        crm: Some(crm.to_owned()),
        object: Some(letter.object),
        record: Some(letter.key),
        code: letter.refusal.code,
        reason: letter.refusal.message,
        fields: letter.refusal.fields,
        position: letter.position.map(|position| position.to_string()),
        at: Timestamp::from_microsecond(letter.last_at.0).ok(),
        attempts: Some(letter.attempts),
        payload: if whole { serde_json::from_str(&letter.payload).ok() } else { None },
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a `String` has no error.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Resident memory of this process, as the kernel says.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}
