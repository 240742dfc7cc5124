//! A source, a CRM, and the daemon between them: real, private, and gone with the test.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use passerelle::sandbox::{Operation, Running, Sandbox, SandboxHandle, SandboxOptions, WriteEntry};
use passerelle_test_servers::PgServer;
use serde_json::Value;
use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::database::Database;
use crate::records::{self, Records};

/// Longer than anything takes on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at a thing that cannot be subscribed to.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A table that every source has, mapped and never delivered: its changes show how far capture is.
const MARKER: &str = "create table marker (id int primary key, n int not null); insert into marker values (1, 0);";

/// Everything that a test needs.
pub(crate) struct World<S = PgServer> {
    pub(crate) server: S,
    crm: Running,
    pub(crate) daemon: RefCell<Daemon>,
    /// The limits of the CRM in the configuration, as TOML; empty for none.
    pub(crate) limits: String,
    /// Further lines of each source, as TOML.
    pub(crate) source_lines: String,
    /// The first one's database is [`Database::ERP`], that of another has its name.
    sources: Vec<String>,
    mappings: String,
    /// A whole configuration, in place of one that is made of the above.
    whole: Option<String>,
    mark: RefCell<u64>,
    folder: TempDir,
}

impl World {
    /// A server on which `sql` has run, a CRM, and a daemon that is configured but not started.
    pub(crate) async fn new(sql: &str, mappings: &str) -> Self {
        Self::with(sql, mappings, SandboxOptions::default()).await
    }

    /// The same with a CRM of this kind.
    pub(crate) async fn with(sql: &str, mappings: &str, options: SandboxOptions) -> Self {
        Self::of(PgServer::start().unwrap(), sql, mappings, options).await
    }

    /// The same, with the daemon running and everything delivered.
    pub(crate) async fn running(sql: &str, mappings: &str) -> Self {
        let world = Self::new(sql, mappings).await;
        world.start().await;
        world.settled().await;
        world.mark();
        world
    }
}

impl<S: Database> World<S> {
    /// The same on a server of this kind.
    pub(crate) async fn of(server: S, sql: &str, mappings: &str, options: SandboxOptions) -> Self {
        let crm = Sandbox::start(options).await.unwrap();
        let folder = tempfile::Builder::new().prefix("passerelle-e2e-").tempdir().unwrap();
        let daemon = RefCell::new(Daemon::in_folder(folder.path()));
        let (sources, mappings) = (vec!["erp".to_owned()], mappings.to_owned());
        let (limits, source_lines, mark) = (String::new(), String::new(), RefCell::new(0));
        let world = Self { server, crm, daemon, limits, source_lines, sources, mappings, whole: None, mark, folder };
        world.sql(MARKER);
        world.sql(sql);
        world.configure();
        world
    }

    /// Replaces everything by this configuration of one source. It has to name the world's server, CRM and folder, and to
    /// map the marker before anything is waited for. For a world that is not started.
    pub(crate) fn reconfigure(&mut self, source: &str, whole: String) {
        self.sources = vec![source.to_owned()];
        self.whole = Some(whole);
        self.configure();
    }

