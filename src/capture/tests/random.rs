//! Random logs, taken back in all the ways there are, through a capture that is killed after each number of batches: what
//! is there in the end, and whenever anyone may look, is what a simple model says.

use passerelle_change::Suspicion;
use passerelle_state::{Swept, View};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const KEYS: i64 = 6;

/// One step of a transaction.
#[derive(Clone, Debug)]
enum Step {
    Row(i64, Op, u8),
    Move(i64, i64, Op, u8),
    Truncate,
    Undo(Index),
    DoubtRow(i64),
    DoubtTable,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Committed,
    Prepared(u8),
    /// It decides another, and is committed itself.
    Decides(u8, bool),
    /// The server crashed.
    Lost,
}

type Group = (Vec<Step>, Ending);

fn groups() -> impl Strategy<Value = Vec<Group>> {
    let key = 1..=KEYS;
    let op = prop_oneof![Just(Op::Full), Just(Op::Partial)];
    let step = prop_oneof![
        12 => (key.clone(), op.clone(), any::<u8>()).prop_map(|(key, op, n)| Step::Row(key, op, n)),
        3 => key.clone().prop_map(|key| Step::Row(key, Op::Gone, 0)),
        2 => (key.clone(), 1..KEYS, op, any::<u8>())
            .prop_map(|(from, by, op, n)| Step::Move(from, (from - 1 + by) % KEYS + 1, op, n)),
        1 => Just(Step::Truncate),
        3 => any::<Index>().prop_map(Step::Undo),
        1 => key.prop_map(Step::DoubtRow),
        1 => Just(Step::DoubtTable),
    ];
    let ending = prop_oneof![
        6 => Just(Ending::Committed),
        2 => (0..2_u8).prop_map(Ending::Prepared),
        3 => (0..3_u8, any::<bool>()).prop_map(|(name, committed)| Ending::Decides(name, committed)),
        1 => Just(Ending::Lost),
    ];
    prop::collection::vec((prop::collection::vec(step, 0..24), ending), 1..12)
}

/// A row, and the moment of its newest change.
type Known = (Standing, BTreeMap<u32, String>, u64);

/// The rows that are there.
type Shown = BTreeMap<i64, (Standing, BTreeMap<u32, String>)>;

/// What is there after a transaction.
#[derive(Clone, Debug, Default)]
struct Model {
    rows: BTreeMap<i64, Known>,
    truncated: Option<u64>,
    moment: u64,
    held: BTreeMap<u8, Vec<Step>>,
    doubted: bool,
    doubted_rows: BTreeSet<i64>,
}

impl Model {
    fn group(&mut self, (steps, ending): &Group) {
        // What stands: a row is counted, and a doubt about one goes with the row before it.
        let (mut standing, mut counts, mut rows, mut doubts_table) = (Vec::new(), Vec::new(), 0_u64, false);
        for step in steps {
            match step {
                Step::Undo(index) => {
                    let kept = index.index(rows as usize + 1) as u64;
                    let stay = counts.iter().take_while(|count| **count <= kept).count();
                    standing.truncate(stay);
                    counts.truncate(stay);
                    rows = rows.min(kept);
                }
                Step::DoubtTable => doubts_table = true,
                Step::DoubtRow(_) => {
                    standing.push(step.clone());
                    counts.push(rows);
                }
                Step::Row(..) | Step::Move(..) | Step::Truncate => {
                    rows += 1;
                    standing.push(step.clone());
                    counts.push(rows);
                }
            }
        }
        match ending {
            Ending::Lost => return,
            Ending::Prepared(name) => {
                if doubts_table {
                    standing.push(Step::DoubtTable);
                }
                self.held.insert(*name, standing);
                return;
            }
            Ending::Committed | Ending::Decides(..) => {}
        }
        for step in &standing {
            self.step(step);
        }
        self.doubted |= doubts_table;
        if let Ending::Decides(name, committed) = ending {
            match (self.held.remove(name), committed) {
                (Some(held), true) => {
                    for step in &held {
                        self.step(step);
                    }
                }
                (None, true) => self.doubted = true,
                (_, false) => {}
            }
        }
    }

    fn step(&mut self, step: &Step) {
        self.moment += 1;
        match step {
            Step::Row(key, op, n) => self.change(*key, *op, cells(*op, *n)),
            Step::Move(from, to, op, n) => {
                let (mut op, mut new) = (*op, cells(*op, *n));
                if let (Op::Partial, Some((standing, old, _))) = (op, self.rows.get(from)) {
                    new = old.iter().map(|(id, text)| (*id, text.clone())).chain(new).collect();
                    if *standing == Standing::Full {
                        op = Op::Full;
                    }
                }
                self.change(*from, Op::Gone, BTreeMap::new());
                self.change(*to, op, new);
            }
            Step::Truncate => self.truncated = Some(self.moment),
            Step::DoubtRow(key) => drop(self.doubted_rows.insert(*key)),
            Step::DoubtTable => self.doubted = true,
            Step::Undo(_) => unreachable!("taken back before"),
        }
    }

