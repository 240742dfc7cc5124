//! The keys of the configuration, each known once: readers take from these tables what may be written, what holds where
//! nothing is, and what a hint shows; the JSON Schema (`schema.rs`) and the tables of `docs/` (`documentation.rs`) are
//! made of them.
//!
//! Each table stands beside its reader: in `daemon.rs`, `source.rs`, `crm.rs`, `mapping.rs`, `field.rs`…

use std::time::Duration;

/// The keys of a table.
pub(super) struct Keys {
    /// In the order in which they are shown.
    pub(super) keys: &'static [Key],
    /// What divides them, where not all go together.
    pub(super) cases: Cases,
}

/// What divides a table's keys into cases. A key says of which it is ([`Key::with`]).
#[derive(Clone, Copy)]
pub(super) enum Cases {
    /// They all go together.
    None,
    /// The word of this key is the case: `method = "jwt"`.
    Word(&'static str),
    /// The first of these keys that is there is the case: `const`, `reference` or `value`.
    Key(&'static [&'static str]),
}

/// A key of a table.
pub(super) struct Key {
    /// As it is written.
    pub(super) name: &'static str,
    /// What its value may be.
    pub(super) form: Form,
    /// Whether it has to be there.
    pub(super) rule: Rule,
    /// A value as TOML writes it.
    pub(super) example: &'static str,
    /// What it means, in Markdown; a sentence without its full stop.
    pub(super) about: &'static str,
    /// The cases that it is of; none: of all.
    pub(super) cases: &'static [&'static str],
    /// A key that has to be there, too.
    pub(super) beside: Option<&'static str>,
}