    /// The database of a source.
    fn database<'n>(&self, source: &'n str) -> &'n str {
        if self.sources.first().is_some_and(|first| first == source) { S::ERP } else { source }
    }

    /// Adds a source: another database of the server. For a world that is not started.
    pub(crate) fn add_source(&mut self, name: &str, sql: &str) {
        self.sql(&format!("create database {name}"));
        self.sources.push(name.to_owned());
        self.server.run(name, MARKER).unwrap();
        self.server.run(name, sql).unwrap();
        self.configure();
    }

    /// Replaces the mappings; the daemon reads them at its next start.
    pub(crate) fn remap(&mut self, mappings: &str) {
        mappings.clone_into(&mut self.mappings);
        self.configure();
    }

    /// Writes the configuration.
    pub(crate) fn configure(&self) {
        std::fs::write(&self.daemon.borrow().config, self.configuration()).unwrap();
    }

    /// The configuration.
    pub(crate) fn configuration(&self) -> String {
        if let Some(whole) = &self.whole {
            return whole.clone();
        }
        let folder = self.folder.path().display();
        let mut text = format!("[daemon]\nstate_dir = \"{folder}/state\"\nsocket = \"{folder}/p.sock\"\n");
        for source in &self.sources {
            let (lines, further) = (self.server.source(self.database(source)), &self.source_lines);
            let _ = write!(
                text,
                "[source.{source}]\n{lines}{further}[mapping.marker_{source}]\nsource = \"{source}\"\ntable = \"public.marker\"\ncrm = \"sales\"\n\
                 object = \"Lead\"\nkey = {{ field = \"Erp_Id__c\", value = \"id\" }}\nwhere = \"n < 0\"\n\
                 [mapping.marker_{source}.fields]\nLastName = {{ const = \"never\" }}\n"
            );
        }
        let (url, limits, mappings) = (self.crm.url(), &self.limits, &self.mappings);
        let auth =
            "{ method = \"client_credentials\", client_id = \"any\", client_secret = { env = \"SANDBOX_SECRET\" } }";
        let _ =
            write!(text, "[crm.sales]\nkind = \"salesforce\"\nurl = \"{url}\"\nauth = {auth}\n{limits}\n{mappings}\n");
        text
    }

    /// The folder of the daemon's state.
    pub(crate) fn state_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("state")
    }

    /// The CRM.
    pub(crate) fn crm(&self) -> &SandboxHandle {
        self.crm.handle()
    }

    /// Runs `sql` on the ERP as one transaction.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.server.run(S::ERP, sql).unwrap()
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) async fn start(&self) {
        self.daemon.borrow_mut().start(None);
        self.answering().await;
    }

    /// Waits until the daemon answers.
    pub(crate) async fn answering(&self) {
        self.until("the daemon to answer", async || self.get("/v1/status").await.map(drop)).await;
    }

    /// Kills the daemon and starts it again.
    pub(crate) async fn restart(&self) {
        self.daemon.borrow_mut().kill();
        self.start().await;
    }

    /// A document of the status socket.
    #[expect(clippy::await_holding_refcell_ref, reason = "one task only uses the daemon")]
    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        self.daemon.borrow().get(path).await
    }

    /// One entry of a list in `/v1/status`, by its name.
    pub(crate) async fn status_of(&self, list: &str, name: &str) -> Option<Value> {
        let status = self.get("/v1/status").await?;
        status[list].as_array()?.iter().find(|entry| entry["name"] == name).cloned()
    }

    /// Runs a verb of the command line that must succeed; gives what it printed.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let (status, text) = self.daemon.borrow().cli(arguments);
        assert!(status.success(), "passerelle {arguments:?}: {status}\n{text}\n{}", self.story());
        text
    }

    /// Dead letters as `mapping key CODE`.
    pub(crate) fn dead_letters(&self) -> Vec<String> {
        let page: Value = serde_json::from_str(&self.cli(&["dead-letters", "list", "--json"])).unwrap();
        let letters = page["dead_letters"].as_array().unwrap().iter();
        let words =
            letters.map(|letter| ["mapping", "key", "code"].map(|name| letter[name].as_str().unwrap_or("?")).join(" "));
        words.collect()
    }

    /// Waits for a thing, looking at it again and again. Fails with the story when it does not come.
    pub(crate) async fn until<T>(&self, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
        self.until_within(LIMIT, what, look).await
    }

    /// The same with a limit of its own.
    pub(crate) async fn until_within<T>(
        &self,
        limit: Duration,
        what: &str,
        mut look: impl AsyncFnMut() -> Option<T>,
    ) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(begun.elapsed() < limit, "waited {limit:?} for {what}\n{}", self.story_with_status().await);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until everything that was committed so far, in every source, is durable in the daemon's state.
    pub(crate) async fn captured(&self) {
        for source in &self.sources {
            let database = self.database(source);
            let before = self.server.head(database);
            self.server.run(database, "update marker set n = n + 1").unwrap();
            self.until(&format!("{source} to be captured up to {before}"), async || {
                let offsets = self.get("/v1/offsets").await?;
                let known = offsets["sources"].as_array()?.iter().find(|known| known["name"] == **source)?;
                S::is_beyond(known["durable"]["value"].as_str()?, &before).then_some(())
            })
            .await;
        }
    }

    /// Waits until everything that was committed so far is captured, and nothing is left to deliver.
    pub(crate) async fn settled(&self) {
        self.captured().await;
        self.delivered().await;
    }

    /// Waits until nothing is left to deliver.
    pub(crate) async fn delivered(&self) {
        let asked = Timestamp::now();
        self.until("everything to be delivered", async || {
            let status = self.get("/v1/status").await?;
            // Figures that were reckoned before say nothing about what was asked for.
            let reckoned: Timestamp = status["daemon"]["reckoned_at"].as_str()?.parse().ok()?;
            if reckoned < asked {
                return None;
            }
            let mappings = status["mappings"].as_array()?;
            let idle = |mapping: &Value| {
                mapping["pending"] == 0 && mapping["waiting_parent"] == 0 && mapping["in_flight"] == 0
            };
            let loaded = |source: &Value| {
                source["tables"]
                    .as_array()
                    .is_some_and(|tables| tables.iter().all(|table| table["state"] == "streaming"))
            };
            let loaded = status["sources"].as_array()?.iter().all(loaded);
            let complete = loaded && mappings.len() >= self.configuration().matches(".fields]").count();
            (complete && mappings.iter().all(idle)).then_some(())
        })
        .await;
    }

    /// Waits until the CRM's records of an object are just these.
    pub(crate) async fn expect(&self, object: &str, expected: &Records) {
        let begun = Instant::now();
        while records::of(self.crm(), object) != *expected {
            if begun.elapsed() > LIMIT {
                let difference = records::difference(&records::of(self.crm(), object), expected);
                let first = records::first_difference(&records::of(self.crm(), object), expected);
                let history = self.history(object, &first);
                panic!(
                    "{object} differs after {LIMIT:?}:\n{difference}\n{history}\n{}",
                    self.story_with_status().await
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What was written to the record that has, or had, this key.
    fn history(&self, object: &str, key: &str) -> String {
        let entries = self.crm().log_after(0, usize::MAX);
        let is_it = |entry: &&std::sync::Arc<WriteEntry>| entry.object == object && entry.key.as_deref() == Some(key);
        let ids: std::collections::BTreeSet<_> = entries.iter().filter(is_it).map(|entry| entry.id.clone()).collect();
        let of_it = entries.iter().filter(|entry| ids.contains(&entry.id));
        let short = |text: String| text.chars().take(300).collect::<String>();
        let lines = of_it.map(|entry| format!("  {} {} {}", entry.at, entry.id, short(printed(entry))));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Forgets the writes so far.
    pub(crate) fn mark(&self) {
        *self.mark.borrow_mut() = self.crm().stats().last_write;
    }

    /// The writes since the last call or [`World::mark`], in order of their arrival.
    pub(crate) fn writes(&self) -> Vec<String> {
        let entries = self.crm().log_after(*self.mark.borrow(), usize::MAX);
        self.mark();
        entries.iter().map(|entry| printed(entry)).collect()
    }

    /// Those of them that changed nothing.
    pub(crate) fn duplicates(&self) -> Vec<String> {
        let entries = self.crm().log_after(*self.mark.borrow(), usize::MAX);
        entries.iter().filter(|entry| entry.duplicate_of_previous).map(|entry| printed(entry)).collect()
    }

    /// Waits until all is settled; then the writes since the last look must be these.
    pub(crate) async fn expect_writes(&self, expected: &[&str]) {
        self.settled().await;
        let writes = self.writes();
        assert_eq!(writes, expected, "{}", self.story());
    }

    /// What a person does in the CRM: edits a record, or deletes it (`None`).
    pub(crate) async fn person(&self, object: &str, key: &str, fields: Option<Value>) {
        let url = format!("{}/services/data/v66.0/sobjects/{object}/Erp_Id__c/{key}", self.crm().url());
        let client = reqwest::Client::new();
        let request = match fields {
            Some(fields) => client.patch(url).json(&fields),
            None => client.delete(url),
        };
        let answer = request.bearer_auth("a person").send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        self.mark();
    }

    /// What is known when something goes wrong.
    pub(crate) fn story(&self) -> String {
        let stats = serde_json::to_string(&self.crm().stats()).unwrap_or_default();
        format!("--- CRM: {stats}\n--- the daemon's last words:\n{}", self.daemon.borrow().last_words())
    }

    async fn story_with_status(&self) -> String {
        let status =
            self.get("/v1/status").await.map_or_else(|| "no answer".to_owned(), |status| format!("{status:#}"));
        format!("--- status: {status}\n{}", self.story())
    }
}

/// A position as PostgreSQL prints it, as a number.
pub(crate) fn lsn(text: &str) -> u64 {
    let (high, low) = text.split_once('/').unwrap_or_else(|| panic!("`{text}` is no position"));
    u64::from_str_radix(high, 16).unwrap() << 32 | u64::from_str_radix(low, 16).unwrap()
}

/// A write as `updated Account a1 Name="Ada" Phone=null`. Of a creation neither the key nor what is null: that says
/// nothing.
fn printed(entry: &WriteEntry) -> String {
    let word = match entry.op {
        Operation::Created => "created",
        Operation::Updated => "updated",
        Operation::Deleted => "deleted",
    };
    let is_update = entry.op == Operation::Updated;
    let says = |(name, value): &(&String, &Value)| is_update || (*name != "Erp_Id__c" && !value.is_null());
    let fields: BTreeMap<&String, &Value> = entry.fields.iter().filter(says).collect();
    let mut text = format!("{word} {} {}", entry.object, entry.key.as_deref().unwrap_or("?"));
    for (name, value) in fields {
        let _ = write!(text, " {name}={value}");
    }
    text
}
