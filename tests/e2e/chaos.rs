//! Everything at once: random transactions while the daemon is killed at random and at each boundary of its work, and
//! the CRM is down, throttles, forgets who we are, cuts connections after writing, refuses records. Whatever happened,
//! in the end every record is as the source says.

use std::time::Duration;

use passerelle::sandbox::{Fault, FaultKind, SandboxLimits, SandboxOptions};
use passerelle_test_servers::PgServer;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::daemon::is_failpoint;
use crate::database::{Database, mariadb};
use crate::shop::{self, Shopping};
use crate::world::World;

/// `kill -9` so many times.
const KILLS: u32 = 50;
/// After so many of them everything is compared.
const KILLS_BETWEEN_LOOKS: u32 = 10;
/// The boundaries of capture and of delivery at which it dies by itself.
const FAILPOINTS: [&str; 5] = [
    "capture.before_sync",
    "capture.after_sync",
    "delivery.before_send",
    "delivery.before_note",
    "delivery.after_note",
];
/// Calls that the CRM allows in a second, and that the daemon is told to keep to.
const PER_SECOND: u32 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn every_record_equals_its_row_whatever_happened() {
    whatever_happens(PgServer::start().unwrap(), shop::TABLES).await;
}

/// MariaDB restarts, is killed, rotates its log, compresses it or not, and writes it with every row image and metadata.
#[tokio::test(flavor = "multi_thread")]
async fn every_record_equals_its_row_of_mariadb() {
    whatever_happens(mariadb(&[]), shop::MARIADB_TABLES).await;
}