    fn change(&mut self, key: i64, op: Op, mut new: BTreeMap<u32, String>) {
        let standing = match (op, self.rows.get(&key)) {
            (Op::Full, _) => Standing::Full,
            (Op::Gone, _) => Standing::Gone,
            (Op::Partial, Some((standing @ (Standing::Full | Standing::Partial), old, _))) => {
                new = old.iter().map(|(id, text)| (*id, text.clone())).chain(new).collect();
                *standing
            }
            (Op::Partial, _) => Standing::Partial,
        };
        self.rows.insert(key, (standing, new, self.moment));
    }

    /// The rows that are there.
    fn shown(&self) -> Shown {
        let is_there = |(standing, _, at): &Known| {
            *standing != Standing::Gone && self.truncated.is_none_or(|truncated| *at > truncated)
        };
        let there = self.rows.iter().filter(|(_, row)| is_there(row));
        there.map(|(key, (standing, cells, _))| (*key, (*standing, cells.clone()))).collect()
    }
}

fn cells(op: Op, n: u8) -> BTreeMap<u32, String> {
    // A part is one of the two columns.
    let all = (1..=2).filter(|id| op == Op::Full || (op == Op::Partial && u32::from(n % 2) + 1 == *id));
    all.map(|id| (id, format!("{id}:{n}"))).collect()
}

fn shown(view: &View<'_>) -> Shown {
    let swept = Swept { truncated: view.truncated(TABLE).expect("readable"), unseen: None };
    let row = |key: i64| {
        let row = view.row(TABLE, &encoded(key)).expect("readable").filter(|row| swept.is_there(row))?;
        let cells = row.cells();
        let text = |id: u32| Some((id, String::from_utf8(cells.get(ColumnId(id))??.to_vec()).expect("text")));
        Some((key, (row.standing, [1, 2].into_iter().filter_map(text).collect())))
    };
    (1..=KEYS).filter_map(row).collect()
}

/// The events of a log from after a position on, in batches of sizes that `dice` says.
fn batches(groups: &[Group], after: &Position, mut dice: u64) -> Vec<Batch> {
    let (mut all, mut batch) = (Vec::new(), Batch::new());
    let first = groups.iter().enumerate().position(|(at, _)| place(at) == *after).map_or(0, |at| at + 1);
    for (at, (steps, ending)) in groups.iter().enumerate().skip(first) {
        begin(&mut batch, at as u64 + 100);
        let mut rows = 0_u64;
        let decided = if let Ending::Decides(name, committed) = ending { Some((*name, *committed)) } else { None };
        for step in steps {
            match step {
                Step::Row(key, op, n) => row_of(&mut batch, *key, *op, *n, None),
                Step::Move(from, to, op, n) => row_of(&mut batch, *to, *op, *n, Some(*from)),
                Step::Truncate => batch.push(Event::Truncate(TABLE)),
                Step::Undo(index) => {
                    let kept = index.index(rows as usize + 1) as u64;
                    batch.push(Event::Undo { kept });
                    rows = rows.min(kept);
                }
                Step::DoubtRow(key) => {
                    let key = batch.pack(|out| out.extend(encoded(*key)));
                    batch.push(Event::Suspect { table: TABLE, key: Some(key), why: Suspicion::PartOfDocument });
                }
                Step::DoubtTable => {
                    batch.push(Event::Suspect { table: TABLE, key: None, why: Suspicion::LoggedAsText });
                }
            }
            rows += u64::from(matches!(step, Step::Row(..) | Step::Move(..) | Step::Truncate));
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if (dice >> 33).is_multiple_of(5) {
                all.push(std::mem::take(&mut batch));
            }
        }
        if let Some((name, committed)) = decided {
            let name = batch.pack(|out| out.push(name));
            batch.push(Event::Decided { name, committed });
        }
        let (position, committed_at) = (place(at), Micros(at as i64));
        match ending {
            Ending::Committed | Ending::Decides(..) => batch.push(Event::End { position, committed_at }),
            Ending::Prepared(name) => {
                let name = batch.pack(|out| out.push(*name));
                batch.push(Event::Prepared { name, position, committed_at });
            }
            Ending::Lost => {}
        }
    }
    all.push(batch);
    all
}

fn place(at: usize) -> Position {
    Position::new(format!("after {at}"))
}

