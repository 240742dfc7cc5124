use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

/// A group in memory, as the state keeps one.
#[derive(Default)]
struct Kept {
    group: Group,
    lines: BTreeMap<(u8, Vec<u8>, u32), Vec<u8>>,
}

impl Lines for BTreeMap<(u8, Vec<u8>, u32), Vec<u8>> {
    type Error = Infallible;

    fn scan(
        &self,
        figure: u8,
        from: &[u8],
        backwards: bool,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Infallible> {
        let of = self.range((figure, from.to_vec(), 0)..(figure + 1, Vec::new(), 0));
        let mut all: Vec<_> = of.map(|((_, sort, _), value)| (sort, value)).collect();
        if backwards {
            all.reverse();
        }
        for (sort, value) in all {
            if !visit(sort, value) {
                break;
            }
        }
        Ok(())
    }
}

impl Kept {
    fn come(&mut self, rollup: &Rollup, row: u32, holds: &[u8]) {
        let Ok(()) = rollup.change(&mut self.group, holds, true, &self.lines);
        for line in rollup.lines(holds) {
            self.lines.insert((line.figure, line.sort, row), line.value);
        }
    }

    fn go(&mut self, rollup: &Rollup, row: u32, holds: &[u8]) {
        for line in rollup.lines(holds) {
            self.lines.remove(&(line.figure, line.sort, row));
        }
        let Ok(()) = rollup.change(&mut self.group, holds, false, &self.lines);
    }

    fn advance(&mut self, rollup: &Rollup, now: i64) {
        let Ok(_) = rollup.advance(&mut self.group, now, &self.lines);
    }

    fn figures(&self, rollup: &Rollup) -> Vec<Figure> {
        let Ok(figures) = rollup.figures(&self.group, &self.lines);
        figures
    }
}

const DAY: i64 = 86_400_000_000;

fn figure(name: &str, function: Function) -> FigureOf {
    FigureOf { name: name.into(), function, within: None, distinct: false, separator: None, limit: 3, integer: false }
}

/// Every function, and windows of ten days.
fn every() -> Rollup {
    let within = Some(Duration::from_micros(10 * DAY as u64));
    let plain = [Function::Count, Function::Sum, Function::Avg, Function::Min, Function::Max]
        .map(|function| figure("plain", function));
    let by = [Function::First, Function::Last, Function::List].map(|function| figure("by", function));
    let windows = [Function::Count, Function::Sum, Function::Min, Function::Last, Function::List]
        .map(|function| FigureOf { within, ..figure("window", function) });
    let distinct =
        [Function::Count, Function::List].map(|function| FigureOf { distinct: true, ..figure("distinct", function) });
    let few = FigureOf { distinct: true, within, ..figure("few", Function::Count) };
    Rollup { figures: plain.into_iter().chain(by).chain(windows).chain(distinct).chain([few]).collect() }
}

/// An order: cents, and its day.
type Order = (i64, i64);

fn holds(rollup: &Rollup, (cents, day): Order) -> Vec<u8> {
    let amount = Value::Decimal(Decimal::new(cents, 2));
    let sorted = |value: &Value<'_>| {
        let mut sort = Vec::new();
        order::push(&mut sort, value, false);
        sort
    };
    let of = |figure: &FigureOf| {
        let is_by = &*figure.name == "by";
        let sort = if is_by { sorted(&Value::Int(i128::from(day))) } else { sorted(&amount) };
        Some(Given { value: stored::encode(&amount), bad: false, sort, at: Some(day * DAY), currency: None })
    };
    given(&rollup.figures.iter().map(of).collect::<Vec<_>>())
}

/// The same by looking at all rows.
fn recomputed(rows: &BTreeMap<u32, Order>, today: i64) -> Vec<Figure> {
    let value =
        |cents: Option<i64>| Ok(cents.map_or(Value::Null, |cents| Value::Decimal(Decimal::new(cents, 2).normalize())));
    let listed = |all: Vec<i64>| {
        let items: Vec<_> = all.into_iter().take(3).map(|cents| Value::Decimal(Decimal::new(cents, 2))).collect();
        Ok(if items.is_empty() { Value::Null } else { Value::List(items) })
    };
    let exact = |cents: Option<i64>| Ok(cents.map_or(Value::Null, |cents| Value::Decimal(Decimal::new(cents, 2))));
    let all: Vec<i64> = rows.values().map(|row| row.0).collect();
    let mut by: Vec<(i64, u32, i64)> = rows.iter().map(|(row, (cents, day))| (*day, *row, *cents)).collect();
    by.sort_unstable();
    let recent: Vec<_> = by.iter().filter(|(day, ..)| *day > today - 10).copied().collect();
    let sum = |all: &[i64]| value((!all.is_empty()).then(|| all.iter().sum()));
    let avg = || {
        if all.is_empty() {
            return Ok(Value::Null);
        }
        let sum: BigDecimal = BigDecimal::new(all.iter().sum::<i64>().into(), 2);
        let avg = (sum / BigDecimal::from(all.len() as u64)).with_prec(28).round(28).normalized().to_plain_string();
        Ok(Value::Decimal(Decimal::from_str_exact(&avg).unwrap()))
    };
    let values: BTreeSet<i64> = all.iter().copied().collect();
    let recent_values: Vec<i64> = recent.iter().map(|row| row.2).collect();
    let count = |n: usize| Ok(Value::Int(n as i128));
    vec![
        count(all.len()),
        sum(&all),
        avg(),
        exact(all.iter().min().copied()),
        exact(all.iter().max().copied()),
        exact(by.first().map(|row| row.2)),
        exact(by.last().map(|row| row.2)),
        listed(by.iter().map(|row| row.2).collect()),
        count(recent.len()),
        sum(&recent_values),
        exact(recent_values.iter().min().copied()),
        exact(recent.last().map(|row| row.2)),
        listed(recent_values.clone()),
        count(values.len()),
        listed(values.iter().copied().collect()),
        count(recent_values.iter().collect::<BTreeSet<_>>().len()),
    ]
}

