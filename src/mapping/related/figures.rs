//! `rollup`: a function over related rows, checked. [`FUNCTIONS`] is the table of them all.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use passerelle_change::Value;

use super::entry;
use super::rollup::{FigureOf, Function};
use crate::mapping::check::Checker;
use crate::mapping::fault::Fault;
use crate::mapping::kind::Kind;
use crate::mapping::program::Program;
use crate::mapping::syntax::{self, Argument, Call, Expr, ExprKind};

/// The items of a list, where nothing is said, and the most that can be.
const DEFAULT_LIMIT: usize = 100;
const MOST_ITEMS: usize = 1_000;

/// A function over related rows, as the documentation shows it.
#[derive(Debug)]
pub struct RowFunction {
    /// Its name.
    pub name: &'static str,
    /// How it is written, with everything that it takes.
    pub form: &'static str,
    /// What it gives.
    pub about: &'static str,
    function: Function,
    /// What may stand behind the value.
    takes: &'static [&'static str],
}

/// All functions over related rows.
pub static FUNCTIONS: &[RowFunction] = &[
    RowFunction {
        name: "count",
        form: "count(x, distinct)",
        about: "how many rows there are; of a value, how many have one; with `distinct`, how many different ones. 0 without rows",
        function: Function::Count,
        takes: &["distinct", "within", "by"],
    },
    RowFunction {
        name: "sum",
        form: "sum(x, currency = c)",
        about: "their sum, exact; with `currency`, amounts of several currencies have none, and the field follows `on_bad`",
        function: Function::Sum,
        takes: &["currency", "within", "by"],
    },
    RowFunction {
        name: "avg",
        form: "avg(x, currency = c)",
        about: "their average, to 28 digits",
        function: Function::Avg,
        takes: &["currency", "within", "by"],
    },
    RowFunction {
        name: "min",
        form: "min(x, currency = c)",
        about: "the least value: of numbers, dates, times or text",
        function: Function::Min,
        takes: &["currency", "within", "by"],
    },
    RowFunction {
        name: "max",
        form: "max(x, currency = c)",
        about: "the greatest value",
        function: Function::Max,
        takes: &["currency", "within", "by"],
    },
    RowFunction {
        name: "first",
        form: "first(x, by = y)",
        about: "the value of the row with the least `y`; rows whose value is null do not count",
        function: Function::First,
        takes: &["by", "within"],
    },
    RowFunction {
        name: "last",
        form: "last(x, by = y)",
        about: "the value of the row with the greatest `y`",
        function: Function::Last,
        takes: &["by", "within"],
    },
    RowFunction {
        name: "list",
        form: "list(x, by = y, desc, sep = ';', limit = 100)",
        about: "the values in the order of `y`, without it in their own, `desc` from the greatest on; joined to one text with `sep`; at most `limit` of them, 100 where nothing is said and 1,000 at most. `list(x, distinct)` has each once, in the order of the values",
        function: Function::List,
        takes: &["distinct", "by", "desc", "sep", "limit", "within"],
    },
];

/// The table of [`FUNCTIONS`], in Markdown: part of `docs/mapping.md`.
pub fn reference() -> String {
    let mut page = "| written | gives |\n| --- | --- |\n".to_owned();
    for RowFunction { form, about, .. } in FUNCTIONS {
        // Writing to a string does not fail.
        let _ = writeln!(page, "| `{form}` | {about} |");
    }
    page
}

/// A figure, compiled.
pub(super) struct Compiled {
    pub(super) of: FigureOf,
    pub(super) program: entry::Figure,
    pub(super) kind: Kind,
}

/// Compiles a figure, or says everything that is wrong with it.
pub(super) fn figure(checker: &mut Checker<'_>, name: &Arc<str>, text: &str) -> Result<Compiled, Vec<Fault>> {
    let call = syntax::figure(text).map_err(|fault| vec![fault])?;
    let known = FUNCTIONS.iter().find(|known| known.name == call.name).ok_or_else(|| vec![unknown(&call)])?;
    let mut reading = Reading { checker, text, known, faults: Vec::new(), given: Given::default() };
    reading.arguments(&call.arguments);
    let compiled = reading.compiled(name, &call.name_span);
    let faults = reading.faults;
    compiled.filter(|_| faults.is_empty()).ok_or(faults)
}

/// Compiles what rows are sorted by.
pub(super) fn sortable(checker: &mut Checker<'_>, text: &str, tree: &Expr) -> Result<Program, Vec<Fault>> {
    let (program, kind) = checker.compile_tree(0, text, tree, None)?;
    match unsortable(&kind, &tree.span) {
        None => Ok(program),
        Some(fault) => Err(vec![fault]),
    }
}