fn row_of(batch: &mut Batch, key: i64, op: Op, n: u8, old: Option<i64>) {
    let cells = cells(op, n);
    let cells: Vec<(u32, &str)> = cells.iter().map(|(id, text)| (*id, text.as_str())).collect();
    row(batch, key, op, &cells, old);
}

fn run(groups: &[Group], bounds: Bounds, dice: u64) {
    // What is there after each transaction, and before the first.
    let mut states = vec![(Position::new("0/1"), Model::default())];
    for (at, group) in groups.iter().enumerate() {
        let mut next = states[states.len() - 1].1.clone();
        next.group(group);
        let lost = matches!(group.1, Ending::Lost);
        let position = if lost { states[states.len() - 1].0.clone() } else { place(at) };
        states.push((position, next));
    }
    let visible: Vec<_> = states.iter().map(|(_, model)| model.shown()).collect();
    let folder = folder();
    for life in 1.. {
        let is_last = life > 14;
        let running = Running::start_with(
            &folder,
            Parts::Tentative,
            Bounds { batches: if is_last { u64::MAX } else { life }, ..bounds },
        );
        // The view of a start: where it may be looked at, it is that of a transaction's end.
        let (checkpoint, folding) = (running.checkpoint(), running.store.folding(running.source).expect("readable"));
        if checkpoint.open.is_none() && folding.is_none() {
            let at = states.iter().rposition(|(position, _)| *position == checkpoint.position).expect("a known place");
            // It may be there already that the log goes on with.
            assert_eq!(visible[at], shown(&running.store.view()), "life {life}, {:?}", checkpoint.position);
        }
        let alive = feed(&running, groups, &visible, dice.wrapping_add(life));
        if alive {
            assert_eq!(running.checkpoint().open, None);
            let (position, model) = &states[states.len() - 1];
            assert_eq!(running.checkpoint().position, *position);
            check_end(&running, model);
            drop(running.input);
            let ended = running.thread.join().expect("no panic");
            assert!(!is_last || ended.is_ok(), "{ended:?}");
            return;
        }
        assert!(!is_last, "nothing stops it");
        let ended = running.thread.join().expect("no panic");
        assert!(matches!(ended, Err(super::super::CaptureError::WriterGone)), "{ended:?}");
    }
}

/// Sends what is left of the log; false when capture was killed meanwhile.
fn feed(running: &Running, groups: &[Group], visible: &[Shown], dice: u64) -> bool {
    let Some(position) = running.settled() else { return false };
    for batch in batches(groups, &position, dice) {
        if running.input.blocking_send(Input::Stream(batch)).is_err() {
            return false;
        }
        if let Some(seen) = running.gate.between_transactions(|_| running.store.view()).map(|view| shown(&view)) {
            assert!(visible.contains(&seen), "a part of a transaction is seen: {seen:?}");
        }
    }
    running.settled().is_some()
}

fn check_end(running: &Running, model: &Model) {
    let store = &running.store;
    assert_eq!(shown(&store.view()), model.shown());
    let held = store.all_prepared(running.source, 100).expect("readable");
    let held: BTreeMap<u8, u64> = held.iter().map(|(name, held)| (name[0], held.rows)).collect();
    let is_row = |step: &&Step| matches!(step, Step::Row(..) | Step::Move(..) | Step::Truncate);
    let expected = model.held.iter().map(|(name, held)| (*name, held.iter().filter(is_row).count() as u64));
    assert_eq!(held, expected.collect());
    assert_eq!(store.suspected(TABLE).expect("readable").is_some(), model.doubted);
    let doubted: BTreeSet<_> = store.suspected_rows(TABLE, 100).expect("readable").into_iter().collect();
    assert_eq!(doubted, model.doubted_rows.iter().map(|key| encoded(*key)).collect());
    // Everything that changed is named in the lane, and nothing is left behind.
    let queued = running.queued();
    for (key, (standing, ..)) in &model.rows {
        // A key that a row has left is told by its move.
        assert!(queued.contains(&encoded(*key)) || *standing == Standing::Gone, "row {key} is not named");
    }
    // A name that was prepared twice leaves one that the next start throws away.
    store.forget_spools(running.source).expect("a write");
    let left = store.spools(running.source).expect("readable");
    let held = store.all_prepared(running.source, 100).expect("readable");
    assert!(left.iter().all(|spool| held.iter().any(|(_, held)| held.spool == *spool)), "a spool is left behind");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn x_02_x_11_my_28_my_30_any_log_is_there_once_and_as_a_whole(
        groups in groups(),
        (held, batch, part) in (prop_oneof![Just(0), Just(3_000), Just(1 << 20)], 200_usize..2_000, 100_usize..2_000),
        dice: u64,
    ) {
        run(&groups, Bounds { held_bytes: held, batch_bytes: batch, part_bytes: part, batches: 0 }, dice);
    }
}