/// Whether a key has to be there.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// It has to, in the cases that it is of.
    Needed,
    /// Without it this holds, as TOML writes it.
    Default(&'static str),
    /// It need not; what holds without it, in words.
    Optional(&'static str),
    /// It is not built yet; what to do instead.
    Later(&'static str),
}

/// What a value may be.
pub(super) enum Form {
    /// Text that is not blank.
    Text {
        /// What the documentation calls it.
        noun: &'static str,
        /// A regular expression that lets through what the reader does, and perhaps more: editors show what fails it.
        pattern: &'static str,
    },
    /// `true` or `false`.
    Bool,
    /// A whole number of a range.
    Whole {
        /// The first one.
        least: i128,
        /// The last one. From `u32::MAX` on there is none that people would meet.
        most: i128,
    },
    /// A duration of a range.
    Duration {
        /// The shortest.
        least: Duration,
        /// The longest.
        most: Duration,
    },
    /// One of some words.
    Words(&'static dyn Lexicon),
    /// Text, a number, `true` or `false`: a value for the CRM.
    Constant,
    /// A list of values of one form; at least one.
    List(&'static Form),
    /// A table whose keys are names of somebody else's.
    Named {
        /// A regular expression for its keys.
        names: &'static str,
        /// What they stand for.
        of: &'static Form,
        /// How many there have to be.
        least: u32,
    },
    /// A table.
    Table(&'static Keys),
    /// One of several forms, of different kinds; at most one is a table.
    Any(&'static [Form]),
    /// A form that the documentation calls by a name.
    Called(&'static str, &'static Form),
}

/// Values that are written as words.
pub(super) struct Words<T: 'static> {
    /// Each with its word.
    pub(super) words: &'static [(&'static str, T)],
    /// Words that are not built yet.
    pub(super) later: &'static [&'static str],
}

/// The words of [`Words`], whatever they stand for.
pub(super) trait Lexicon: Sync {
    /// Those that can be written.
    fn words(&self) -> Vec<&'static str>;
}

/// Any text that is not blank.
pub(super) const TEXT: Form = text("text", r"\S");
/// The name of a source, CRM or mapping.
pub(super) const NAME: Form = text("name", NAMES);
/// What names of sources, CRMs and mappings are made of.
pub(super) const NAMES: &str = "^[A-Za-z][A-Za-z0-9_-]{0,62}$";
/// The name of an object or field in the CRM.
pub(super) const API_NAME: Form = text("API name", API_NAMES);
/// What names of objects and fields are made of.
pub(super) const API_NAMES: &str = "^[A-Za-z][A-Za-z0-9_]*$";
/// An expression of the mapping language.
pub(super) const EXPRESSION: Form = text("expression", r"\S");
/// A path.
pub(super) const PATH: Form = text("path", r"\S");
/// A size in bytes.
pub(super) const SIZE: Form = text("size", r"^\s*([0-9]+\.?[0-9]*|\.[0-9]+)\s*(B|[KMGT]iB|[kKMGT]B)\s*$");
/// A share of a whole.
pub(super) const SHARE: Form = text("share", r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$");

/// Text of a kind.
pub(super) const fn text(noun: &'static str, pattern: &'static str) -> Form {
    Form::Text { noun, pattern }
}

impl Keys {
    /// Keys that all go together.
    pub(super) const fn all(keys: &'static [Key]) -> Self {
        Self { keys, cases: Cases::None }
    }

    /// The key of that name, of whichever case.
    pub(super) fn get(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The keys of a case; without one, of all. Those that are not built yet are none.
    pub(super) fn of(&self, case: Option<&str>) -> impl Iterator<Item = &'static Key> {
        self.keys.iter().filter(move |key| !matches!(key.rule, Rule::Later(_)) && key.is_of(case))
    }

    /// The cases, by name.
    pub(super) fn case_names(&self) -> Vec<&'static str> {
        match self.cases {
            Cases::None => Vec::new(),
            Cases::Key(keys) => keys.to_vec(),
            Cases::Word(key) => match self.get(key).map(|key| &key.form) {
                Some(Form::Words(words)) => words.words(),
                _ => Vec::new(),
            },
        }
    }

    /// How the table is written: `{ every = "1h" }, { cron = "0 2 * * *" }`, with the keys that have to be there.
    pub(super) fn forms(&self) -> String {
        match self.cases {
            Cases::None | Cases::Word(_) => self.form(None),
            Cases::Key(cases) => cases.iter().map(|case| self.form(Some(case))).collect::<Vec<_>>().join(", "),
        }
    }

    /// A small table as it is written, else that it is one.
    fn shown(&self) -> String {
        match self.cases {
            Cases::None if self.keys.iter().all(|key| matches!(key.rule, Rule::Needed)) => {
                format!("`{}`", self.forms())
            }
            Cases::None | Cases::Word(_) => "table".to_owned(),
            Cases::Key(cases) => {
                let forms = cases.iter().map(|case| format!("`{}`", self.form(Some(case))));
                forms.collect::<Vec<_>>().join(" or ")
            }
        }
    }

    fn form(&self, case: Option<&str>) -> String {
        let needed = |key: &&Key| matches!(key.rule, Rule::Needed) && (case.is_some() || key.cases.is_empty());
        let keys = self.of(case).filter(needed).map(|key| format!("{} = {}", key.name, key.example));
        format!("{{ {} }}", keys.collect::<Vec<_>>().join(", "))
    }
}

impl Key {
    /// A key that has to be there.
    pub(super) const fn need(name: &'static str, form: Form, example: &'static str, about: &'static str) -> Self {
        Self { name, form, rule: Rule::Needed, example, about, cases: &[], beside: None }
    }

    /// A key with a default, written as in TOML.
    pub(super) const fn or(name: &'static str, form: Form, default: &'static str, about: &'static str) -> Self {
        Self { rule: Rule::Default(default), ..Self::need(name, form, default, about) }
    }

    /// A key that may be missing.
    pub(super) const fn maybe(name: &'static str, form: Form, example: &'static str, about: &'static str) -> Self {
        Self { rule: Rule::Optional("none"), ..Self::need(name, form, example, about) }
    }

    /// A key that is not built yet, and what to do instead.
    pub(super) const fn later(name: &'static str, instead: &'static str) -> Self {
        Self { rule: Rule::Later(instead), ..Self::need(name, TEXT, "", "") }
    }

    /// Says what holds without a key that may be missing.
    pub(super) const fn without(self, words: &'static str) -> Self {
        Self { rule: Rule::Optional(words), ..self }
    }

    /// A value that shows more than the default does.
    pub(super) const fn such_as(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    /// The cases that it is of.
    pub(super) const fn with(self, cases: &'static [&'static str]) -> Self {
        Self { cases, ..self }
    }

    /// A key that it needs beside it.
    pub(super) const fn beside(self, key: &'static str) -> Self {
        Self { beside: Some(key), ..self }
    }

    /// Whether it is of a case; where there is none, it is.
    pub(super) fn is_of(&self, case: Option<&str>) -> bool {
        self.cases.is_empty() || case.is_none_or(|case| self.cases.contains(&case))
    }
}

impl Form {
    /// The keys, where it is or may be a table of known ones.
    pub(super) fn keys(&self) -> Option<&'static Keys> {
        match self {
            Self::Table(keys) => Some(keys),
            Self::Called(_, form) => form.keys(),
            Self::Any(forms) => forms.iter().find_map(Self::keys),
            Self::Text { .. }
            | Self::Bool
            | Self::Whole { .. }
            | Self::Duration { .. }
            | Self::Words(_)
            | Self::Constant
            | Self::List(_)
            | Self::Named { .. } => None,
        }
    }

    /// What it is, in a few words of Markdown: the type in the documentation.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text { noun, .. } | Self::Called(noun, _) => (*noun).to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Whole { least, most } if *least == i128::MIN && *most == i128::MAX => "whole number".to_owned(),
            Self::Whole { least, most } if *most >= i128::from(u32::MAX) => format!("{least} or more"),
            Self::Whole { least, most } => format!("{least} to {most}"),
            Self::Duration { least, most } => format!("duration, {} to {}", duration(*least), duration(*most)),
            Self::Words(words) => {
                words.words().iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(" ")
            }
            Self::Constant => "text, number, true or false".to_owned(),
            Self::List(of) => format!("list of {}", of.shown()),
            Self::Table(keys) => keys.shown(),
            Self::Named { .. } => "table".to_owned(),
            Self::Any(forms) => forms.iter().map(Self::shown).collect::<Vec<_>>().join(" or "),
        }
    }

    /// Everything that can be written, for a hint: `"delete", "ignore", { set = { Active__c = false } }`.
    pub(super) fn allowed(&self) -> String {
        match self {
            Self::Words(words) => words.words().iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "),
            Self::Any(forms) => forms.iter().map(Self::allowed).collect::<Vec<_>>().join(", "),
            Self::Table(keys) => keys.forms(),
            Self::Called(_, form) => form.allowed(),
            Self::Text { noun, .. } => format!("\"{noun}\""),
            Self::Bool => "true, false".to_owned(),
            Self::Whole { least, most } if *most >= i128::from(u32::MAX) => format!("a whole number, {least} or more"),
            Self::Whole { least, most } => format!("a whole number from {least} to {most}"),
            Self::Duration { least, most } => format!("from {} to {}", duration(*least), duration(*most)),
            Self::Constant => "text, a number, true or false".to_owned(),
            Self::List(of) => format!("a list of {}", of.allowed()),
            Self::Named { .. } => "a table".to_owned(),
        }
    }
}

impl<T: Sync> Lexicon for Words<T> {
    fn words(&self) -> Vec<&'static str> {
        self.words.iter().map(|(word, _)| *word).collect()
    }
}

impl<T> Words<T> {
    /// Words that are all there are.
    pub(super) const fn new(words: &'static [(&'static str, T)]) -> Self {
        Self { words, later: &[] }
    }
}

/// In seconds, or in days where they are whole: as the ends of a range are said.
pub(super) fn duration(time: Duration) -> String {
    const DAY: u64 = 86_400;
    match time.as_secs() {
        seconds if seconds > 0 && seconds % DAY == 0 => format!("{}d", seconds / DAY),
        seconds => format!("{seconds}s"),
    }
}