async fn whatever_happens<S: Database>(server: S, tables: &str) {
    let seed = std::env::var("PASSERELLE_E2E_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_260_101);
    eprintln!("PASSERELLE_E2E_SEED={seed} repeats this run's dice");
    let limits = SandboxLimits { per_second: Some(PER_SECOND), ..SandboxLimits::default() };
    let options = SandboxOptions { limits, seed, ..SandboxOptions::default() };
    let mut world = World::of(server, tables, &shop::mappings(), options).await;
    world.limits = format!("limits = {{ per_second = {PER_SECOND} }}");
    world.configure();
    let mut chaos = Chaos {
        client: world.server.connect().await,
        world,
        shopping: Shopping::in_dialect(S::DIALECT, seed),
        dice: StdRng::seed_from_u64(seed),
    };

    for kill in 1..=KILLS {
        chaos.world.daemon.borrow_mut().start(None);
        if chaos.dice.random() {
            chaos.world.answering().await;
        }
        chaos.shop(1..10).await;
        chaos.something_breaks();
        chaos.world.server.disturb(&mut chaos.client, &mut chaos.dice).await;
        chaos.shop(1..10).await;
        let alive = Duration::from_millis(chaos.dice.random_range(0..900));
        tokio::time::sleep(alive).await; // the moment of the kill is random: nothing is waited for
        assert_eq!(chaos.world.daemon.borrow_mut().ended(), None, "{}", chaos.world.story());
        chaos.world.daemon.borrow_mut().kill();
        if kill % KILLS_BETWEEN_LOOKS == 0 {
            chaos.look().await;
        }
    }
    for (failpoint, passing) in FAILPOINTS.iter().flat_map(|name| [1, 2, 7].map(|passing| (name, passing))) {
        chaos.dies_at(&format!("{failpoint}:{passing}")).await;
    }
    chaos.look().await;
    let stats = chaos.world.crm().stats();
    assert_eq!(stats.over_limit, 0, "no limit was passed: {stats:?}");
    for kind in [
        FaultKind::Down,
        FaultKind::Throttle,
        FaultKind::Unauthorized,
        FaultKind::CutAfterWrite,
        FaultKind::RejectRecord,
    ] {
        assert!(stats.faults.get(&kind).is_some_and(|fired| *fired > 0), "{kind:?} never happened: {stats:?}");
    }
}

struct Chaos<S: Database> {
    world: World<S>,
    client: S::Client,
    shopping: Shopping,
    dice: StdRng,
}

impl<S: Database> Chaos<S> {
    /// Some transactions, one after the other.
    async fn shop(&mut self, many: std::ops::Range<u32>) {
        for _ in 0..self.dice.random_range(many) {
            let sql = self.shopping.transaction();
            self.world.server.transaction(&mut self.client, &sql).await;
        }
    }

    /// The CRM has a fault or two for a while.
    fn something_breaks(&mut self) {
        use FaultKind as Kind;
        let kinds = [
            Kind::Down,
            Kind::Unavailable,
            Kind::Throttle,
            Kind::Limit,
            Kind::Unauthorized,
            Kind::ServerError,
            Kind::CutBefore,
            Kind::CutAfterWrite,
            Kind::CutAfterWrite,
            Kind::HangAfterWrite,
            Kind::RejectRecord,
            Kind::RejectBatch,
            Kind::LockRow,
        ];
        for _ in 0..self.dice.random_range(0..3) {
            let kind = *kinds.choose(&mut self.dice).unwrap();
            let fault = Fault::new(kind).times(self.dice.random_range(1..4));
            let fault = match kind {
                Kind::Down => Fault::new(kind).lasting(Duration::from_millis(self.dice.random_range(50..600))),
                Kind::HangAfterWrite => fault.hanging(Duration::from_millis(300)),
                Kind::RejectRecord => fault.code("FIELD_CUSTOM_VALIDATION_EXCEPTION"),
                Kind::RejectBatch => fault.code("JSON_PARSER_ERROR"),
                _ => fault,
            };
            self.world.crm().inject(fault).unwrap();
        }
    }

    /// Runs until the daemon dies at a boundary.
    async fn dies_at(&mut self, failpoint: &str) {
        self.world.crm().clear_faults();
        self.world.daemon.borrow_mut().start(Some(failpoint));
        let mut died = None;
        for _ in 0..2_000 {
            died = self.world.daemon.borrow_mut().ended();
            if died.is_some() {
                break;
            }
            self.shop(1..3).await;
            tokio::time::sleep(crate::world::LOOK_EVERY).await;
        }
        let died = died.unwrap_or_else(|| panic!("{failpoint} was not passed\n{}", self.world.story()));
        assert!(is_failpoint(died), "at {failpoint}: {died}\n{}", self.world.story());
    }

    /// The faults are over: everything arrives. Then, without a fault, nothing is sent twice.
    async fn look(&mut self) {
        self.world.crm().clear_faults();
        self.world.start().await;
        self.world.settled().await;
        // It has signed in, and has to do so again; and each of these once, whatever the dice said.
        let refused = Fault::new(FaultKind::RejectRecord).code("FIELD_CUSTOM_VALIDATION_EXCEPTION");
        let throttled = Fault::new(FaultKind::Throttle);
        for fault in [throttled, Fault::new(FaultKind::CutAfterWrite), refused] {
            self.world.crm().inject(fault.times(1)).unwrap();
        }
        self.world.crm().inject(Fault::new(FaultKind::Unauthorized)).unwrap();
        self.shop(10..20).await;
        self.world.settled().await;
        self.world.crm().clear_faults();
        if !self.world.dead_letters().is_empty() {
            self.world.cli(&["dead-letters", "retry", "--all"]);
            self.world.settled().await;
        }
        shop::assert_equal(&self.world).await;
        assert_eq!(self.world.dead_letters(), [""; 0]);

        self.world.mark();
        self.shop(10..20).await;
        self.world.settled().await;
        shop::assert_equal(&self.world).await;
        self.world.daemon.borrow_mut().stop();
        self.world.start().await;
        self.world.settled().await;
        let twice = self.world.duplicates();
        assert!(twice.is_empty(), "without a fault nothing is sent twice: {twice:#?}");
        self.world.daemon.borrow_mut().kill();
    }
}