fn unsortable(kind: &Kind, span: &Range<usize>) -> Option<Fault> {
    let fault = |message: String| Some(Fault::new(span.clone(), message));
    match kind {
        Kind::Enum(labels) => {
            let label = labels.first().map_or("…", String::as_str);
            let hint = format!("say what comes first: `1 if state == '{label}' else 2`");
            fault("the labels of an enum have no order here".to_owned()).map(|fault| fault.hint(hint))
        }
        Kind::Json | Kind::List(_) | Kind::Null => fault(format!("{} has no order", kind.name())),
        Kind::Any
        | Kind::Bool
        | Kind::Int
        | Kind::Decimal
        | Kind::Float
        | Kind::Text
        | Kind::Date
        | Kind::Time
        | Kind::DateTime
        | Kind::Timestamp
        | Kind::Uuid
        | Kind::Bytes => None,
    }
}

fn unknown(call: &Call) -> Fault {
    let name = call.name.to_lowercase();
    let fault = Fault::new(call.name_span.clone(), format!("there is no function `{}` over rows", call.name));
    let ours = match name.as_str() {
        "average" | "mean" => Some("avg"),
        "total" => Some("sum"),
        "minimum" | "least" => Some("min"),
        "maximum" | "greatest" => Some("max"),
        "group_concat" | "string_agg" | "array_agg" | "listagg" | "join" | "concat" => Some("list"),
        "first_value" | "oldest" => Some("first"),
        "last_value" | "latest" | "newest" => Some("last"),
        "exists" | "any" => Some("count"),
        other => FUNCTIONS.iter().map(|known| known.name).find(|known| *known == other),
    };
    match ours {
        Some(ours) if ours == name => fault.hint(format!("functions are written in lower case: `{ours}`")),
        Some(ours) => fault.hint(format!("it is called `{ours}` here")),
        None => {
            let names: Vec<String> = FUNCTIONS.iter().map(|known| format!("`{}`", known.name)).collect();
            fault
                .hint(format!("functions: {}", names.join(", ")))
                .nearest(&name, FUNCTIONS.iter().map(|known| known.name))
        }
    }
}

/// What stands in the parentheses.
#[derive(Default)]
struct Given {
    /// The value, and where it stands.
    value: Option<(Program, Kind, Range<usize>)>,
    by: Option<(Program, Kind, Range<usize>)>,
    currency: Option<Program>,
    within: Option<(Duration, Range<usize>)>,
    separator: Option<String>,
    limit: Option<usize>,
    distinct: Option<Range<usize>>,
    descending: bool,
    /// A part has faults: nothing is said of its not being there.
    is_faulty: bool,
}

struct Reading<'r, 'c> {
    checker: &'r mut Checker<'c>,
    text: &'r str,
    known: &'static RowFunction,
    faults: Vec<Fault>,
    given: Given,
}

impl Reading<'_, '_> {
    fn arguments(&mut self, arguments: &[Argument]) {
        let mut seen: Vec<&str> = Vec::new();
        for (at, Argument { name, value }) in arguments.iter().enumerate() {
            let flag = match (&value.kind, name) {
                (ExprKind::Column(word), None) if at > 0 || word == "distinct" => Some(word.as_str()),
                _ => None,
            };
            let (word, span) = match (name, flag) {
                (Some((name, span)), _) => (name.as_str(), span),
                (None, Some(flag)) => (flag, &value.span),
                (None, None) if at == 0 => {
                    let compiled = self.expression(value);
                    self.given.is_faulty |= compiled.is_none();
                    self.given.value = compiled;
                    continue;
                }
                (None, None) => {
                    let fault = Fault::new(value.span.clone(), format!("`{}` takes one value", self.known.name));
                    self.faults.push(fault.hint(self.form()));
                    continue;
                }
            };
            if seen.contains(&word) {
                self.faults.push(Fault::new(span.clone(), format!("`{word}` is given twice")));
                continue;
            }
            seen.push(word);
            self.argument(word, span, flag.is_some(), value);
        }
    }