proptest! {
    #[test]
    fn a_group_is_what_looking_at_all_rows_says(
        steps in proptest::collection::vec((0_u32..6, proptest::option::of((-500_i64..500, 0_i64..30)), 0_i64..4), 1..40)
    ) {
        let rollup = every();
        let (mut kept, mut rows, mut today) = (Kept::default(), BTreeMap::new(), 15);
        for (row, order, days) in steps {
            today += days;
            kept.advance(&rollup, today * DAY);
            if let Some(before) = rows.remove(&row) {
                kept.go(&rollup, row, &holds(&rollup, before));
            }
            if let Some(order) = order {
                kept.come(&rollup, row, &holds(&rollup, order));
                rows.insert(row, order);
            }
            prop_assert_eq!(kept.figures(&rollup), recomputed(&rows, today), "{:?} on day {}", rows, today);
            let Ok(next) = rollup.next_expiry(&kept.group, &kept.lines);
            let expect = rows.values().filter(|(_, day)| *day > today - 10).map(|(_, day)| (day + 10) * DAY).min();
            prop_assert_eq!(next, expect);
        }
        prop_assert_eq!(Rollup::is_empty(&kept.group), rows.is_empty());
    }
}

/// One figure over given values; a value that is `None` could not be had.
fn check(figure: FigureOf, values: &[(Option<Value<'static>>, Option<&str>)], expect: Figure) {
    let rollup = Rollup { figures: vec![figure] };
    let mut kept = Kept::default();
    for (row, (value, currency)) in values.iter().enumerate() {
        let mut sort = Vec::new();
        order::push(&mut sort, value.as_ref().unwrap_or(&Value::Null), false);
        let stored = value.as_ref().map(stored::encode).unwrap_or_default();
        let one = Given { value: stored, bad: value.is_none(), sort, at: None, currency: currency.map(str::to_owned) };
        kept.come(&rollup, row as u32, &given(&[Some(one)]));
    }
    assert_eq!(kept.figures(&rollup), [expect], "{values:?}");
}

#[test]
fn sums_are_exact_and_of_one_currency() {
    let sum = || figure("sum", Function::Sum);
    let number = |text: &str| Some(Value::BigNumber(text.to_owned().into()));
    let float = |n: f64| (Some(Value::Float(n)), None);
    check(sum(), &[float(0.1), float(0.2)], Ok(Value::Decimal("0.3".parse().unwrap())));
    let long = "123456789012345678901234567890.12";
    check(
        sum(),
        &[(number(long), None), (number("0.01"), None)],
        Ok(Value::BigNumber("123456789012345678901234567890.13".into())),
    );
    let euro = |n: i64, currency| (Some(Value::Int(i128::from(n))), Some(currency));
    check(sum(), &[euro(1, "EUR"), euro(2, "EUR")], Ok(Value::Decimal(3.into())));
    check(sum(), &[euro(1, "EUR"), euro(2, "USD")], Err(CURRENCIES));
    check(sum(), &[(number("NaN"), None), euro(2, "USD")], Err(BAD));
    check(sum(), &[(None, None), euro(2, "USD")], Err(BAD));
    check(sum(), &[], Ok(Value::Null));
    check(FigureOf { integer: true, ..sum() }, &[euro(1, "EUR"), euro(2, "EUR")], Ok(Value::Int(3)));
}

#[test]
fn lists_are_bounded_sorted_and_joined() {
    let text = |text: &str| (Some(Value::Text(text.to_owned().into())), None);
    let list = || FigureOf { separator: Some(";".to_owned()), ..figure("list", Function::List) };
    check(list(), &[text("b"), text("a"), text("b"), text("c")], Ok(Value::Text("a;b;b".into())));
    check(
        FigureOf { distinct: true, ..list() },
        &[text("b"), text("a"), text("b"), text("c")],
        Ok(Value::Text("a;b;c".into())),
    );
    check(list(), &[], Ok(Value::Null));
}
