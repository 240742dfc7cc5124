//! What happens in the shop, one scene after the other, and what the CRM gets for it.
//!
//! A scene ends when the CRM has what it should have: so the demo can stop between any two.

mod web;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use passerelle_test_servers::daemon::{Daemon, Program};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::people::{Person, mistyped};
use super::shop::{Customer, Shop};
use super::teller::{Teller, counted, in_words, lasting};
use super::webshop::WebShop;
use crate::sandbox::{Fault, FaultKind, Operation, SandboxHandle, WriteEntry};

/// The most that anything here may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Customers that are edited while the CRM is down, and how often each.
const EDITED: (usize, u64) = (10, 10);
/// Orders that are placed while passerelle is killed.
const ORDERS_IN_A_CRASH: usize = 40;

/// A record of the CRM: object and external key.
type Record = (&'static str, i64);

/// The two shops, the CRM and passerelle between them.
pub(super) struct Story {
    /// Where things change.
    pub(super) shop: Shop,
    /// Where other things change.
    pub(super) web: WebShop,
    /// Where they arrive.
    pub(super) crm: SandboxHandle,
    /// How passerelle is started.
    pub(super) program: Program,
    /// passerelle, while it runs.
    pub(super) daemon: Option<Daemon>,
    /// Who tells it.
    pub(super) teller: Teller,
    /// From commit to the CRM, where nothing was in the way.
    pub(super) latencies: Vec<Duration>,
    pace: Pace,
    rng: StdRng,
}

/// How fast it is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Between two happenings.
    pub(super) pause: Duration,
    /// How long the CRM is down.
    pub(super) outage: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Scene {
    Registration,
    Company,
    Order,
    Typo,
    Unmapped,
    Outage,
    BadEmail,
    Crash,
    Merge,
    Deletion,
    Product,
    Price,
    Sale,
}

/// The first round.
const SCENES: [Scene; 13] = [
    Scene::Registration,
    Scene::Order,
    Scene::Product,
    Scene::Typo,
    Scene::Outage,
    Scene::Price,
    Scene::Company,
    Scene::Crash,
    Scene::Unmapped,
    Scene::Sale,
    Scene::BadEmail,
    Scene::Merge,
    Scene::Deletion,
];

/// What comes after it, as often as it stands here.
const LATER: [Scene; 19] = [
    Scene::Registration,
    Scene::Registration,
    Scene::Order,
    Scene::Order,
    Scene::Order,
    Scene::Typo,
    Scene::Typo,
    Scene::Company,
    Scene::Unmapped,
    Scene::Unmapped,
    Scene::BadEmail,
    Scene::Merge,
    Scene::Deletion,
    Scene::Outage,
    Scene::Crash,
    Scene::Product,
    Scene::Price,
    Scene::Price,
    Scene::Sale,
];

impl Story {
    pub(super) fn new(
        (shop, web): (Shop, WebShop),
        crm: SandboxHandle,
        program: Program,
        daemon: Daemon,
        pace: Pace,
    ) -> Self {
        let (teller, latencies, rng) = (Teller::new(), Vec::new(), StdRng::seed_from_u64(7));
        Self { shop, web, crm, program, daemon: Some(daemon), teller, latencies, pace, rng }
    }

    /// Plays scenes until `over` says so between two of them.
    pub(super) async fn play(&mut self, over: impl Fn() -> bool) -> Result<()> {
        for number in 0.. {
            if over() {
                return Ok(());
            }
            let scene = match SCENES.get(number) {
                Some(scene) => *scene,
                None => LATER.choose(&mut self.rng).copied().unwrap_or(Scene::Order),
            };
            self.scene(scene).await?;
            if !over() {
                self.pause().await;
            }
        }
        Ok(())
    }

    async fn scene(&mut self, scene: Scene) -> Result<()> {
        match scene {
            Scene::Registration => self.registration().await,
            Scene::Company => self.company().await,
            Scene::Order => self.order().await,
            Scene::Typo => self.typo().await,
            Scene::Unmapped => self.unmapped().await,
            Scene::Outage => self.outage().await,
            Scene::BadEmail => self.bad_email().await,
            Scene::Crash => self.crash().await,
            Scene::Merge => self.merge().await,
            Scene::Deletion => self.deletion().await,
            Scene::Product => self.new_product().await,
            Scene::Price => self.price().await,
            Scene::Sale => self.sale().await,
        }
    }

    async fn registration(&mut self) -> Result<()> {
        let person = self.shop.somebody();
        let (company, at) = self.shop.some_company().await?;
        let start = self.begin();
        let id = self.shop.register(&person, Some(company)).await?;
        self.arrived(&format!("{} of {at} registers", person.name()), start, &[("Contact", id)]).await.map(drop)
    }

    async fn company(&mut self) -> Result<()> {
        let (parent, company) = (self.shop.some_company_name() + " Group", self.shop.some_company_name());
        let person = self.shop.somebody();
        let start = self.begin();
        let [parent_id, company_id, person_id] = self.shop.found_group(&parent, &company, &person).await?;
        let text = format!("{company}, its parent and one person, at once");
        let records = [("Account", parent_id), ("Account", company_id), ("Contact", person_id)];
        self.arrived(&text, start, &records).await.map(drop)
    }

    async fn order(&mut self) -> Result<()> {
        if self.rng.random_bool(0.5) {
            let buyer = self.one_person().await?;
            let start = self.begin();
            let (order, total) = self.shop.order(buyer.id).await?;
            self.arrived(&format!("{} orders for {total}", buyer.name), start, &[("Order", order)]).await.map(drop)
        } else {
            let start = self.begin();
            let (order, status) = self.shop.advance_order().await?;
            self.arrived(&format!("order S-{order} is {status}"), start, &[("Order", order)]).await.map(drop)
        }
    }

    async fn typo(&mut self) -> Result<()> {
        let somebody = self.one_person().await?;
        let wrong = mistyped(&somebody.city);
        let start = self.begin();
        self.shop.set(somebody.id, "city", &wrong).await?;
        let record = [("Contact", somebody.id)];
        self.arrived(&format!("{} moves to \"{wrong}\"", somebody.name), start, &record).await?;
        self.pause().await;
        let start = self.begin();
        self.shop.set(somebody.id, "city", &somebody.city).await?;
        self.arrived(&format!("… a typo: {}", somebody.city), start, &record).await.map(drop)
    }

    async fn unmapped(&mut self) -> Result<()> {
        let somebody = self.one_person().await?;
        let (before, calls) = (self.begin(), self.crm.stats().calls);
        self.shop.set(somebody.id, "staff_note", "prefers mornings").await?;
        // What is changed after it arrives after it: then this one has been through, too.
        let other = self.one_person_but(somebody.id).await?;
        let phone = self.shop.some_phone();
        let start = self.begin();
        self.shop.set(other.id, "phone", &phone).await?;
        let entries = self.awaited(start.mark, &[("Contact", other.id)]).await?;
        let unwanted = self.entries_of(before.mark, &[("Contact", somebody.id)]).len();
        let shop = format!("a staff note on {}, mapped nowhere", somebody.name);
        match unwanted {
            0 => self.teller.happened(&shop, "nothing, and no call"),
            _ => bail!("the CRM was written to for a column that no mapping names"),
        }
        let calls = self.crm.stats().calls - calls;
        self.told(&format!("{} has another phone number", other.name), start, &entries);
        if calls > 1 {
            Teller::more(&counted(calls, "call"));
        }
        Ok(())
    }

    async fn outage(&mut self) -> Result<()> {
        let people = self.shop.some_people(EDITED.0 as i64).await?;
        self.crm.inject(Fault::new(FaultKind::Down)).map_err(anyhow::Error::msg)?;
        let down = tokio::time::Instant::now();
        self.teller.meanwhile("the CRM goes down");
        let mark = self.begin().mark;
        for _ in 0..EDITED.1 {
            for somebody in &people {
                let phone = self.shop.some_phone();
                self.shop.set(somebody.id, "phone", &phone).await?;
            }
        }
        let changes = EDITED.1 * people.len() as u64;
        let position = self.shop.log_position().await?;
        self.log_is_free(&position).await?;
        let edited = format!("{} people change their phones, {changes} times", people.len());
        self.teller.happened(&edited, "waits on passerelle's disk, not on PostgreSQL's");
        tokio::time::sleep_until(down + self.pace.outage).await; // the outage lasts as long as it was told
        self.crm.clear_faults();
        let start = self.begin();
        self.teller.meanwhile(&format!("the CRM is back after {}", lasting(down.elapsed())));
        let records: Vec<Record> = people.iter().map(|somebody| ("Contact", somebody.id)).collect();
        let entries = self.awaited(mark, &records).await?;
        let writes = counted(entries.len() as u64, "write");
        let shop = format!("those {changes} changes");
        self.teller
            .happened(&shop, &format!("{writes}: each person once, as now ({} after it is back)", start.since()));
        Ok(())
    }

    async fn bad_email(&mut self) -> Result<()> {
        let somebody = self.one_person().await?;
        let key = somebody.id.to_string();
        let bad = somebody.email.replace('@', " at ");
        self.shop.set(somebody.id, "email", &bad).await?;
        let is_ours = |letter: &serde_json::Value| letter["record"] == key.as_str() || letter["key"] == key.as_str();
        let letters = self.dead_letters("the refused record is a dead letter", |all| all.iter().any(is_ours)).await?;
        let code = letters.iter().find(|letter| is_ours(letter)).and_then(|letter| letter["code"].as_str());
        let crm = format!("refused: {}", code.unwrap_or("no code"));
        self.teller.happened(&format!("{} mistypes an e-mail address", somebody.name), &crm);
        Teller::more("kept as a dead letter, with the reason; others go on:");
        self.pause().await;
        self.order().await?;
        self.pause().await;
        let start = self.begin();
        let good = somebody.email.replace("@example.com", "@example.org");
        self.shop.set(somebody.id, "email", &good).await?;
        self.arrived(&format!("{} corrects it", somebody.name), start, &[("Contact", somebody.id)]).await?;
        self.dead_letters("the corrected record is no dead letter any more", |all| !all.iter().any(is_ours)).await?;
        Teller::more("and the dead letter is gone");
        Ok(())
    }

    async fn crash(&mut self) -> Result<()> {
        let buyers = self.shop.some_people(ORDERS_IN_A_CRASH as i64).await?;
        let mark = self.begin().mark;
        let mut orders: Vec<Record> = Vec::new();
        for (number, buyer) in buyers.iter().enumerate() {
            if number == buyers.len() / 2 {
                let daemon = self.daemon.take().context("passerelle runs")?;
                let pid = daemon.pid();
                daemon.kill()?;
                let sent = self.entries_of(mark, &orders).len() as u64;
                let shop = format!("{} people order, one after the other", buyers.len());
                self.teller.happened(&shop, &format!("{} created, and then", counted(sent, "Order")));
                self.teller.meanwhile(&format!("passerelle is killed: kill -9 {pid}"));
            }
            orders.push(("Order", self.shop.order(buyer.id).await?.0));
        }
        self.pause().await;
        let start = self.begin();
        let mut daemon = self.program.start()?;
        daemon.until_streaming(LIMIT).await?;
        self.daemon = Some(daemon);
        self.teller.meanwhile(&format!("passerelle is started again, and streams after {}", start.since()));
        let entries = self.awaited(mark, &orders).await?;
        let created = entries.iter().filter(|entry| entry.op == Operation::Created).count();
        if created != orders.len() {
            bail!("{} orders were placed and {created} created", orders.len());
        }
        let again = match entries.len() - created {
            0 => "none lost, none twice".to_owned(),
            more => format!("none lost, {more} in flight written again"),
        };
        let shop = format!("those {created} orders");
        self.teller.happened(&shop, &format!("{created} Orders are there: {again}"));
        Ok(())
    }

    async fn merge(&mut self) -> Result<()> {
        let first = self.one_person().await?;
        let (first_name, last_name) = first.name.split_once(' ').unwrap_or(("Ada", "Rossi"));
        let twice = Person { first: first_name.to_owned(), last: last_name.to_owned() };
        let start = self.begin();
        let again = self.shop.register(&twice, None).await?;
        self.arrived(&format!("{} registers a second time", first.name), start, &[("Contact", again)]).await?;
        self.pause().await;
        let start = self.begin();
        let (order, total) = self.shop.order(again).await?;
        self.arrived(&format!("… and orders for {total}"), start, &[("Order", order)]).await?;
        self.pause().await;
        let start = self.begin();
        let moved = self.shop.merge(first.id, again).await?;
        let mut records: Vec<Record> = moved.iter().map(|&order| ("Order", order)).collect();
        records.push(("Contact", again));
        self.arrived("the two are merged into the first", start, &records).await.map(drop)
    }

    async fn deletion(&mut self) -> Result<()> {
        let somebody = self.one_person().await?;
        let start = self.begin();
        let orders = self.shop.delete(somebody.id).await?;
        let mut records: Vec<Record> = orders.iter().map(|&order| ("Order", order)).collect();
        records.push(("Contact", somebody.id));
        let text = match orders.len() as u64 {
            0 => format!("{} asks to be forgotten", somebody.name),
            orders => format!("{} asks to be forgotten, with {}", somebody.name, counted(orders, "order")),
        };
        self.arrived(&text, start, &records).await.map(drop)
    }

    /// Waits for what the CRM gets for the records since `start`, and tells it.
    async fn arrived(&mut self, shop: &str, start: Start, records: &[Record]) -> Result<Vec<Entry>> {
        let entries = self.awaited(start.mark, records).await?;
        self.told(shop, start, &entries);
        Ok(entries)
    }

    /// Tells what the CRM got, the first write beside what happened, the others below.
    fn told(&mut self, shop: &str, start: Start, entries: &[Entry]) {
        let last = entries.iter().map(|entry| start.until(entry.at)).max().unwrap_or_default();
        self.latencies.push(last);
        let mut lines = in_words(entries);
        if let Some(line) = lines.last_mut() {
            *line = format!("{line} ({})", lasting(last));
        }
        for (number, line) in lines.iter().enumerate() {
            match number {
                0 => self.teller.happened(shop, line),
                _ => Teller::more(line),
            }
        }
    }

    /// Waits until every record was written since `mark`: all writes to them, in order.
    async fn awaited(&self, mark: u64, records: &[Record]) -> Result<Vec<Entry>> {
        let there = |crm: &SandboxHandle| {
            let entries = crm.log_after(mark, usize::MAX);
            records.iter().all(|record| entries.iter().any(|entry| is_of(entry, record)))
        };
        if !self.crm.wait_until(LIMIT, there).await {
            bail!("the CRM did not get {records:?} within {LIMIT:?}");
        }
        Ok(self.entries_of(mark, records))
    }

    fn entries_of(&self, mark: u64, records: &[Record]) -> Vec<Entry> {
        let entries = self.crm.log_after(mark, usize::MAX);
        entries.into_iter().filter(|entry| records.iter().any(|record| is_of(entry, record))).collect()
    }

    /// Waits until the dead letters are as wanted.
    async fn dead_letters(
        &mut self,
        what: &str,
        wanted: impl Fn(&[serde_json::Value]) -> bool,
    ) -> Result<Vec<serde_json::Value>> {
        let daemon = self.daemon.as_mut().context("passerelle runs")?;
        let list = |page: &serde_json::Value| page["dead_letters"].as_array().cloned().unwrap_or_default();
        let page = daemon.until(LIMIT, "/v1/dead-letters", what, |page| wanted(&list(page))).await?;
        Ok(list(&page))
    }

    /// Waits until PostgreSQL may recycle its log up to `position`.
    async fn log_is_free(&self, position: &str) -> Result<()> {
        let free = async {
            while !self.shop.log_is_free(position).await? {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        tokio::time::timeout(LIMIT, free).await.context("passerelle did not confirm what it has")?
    }

    async fn one_person(&mut self) -> Result<Customer> {
        self.shop.some_people(1).await?.pop().context("the shop has customers")
    }

    async fn one_person_but(&mut self, other: i64) -> Result<Customer> {
        let mut two = self.shop.some_people(2).await?;
        two.retain(|somebody| somebody.id != other);
        two.pop().context("the shop has customers")
    }

    async fn pause(&self) {
        tokio::time::sleep(self.pace.pause).await;
    }

    /// The moment before something happens.
    fn begin(&self) -> Start {
        Start { mark: self.crm.stats().last_write, at: clock() }
    }
}

type Entry = std::sync::Arc<WriteEntry>;

/// A moment: what the CRM's log held, and the time.
#[derive(Clone, Copy, Debug)]
struct Start {
    mark: u64,
    /// Since 1970.
    at: Duration,
}

impl Start {
    /// To a write, in microseconds since 1970.
    fn until(self, at: i64) -> Duration {
        Duration::from_micros(u64::try_from(at).unwrap_or_default()).saturating_sub(self.at)
    }

    /// To now.
    fn since(self) -> String {
        lasting(clock().saturating_sub(self.at))
    }
}

fn is_of(entry: &WriteEntry, (object, key): &Record) -> bool {
    entry.object == *object && entry.key.as_deref() == Some(key.to_string().as_str())
}

/// The clock of the CRM's log.
fn clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