    fn argument(&mut self, word: &str, span: &Range<usize>, is_flag: bool, value: &Expr) {
        let is_word = matches!(word, "distinct" | "desc");
        if !self.known.takes.contains(&word) || is_word != is_flag {
            let fault = self.misplaced(word, span, is_word, is_flag);
            self.faults.push(fault);
            self.given.is_faulty = true;
            return;
        }
        match word {
            "distinct" => self.given.distinct = Some(span.clone()),
            "desc" => self.given.descending = true,
            "by" => {
                self.given.by = self.expression(value);
                self.given.is_faulty |= self.given.by.is_none();
            }
            "currency" => self.given.currency = self.currency(value),
            "within" => {
                let read = constant_text(value).map_or(Err(String::new()), |text| crate::config::duration(text));
                match read {
                    Ok(time) if !time.is_zero() => self.given.within = Some((time, span.clone())),
                    Ok(_) | Err(_) => {
                        self.wrong_constant(value, "`within` is a time", "days, hours or minutes: `within = '365d'`")
                    }
                }
            }
            "sep" => match constant_text(value) {
                Some(text) => self.given.separator = Some(text.to_owned()),
                None => self.wrong_constant(value, "`sep` is a fixed text", "`sep = ';'`"),
            },
            _ => match &value.kind {
                ExprKind::Constant(Value::Int(n)) if (1..=MOST_ITEMS as i128).contains(n) => {
                    self.given.limit = usize::try_from(*n).ok();
                }
                _ => {
                    let hint = format!("from 1 to {MOST_ITEMS}: `limit = {DEFAULT_LIMIT}`");
                    self.wrong_constant(value, "`limit` is a whole number", &hint);
                }
            },
        }
    }

    fn misplaced(&self, word: &str, span: &Range<usize>, is_word: bool, is_flag: bool) -> Fault {
        let name = self.known.name;
        let takes = self.known.takes;
        match (takes.contains(&word), is_word, is_flag) {
            (true, true, _) => Fault::new(span.clone(), format!("`{word}` stands alone")).hint(self.form()),
            (true, false, _) => Fault::new(span.clone(), format!("`{word}` has a value")).hint(format!("`{word} = …`")),
            (false, _, _) if word == "order_by" || word == "sort" => {
                Fault::new(span.clone(), format!("`{name}` takes no `{word}`")).hint("rows are sorted `by = …`")
            }
            (false, false, true) => Fault::new(span.clone(), format!("`{name}` takes one value")).hint(self.form()),
            (false, _, _) => {
                let fault = Fault::new(span.clone(), format!("`{name}` takes no `{word}`"));
                fault.hint(self.form()).nearest(word, takes.iter().copied())
            }
        }
    }

    fn form(&self) -> String {
        format!("`{}`; `within = '30d', by = …` limits it to the last days", self.known.form)
    }

    fn wrong_constant(&mut self, value: &Expr, message: &str, hint: &str) {
        self.faults.push(Fault::new(value.span.clone(), message).hint(hint));
        self.given.is_faulty = true;
    }

    fn expression(&mut self, tree: &Expr) -> Option<(Program, Kind, Range<usize>)> {
        match self.checker.compile_tree(0, self.text, tree, None) {
            Ok((program, kind)) => Some((program, kind, tree.span.clone())),
            Err(faults) => {
                // A relation's own faults stand elsewhere.
                self.faults.extend(faults);
                self.given.is_faulty = true;
                None
            }
        }
    }

    fn currency(&mut self, tree: &Expr) -> Option<Program> {
        let (program, kind, span) = self.expression(tree)?;
        if kind.is_text() || kind == Kind::Int {
            return Some(program);
        }
        let fault = Fault::new(span, format!("a currency is a code or a key, and this is {}", kind.name()));
        self.faults.push(fault.hint("`currency = currency_code`"));
        None
    }

    fn compiled(&mut self, name: &Arc<str>, name_span: &Range<usize>) -> Option<Compiled> {
        let given = std::mem::take(&mut self.given);
        if !given.is_faulty {
            self.what_is_missing(&given, name_span);
        }
        let kind = self.kind(&given)?;
        let function = self.known.function;
        let keeps_value = function != Function::Count || given.distinct.is_some();
        let of = FigureOf {
            name: name.clone(),
            function,
            within: given.within.as_ref().map(|(time, _)| *time),
            distinct: given.distinct.is_some(),
            separator: given.separator,
            limit: given.limit.unwrap_or(DEFAULT_LIMIT),
            integer: matches!(&given.value, Some((_, Kind::Int, _))),
        };
        let program = entry::Figure {
            value: given.value.map(|(program, ..)| program),
            by: given.by.map(|(program, ..)| program),
            currency: given.currency,
            keeps_value,
            has_window: of.within.is_some(),
            descending: given.descending,
        };
        Some(Compiled { of, program, kind })
    }

    fn what_is_missing(&mut self, given: &Given, name_span: &Range<usize>) {
        let function = self.known.function;
        let name = self.known.name;
        let mut fault = |span: &Range<usize>, message: String, hint: String| {
            self.faults.push(Fault::new(span.clone(), message).hint(hint));
        };
        if given.value.is_none() && function != Function::Count {
            fault(name_span, format!("`{name}` takes a value"), format!("`{}`", self.known.form));
        }
        match (&given.distinct, &given.value, &given.by, function) {
            (Some(span), None, _, Function::Count) => {
                fault(
                    span,
                    "`distinct` counts values, and there is none".to_owned(),
                    "`count(x, distinct)`".to_owned(),
                );
            }
            (Some(_), _, Some((_, _, by)), Function::List) if given.within.is_none() => {
                let message = "a list of different values is in their own order: `by` has no say";
                fault(by, message.to_owned(), "leave out `by`, or `distinct`".to_owned());
            }
            (_, _, None, Function::First | Function::Last) => {
                let hint = format!("by what it is the {name} one: `{}`", self.known.form);
                fault(name_span, format!("`{name}` takes `by`"), hint);
            }
            _ => {}
        }
        match (&given.within, &given.by) {
            (Some((_, span)), None) => fault(
                span,
                "`within` takes `by`: the time that is meant".to_owned(),
                "`within = '365d', by = date_order`".to_owned(),
            ),
            (Some(_), Some((_, kind, by))) => {
                if !matches!(kind, Kind::Date | Kind::DateTime | Kind::Timestamp | Kind::Any) {
                    let message = format!("`within` takes a date or an instant in `by`, and this is {}", kind.name());
                    fault(by, message, "text that holds a date is read as one: `by = x | date`".to_owned());
                }
            }
            (None, Some((_, _, by)))
                if matches!(
                    function,
                    Function::Count | Function::Sum | Function::Avg | Function::Min | Function::Max
                ) =>
            {
                let hint = "it goes with `within`: `within = '365d', by = date_order`".to_owned();
                fault(by, format!("`by` has no say in `{name}`: the order of rows makes no difference"), hint);
            }
            (None, _) => {}
        }
    }

    /// What the figure is to an expression; `None` where the value's type will not do.
    fn kind(&mut self, given: &Given) -> Option<Kind> {
        let function = self.known.function;
        let name = self.known.name;
        if let Some((_, kind, span)) = given.by.as_ref().filter(|_| given.within.is_none()) {
            self.faults.extend(unsortable(kind, span));
        }
        let Some((_, kind, span)) = &given.value else {
            return (function == Function::Count).then_some(Kind::Int);
        };
        let refused = match (function, kind) {
            (Function::Sum | Function::Avg, kind) if !kind.is_number() || *kind == Kind::Null => {
                let fault = Fault::new(span.clone(), format!("`{name}` adds numbers, and this is {}", kind.name()));
                Some(if kind.is_text() {
                    let part = &self.text[span.clone()];
                    fault.hint(format!("text that holds a number is read as one: `{name}({part} | number)`"))
                } else {
                    fault
                })
            }
            (Function::Min | Function::Max, kind) => unsortable(kind, span),
            (Function::List, kind) if given.distinct.is_some() || given.by.is_none() => match kind {
                // By their text: nothing else is meant by a list's own order.
                Kind::Enum(_) => None,
                kind => unsortable(kind, span),
            },
            (_, Kind::List(_)) => Some(Fault::new(span.clone(), "a list is no value of a row")),
            _ => None,
        };
        let bytes = matches!(kind, Kind::Bytes | Kind::List(_)) && function == Function::List && refused.is_none();
        let refused = match bytes {
            true => {
                let part = &self.text[span.clone()];
                let fault = Fault::new(span.clone(), format!("{} have no text in a list", kind.name()));
                Some(fault.hint(format!("their digits are text: `{name}({part} | hex)`")))
            }
            false => refused,
        };
        if let Some(fault) = refused {
            self.faults.push(fault);
            return None;
        }
        Some(match function {
            Function::Count => Kind::Int,
            Function::Sum if *kind == Kind::Int => Kind::Int,
            Function::Sum | Function::Avg => Kind::Decimal,
            Function::Min | Function::Max | Function::First | Function::Last => kind.clone(),
            Function::List if given.separator.is_some() => Kind::Text,
            Function::List => Kind::List(Box::new(kind.clone())),
        })
    }
}

fn constant_text(value: &Expr) -> Option<&str> {
    match &value.kind {
        ExprKind::Constant(Value::Text(text)) => Some(text),
        _ => None,
    }
}
